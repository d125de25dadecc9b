"""A registry is strict when a thing is added and helpful when it is asked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vistazo.errors import UnknownName
from vistazo.language import speaking
from vistazo.registry import About, Registry, nearest


@pytest.fixture
def networks():
    registry: Registry[int] = Registry("model")
    registry.register("airbench")(1)
    registry.register("mnist_cnn")(2)
    return registry


def test_a_registered_thing_is_found_by_its_name(networks):
    assert networks["airbench"] == 1
    assert "airbench" in networks
    assert "Airbench" not in networks


def test_names_are_listed_in_the_order_of_their_registration(networks):
    assert list(networks) == ["airbench", "mnist_cnn"]
    assert len(networks) == 2


def test_register_is_a_decorator_that_leaves_the_thing_as_it_is():
    registry: Registry[object] = Registry("thing")

    @registry.register("one")
    def one():
        return 1

    assert one() == 1
    assert registry["one"] is one


def test_a_name_is_registered_once(networks):
    with pytest.raises(ValueError, match="model 'airbench' is registered twice"):
        networks.register("airbench")(3)
    assert networks["airbench"] == 1


def test_an_unknown_name_is_answered_with_the_nearest_one_and_the_list(networks):
    with pytest.raises(UnknownName) as caught:
        networks["mnist_cmm"]
    assert str(caught.value) == (
        "There is no model 'mnist_cmm'. Did you mean 'mnist_cnn'? Known: airbench, mnist_cnn."
    )


def test_a_name_like_no_other_is_answered_with_the_list_alone(networks):
    with pytest.raises(UnknownName, match=r"^There is no model 'zzz'\. Known: airbench, mnist_cnn\.$"):
        networks["zzz"]


def test_the_answer_comes_without_the_trace_of_the_look_up(networks):
    with pytest.raises(UnknownName) as caught:
        networks["zzz"]
    assert caught.value.__suppress_context__


def test_capitals_do_not_hide_the_nearest_name():
    assert nearest("AIRBENCH", ["airbench", "mnist_cnn"]) == "airbench"


def test_a_name_with_braces_is_no_template(networks):
    with pytest.raises(UnknownName, match=r"There is no model '\{kind\}\{0\}'"):
        networks["{kind}{0}"]


@given(st.text(max_size=40))
def test_any_text_is_either_found_or_answered(name):
    registry: Registry[int] = Registry("model")
    registry.register("airbench")(1)
    with speaking("en"):
        if name == "airbench":
            assert registry[name] == 1
        else:
            with pytest.raises(UnknownName):
                registry[name]


def test_what_is_told_of_a_thing_is_kept_under_its_name():
    registry: Registry[int] = Registry("loss")
    about = About(
        title="mean squared error", formula="mean((t - y)²)", when="for values", source="Gauss 1809"
    )
    registry.register("mse", about)(1)
    registry.register("other")(2)
    assert registry.about == {"mse": about}
