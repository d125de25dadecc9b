"""What a recipe fills in, and the two rules that look at the pictures: mirroring and size."""

import dataclasses
import subprocess
import sys

import pytest

from vistazo.classification.config import ClassificationConfig
from vistazo.classification.models import create, models
from vistazo.classification.recipe import Given
from vistazo.classification.recipes import Decided, decide, flips, recipes, working_size
from vistazo.config import build
from vistazo.errors import ConfigError, UnknownName
from vistazo.pictures.augments import parse

DATA = {"pictures": 1000, "height": 28, "width": 28, "channels": 1}


def decided(data=DATA, **settings):
    settings = {"recipe": "quick", **settings}
    return decide(build(ClassificationConfig, settings), Given(**data), ("a", "b", "c"))


# ---------------------------------------------------------------- mirroring
@pytest.mark.parametrize(
    ("classes", "channels", "mirrored"),
    [
        pytest.param(("cat", "dog"), 3, True, id="photographs of things"),
        pytest.param(("cat", "dog"), 1, False, id="grey pictures: digits, drawings, scans"),
        pytest.param(("0", "1"), 3, False, id="digits"),
        pytest.param(("10", "20"), 3, False, id="numbers"),
        pytest.param(("A", "ñ"), 3, False, id="letters"),
        pytest.param(("letter b", "letter d"), 3, False, id="letters inside names"),
        pytest.param(("turn left", "turn right"), 3, False, id="sides"),
        pytest.param(("mano_izquierda", "mano_derecha"), 3, False, id="sides in Spanish"),
        pytest.param(("LEFT", "ahead"), 3, False, id="one side among others"),
        pytest.param(("copyright", "leftover"), 3, True, id="sides inside words are no sides"),
        pytest.param(("señal-horario", "otra"), 3, False, id="turning"),
    ],
)
def test_pictures_are_mirrored_where_that_keeps_their_class(classes, channels, mirrored):
    assert flips(classes, channels) is mirrored


@pytest.mark.parametrize(("asked", "mirrored"), [("on", True), ("off", False), ("auto", False)])
def test_the_rule_of_mirroring_can_be_overridden(asked, mirrored):
    assert decided(flip=asked).flip is mirrored


# ---------------------------------------------------------------- changes of pictures
def test_the_changes_that_are_asked_for_are_decided_and_survive_json():
    import json

    choice = decided({**DATA, "channels": 3}, augment="recipe,rotate=15,mixup")
    assert (choice.reach, choice.flip) == (1, False)  # classes of one letter are not mirrored
    assert choice.augment == [["rotate", -15, 15], ["mixup", 0.2, 0.2]]
    assert type(choice)(**json.loads(json.dumps(dataclasses.asdict(choice)))) == choice


def test_a_run_that_was_decided_before_there_were_changes_has_none():
    old = {name: value for name, value in dataclasses.asdict(decided()).items() if name != "augment"}
    assert Decided(**old) == decided()


@pytest.mark.parametrize("name", list(recipes))
def test_the_changes_of_every_recipe_can_be_read(name):
    assert parse(recipes[name].augment) or recipes[name].augment == "none"


# ---------------------------------------------------------------- size
@pytest.mark.parametrize(
    ("height", "width", "size"),
    [
        pytest.param(28, 28, (28, 28), id="its own"),
        pytest.param(64, 40, (64, 40), id="its own, up to 64"),
        pytest.param(480, 640, (48, 64), id="photographs: 64 on the longer side"),
        pytest.param(640, 480, (64, 48), id="upright photographs"),
        pytest.param(8, 8, (16, 16), id="tiny: 16 on the shorter side"),
        pytest.param(8, 16, (16, 32), id="tiny and wide, in proportion"),
        pytest.param(100, 1000, (16, 128), id="a strip: the shorter side wins, within 128"),
        pytest.param(1, 1000, (16, 128), id="a line"),
    ],
)
def test_pictures_come_to_a_size_that_suits_the_network(height, width, size):
    assert working_size(None, height=height, width=width) == size


@pytest.mark.parametrize(("asked", "size"), [("32", (32, 32)), ("28x40", (28, 40)), ("128", (128, 128))])
def test_the_size_asked_for_is_taken_height_first(asked, size):
    assert working_size(asked, height=500, width=500) == size


