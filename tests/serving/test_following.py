"""What a program needs of its package: made-up packages, whose imports are known by hand."""

import textwrap

import pytest

from vistazo.serving.following import follow


def package(folder, **files):
    """A package `made`; names of files with '__' for '/'."""
    (folder / "made").mkdir()
    for name, text in {"__init__": "", **files}.items():
        file = folder / "made" / (name.replace("__", "/") if name != "__init__" else name)
        file = file.with_name(file.name + ".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        (file.parent / "__init__.py").touch()
        file.write_text(textwrap.dedent(text), encoding="utf-8")
    return folder / "made"


def modules(folder, *starts, without=(), **more):
    found = follow(folder, starts, without=without, **more).modules
    return {name.removeprefix("made.") for name in found} - {"made"}


def test_imports_of_a_module_are_followed_and_of_an_uncalled_function_not(tmp_path):
    made = package(
        tmp_path,
        start="""
            from made import one
            from made.two import value
            __all__ = ["begin"]
            def begin():
                from made import three
                return three.go()
            def never():
                from made import four
            """,
        one="import made.five",
        two="value = 1",
        three="def go(): return 1\ndef stay():\n    from made import six",
        four="",
        five="",
        six="",
        seven="",
    )
    assert modules(made, "made.start") == {"start", "one", "two", "three", "five"}


def test_a_method_is_reached_by_its_name_and_by_nothing_else(tmp_path):
    made = package(
        tmp_path,
        start="""
            from made.things import Thing
            __all__ = ["begin"]
            def begin(other):
                return Thing() and other.first() and getattr(other, "second")()
            """,
        things="""
            class Thing:
                def __init__(self):
                    import made.zero
                def first(self):
                    import made.one
                def second(self):
                    import made.two
                def third(self):
                    import made.three
            """,
        zero="",
        one="",
        two="",
        three="",
    )
    assert modules(made, "made.start") == {"start", "things", "zero", "one", "two"}


def test_a_method_that_is_named_only_later_is_found_too(tmp_path):
    made = package(
        tmp_path,
        start="""
            from made import things
            __all__ = ["begin"]
            def begin():
                things.Thing().first()
            """,
        things="""
            class Thing:
                def first(self):
                    self.second()
                def second(self):
                    from made.last import done
            """,
        last="done = 1",
    )
    assert "last" in modules(made, "made.start")


@pytest.mark.parametrize(
    "held",
    [
        pytest.param("table = {'a': act}", id="in a table"),
        pytest.param("import made.keeper\n@made.keeper.keep\ndef other():\n    act()", id="by a decorator"),
        pytest.param("class Base:\n    both = act", id="in a class's body"),
        pytest.param("def outer(then=act): pass", id="as a default"),
    ],
)
def test_a_function_that_a_module_keeps_is_reached(tmp_path, held):
    held = held if "Base" not in held else held + "\nbase = Base()"
    made = package(
        tmp_path, start=f"def act():\n    import made.far\n{held}\n", far="", keeper="def keep(one): pass"
    )
    assert "far" in modules(made, "made.start")


def test_a_module_that_is_handed_on_is_needed_whole(tmp_path):
    made = package(
        tmp_path,
        start="from made import one, two\nkept = [one]\nname = two.name",
        one="def f():\n    import made.far",
        two="name = ''\ndef f():\n    import made.away",
        far="",
        away="",
    )
    assert modules(made, "made.start") == {"start", "one", "two", "far"}


def test_names_that_pass_through_a_module_and_relative_imports_are_followed(tmp_path):
    made = package(
        tmp_path,
        start="from made.middle import go\n__all__ = ['begin']\ndef begin(): go()",
        middle="from .inner.deep import go",
        inner__deep="def go():\n    from . import near\n    from ..far import other",
        inner__near="",
        far="other = 1",
    )
    assert modules(made, "made.start") == {"start", "middle", "inner", "inner.deep", "inner.near", "far"}


def test_what_needs_an_absent_package_at_once_stays_behind_with_all_that_only_it_needs(tmp_path):
    made = package(
        tmp_path,
        start="""
            from typing import TYPE_CHECKING
            if TYPE_CHECKING:
                import made.typed
            __all__ = ["begin"]
            def begin():
                import made.heavy, made.light
                made.heavy.go()
            """,
        heavy="import made.torchy\nimport made.below",
        torchy="import torch.nn",
        below="",
        light="try:\n    import torch\nexcept ImportError:\n    torch = None\ndef go():\n    import torch",
        typed="",
    )
    assert modules(made, "made.start", without=("torch",)) == {"start", "light"}
    with pytest.raises(ValueError, match=r"made\.heavy"):
        follow(made, ["made.heavy"], without=("torch",))
    with pytest.raises(ValueError, match=r"made\.nothing"):
        follow(made, ["made.nothing"], without=())


def test_what_stands_in_place_of_a_module_is_what_is_read(tmp_path):
    made = package(tmp_path, start="import made.one", one="import made.two", two="", three="")
    assert modules(made, "made.start", instead={"made.one": "import made.three"}) == {"start", "one", "three"}


def test_packages_of_elsewhere_and_texts_are_told(tmp_path):
    made = package(
        tmp_path,
        start="""
            import os, numpy as np
            from PIL import Image
            __all__ = ["begin"]
            def begin():
                import click
                return open("letters/a.ttf")
            def never():
                import jinja2
                return "b.ttf"
            """,
    )
    found = follow(made, ["made.start"], without=())
    assert (found.packages, found.later) == ({"numpy", "PIL"}, {"click"})
    assert "letters/a.ttf" in found.texts
    assert "b.ttf" not in found.texts
