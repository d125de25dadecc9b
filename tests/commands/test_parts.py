"""The parts to choose from: all of them told, in both languages, on narrow and wide terminals."""

import pytest

from vistazo.commands.parts import KINDS, registry, show, table
from vistazo.errors import UsageError
from vistazo.language import LANGUAGES, speaking, tr

EVERY = [(kind, name) for kind in KINDS for name in registry(KINDS[kind])]


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_every_part_of_every_kind_is_told_of(kind, name):
    about = registry(KINDS[kind]).about[name]
    assert about.title and about.formula and about.when
    assert about.source or name == "none"
    assert about.when.endswith(".")


@pytest.mark.parametrize("name", list(KINDS))
def test_every_kind_says_how_one_is_chosen(name):
    from vistazo.commands import VERBS

    kind = KINDS[name]
    assert kind.option in kind.note
    flags = [flag for one in VERBS["train"].parameters() for flag in one.opts]
    assert kind.option in flags
    assert kind.spanish.isascii()


def test_all_kinds_are_told_as_agreed(verb):
    told = verb("models", "--parts", "--json").json
    assert list(told["parts"]) == list(KINDS)
    for parts in told["parts"].values():
        assert all(list(one) == ["name", "title", "formula", "when", "source"] for one in parts)
    losses = [one["name"] for one in told["parts"]["losses"]]
    assert losses[:3] == ["mse", "mae", "cross_entropy"]
    assert {"hinge", "huber", "kl_divergence", "cosine_similarity", "poisson", "focal"} <= set(losses)
    scalers = [one["name"] for one in told["parts"]["scalers"]]
    assert scalers == ["min-max", "standard", "robust", "robust-q1", "none"]


@pytest.mark.parametrize("words", [["losses"], ["Losses"], ["perdidas"]])
def test_one_kind_can_be_asked_for_in_either_language(verb, words):
    answer = verb("models", "--parts", *words)
    assert answer.code == 0
    assert "focal" in answer.out and "robust-q1" not in answer.out
    assert answer.out.splitlines()[-1] == "next:   vistazo train SOURCE --loss NAME"
    assert verb("modelos", "--partes", *words, "--json").json["parts"].keys() == {"losses"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--parts", "lossess"], "There is no kind of part 'lossess'. Did you mean 'losses'?"),
        (["--parts", "qqq"], "There is no kind of part 'qqq'. Known: losses, "),
        (["airbench", "--parts"], "--parts lists what networks are made of, and airbench is one"),
    ],
)
def test_what_is_no_kind_is_told_in_one_sentence(verb, words, says):
    answer = verb("models", *words)
    assert answer.code == 2
    assert says in answer.err
    assert len(answer.err.splitlines()) == 1


@pytest.mark.parametrize("width", [40, 80, 120, 300])
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_tables_fit_the_terminal(width, language):
    with speaking(language):
        lines = show(table("all"), width)
        assert max(map(len, lines)) < max(width, 90)  # a formula or an address without a blank stands alone
        if width >= 80:
            assert max(map(len, lines)) < width
        text = "\n".join(lines)
        for kind, name in EVERY:
            about = registry(KINDS[kind]).about[name]
            assert name in text
            if width == 120:
                assert about.formula in text or len(about.formula) > 100
        assert tr(KINDS["losses"].title) in text or width < 80


def test_a_kind_that_there_is_not_is_an_ordinary_mistake():
    with pytest.raises(UsageError):
        table("nothing of the kind")