@pytest.mark.parametrize("asked", ["15", "129", "16x200", "200x16"])
def test_a_size_the_network_is_not_made_for_is_refused(asked):
    with pytest.raises(ConfigError, match="--size must lie between 16 and 128 pixels a side"):
        working_size(asked, height=28, width=28)


@pytest.mark.parametrize("height", [1, 16, 30, 64, 1000])
@pytest.mark.parametrize("width", [1, 16, 30, 64, 1000])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_size_of_the_rule_gives_a_network(height, width, channels):
    height, width = working_size(None, height=height, width=width)
    choice = decided({**DATA, "height": height, "width": width, "channels": channels})
    create(choice.model, choice.arguments)


# ---------------------------------------------------------------- what is filled in
def test_a_recipe_fills_in_whatever_is_left_open():
    choice = decided()
    assert choice.model == recipes["quick"].model == "airbench"
    assert choice.epochs >= 1
    assert choice.arguments | {"channels": 1, "height": 28, "width": 28, "classes": 3} == choice.arguments
    assert (choice.schedule, choice.average, choice.views) == ("triangular", "lookahead", True)


def test_settings_win_over_the_recipe():
    choice = decided(
        epochs=7,
        batch=20,
        model="mnist_cnn",
        schedule="cosine",
        average="none",
        views="off",
    )
    assert (choice.epochs, choice.batch, choice.model) == (7, 20, "mnist_cnn")
    assert (choice.schedule, choice.average, choice.views) == ("cosine", "none", False)


def test_filters_are_taken_by_a_network_that_has_them_and_refused_by_another():
    assert decided(filters="8,16").arguments["filters"] == [8, 16]
    with pytest.raises(ConfigError, match="mnist_cnn has no filters to choose"):
        decided(model="mnist_cnn", filters="8,16")


def test_easy_pictures_are_turned_and_zoomed_by_the_best_recipe_alone():
    easy, hard = {**DATA, "ease": 0.95}, {**DATA, "ease": 0.5}
    assert [name for name, _, _ in decided(easy, recipe="best").augment] == ["shear", "rotate", "zoom"]
    assert decided(hard, recipe="best").augment == decided(easy, recipe="balanced").augment == []
    assert decided(easy, recipe="best", augment="recipe,noise").augment[-1][0] == "noise"


def test_best_hides_a_square_of_pictures_with_colour_and_of_no_others():
    assert decided({**DATA, "channels": 3}, recipe="best").augment == [["cutout", 0.3, 0.3]]
    assert decided({**DATA, "channels": 3}, recipe="balanced").augment == []
    assert decided(DATA, recipe="best").augment == []


def test_a_batch_is_never_larger_than_the_data():
    assert decided({**DATA, "pictures": 5}).batch <= 5
    assert decided({**DATA, "pictures": 5}, batch=100).batch == 5


def test_a_narrow_network_for_few_passes_and_a_wide_one_for_many():
    assert decided(epochs=1).arguments["filters"] == [16, 32, 32]
    assert decided(epochs=8).arguments["filters"] == [32, 64, 64]


@pytest.mark.parametrize("pictures", [1, 2, 10, 300, 2000, 60_000, 1_000_000])
@pytest.mark.parametrize("name", list(recipes))
def test_every_recipe_has_a_length_for_any_amount_of_pictures(name, pictures):
    choice = decided({**DATA, "pictures": pictures}, recipe=name)
    assert choice.epochs >= 1
    assert 1 <= choice.batch <= pictures
    assert choice.model in models


def test_decisions_survive_the_json_of_a_run():
    import json

    choice = decided(filters="8,16")
    assert type(choice)(**json.loads(json.dumps(dataclasses.asdict(choice)))) == choice


@pytest.mark.parametrize(("setting", "near"), [("quik", "quick")])
def test_an_unknown_recipe_names_the_nearest(setting, near):
    with pytest.raises(UnknownName, match=f"There is no recipe '{setting}'. Did you mean '{near}'"):
        decided(recipe=setting)


def test_an_unknown_model_names_the_nearest():
    with pytest.raises(UnknownName, match="There is no model 'mnist_cn'. Did you mean 'mnist_cnn'"):
        decided(model="mnist_cn")


def test_listing_recipes_costs_no_torch():
    code = "import sys, vistazo.classification.recipes; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_filters_that_the_pictures_are_too_small_for_are_refused():
    with pytest.raises(ConfigError, match="--filters 1,1,1,1,1,1 does not suit this data"):
        decided(filters="1,1,1,1,1,1")
