"""One tree of errors, each with the exit code the command line promises."""

import re

import pytest

from vistazo import errors

EVERY = [getattr(errors, name) for name in errors.__all__]


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_every_error_is_a_vistazo_error_and_says_what_it_means(kind):
    assert issubclass(kind, errors.VistazoError)
    assert kind.__doc__


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes():
    parents: list[tuple[int, type]] = []
    drawn = []
    for line in errors.__doc__.splitlines():
        found = re.match(r"^    ([│ ├└─]*)([A-Z]\w+)  ", line)
        if not found:
            continue
        kind = getattr(errors, found[2])
        drawn.append(found[2])
        depth = len(found[1])
        while parents and parents[-1][0] >= depth:
            parents.pop()
        if parents:
            assert kind.__bases__ == (parents[-1][1],), f"{found[2]} is drawn in another place"
        if kind is not errors.Stopped:  # drawn apart: it is no mistake
            parents.append((depth, kind))
    assert sorted(drawn) == errors.__all__


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        pytest.param(errors.VistazoError, 1, id="a user's mistake"),
        pytest.param(errors.SourceMissing, 1, id="data that is not there"),
        pytest.param(errors.BundleDamaged, 1, id="a damaged model"),
        pytest.param(errors.DiskError, 1, id="a full disk"),
        pytest.param(errors.UsageError, 2, id="wrong usage"),
        pytest.param(errors.UnknownName, 2, id="an unknown name"),
        pytest.param(errors.ConfigError, 2, id="a setting out of bounds"),
        pytest.param(errors.Stopped, 3, id="stopped by a signal"),
    ],
)
def test_exit_codes(kind, code):
    assert kind.exit_code == code


def test_an_error_carries_its_sentence_and_nothing_else():
    assert str(errors.SourceMissing("There is nothing at x.")) == "There is nothing at x."
