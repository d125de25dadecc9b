"""The recipes for every day: how long and how wide, from what is known before training."""

import numpy as np
import pytest

from vistazo.classification.data import ease
from vistazo.classification.everyday import EASY, EVERYDAY, LADDER, choose_batch, choose_epochs
from vistazo.classification.recipe import Given
from vistazo.networks.airbench import Airbench


def plan(name, pictures, *, channels=1, height=28, width=28, ease=0.5):
    given = Given(pictures, height, width, channels, ease)
    epochs, batch = EVERYDAY[name].length(given)
    return epochs, batch, EVERYDAY[name].shape(given, epochs)


@pytest.mark.parametrize(
    ("pictures", "epochs", "batch", "filters", "entry"),
    [
        (54_000, 1, 512, [16, 32, 32], "quarter"),
        (10_000, 4, 500, [32, 64, 64], "full"),
        (2_000, 16, 100, [32, 64, 64], "full"),
        (100, 40, 32, [32, 64, 64], "full"),
    ],
)
def test_the_quick_recipe_follows_from_the_number_of_pictures(pictures, epochs, batch, filters, entry):
    assert plan("quick", pictures) == (epochs, batch, {"filters": filters, "entry": entry})


def test_colour_pictures_are_seen_more_often_and_by_more():
    assert plan("quick", 45_000, channels=3)[0] == 5
    for name in EVERYDAY:
        grey, colour = plan(name, 45_000), plan(name, 45_000, channels=3)
        assert sum(grey[2]["filters"]) <= sum(colour[2]["filters"])


def test_wide_networks_of_colour_pictures_are_smooth():
    activations = {
        (name, channels): plan(name, 45_000, channels=channels)[2].get("activation")
        for name in EVERYDAY
        for channels in (1, 3)
    }
    assert {key for key, chosen in activations.items() if chosen == "silu"} == {("balanced", 3), ("best", 3)}


def test_what_neighbours_answer_already_needs_less():
    hard, easy = plan("balanced", 54_000, ease=EASY - 0.01), plan("balanced", 54_000, ease=EASY)
    assert easy[0] < hard[0]
    assert (hard[2]["entry"], easy[2]["entry"]) == ("full", "quarter")


def test_better_recipes_see_more():
    for channels in (1, 3):
        seen = [plan(name, 45_000, channels=channels)[0] for name in ("quick", "balanced", "best")]
        assert seen == sorted(set(seen))
    assert plan("best", 45_000)[2]["residual"]


def test_large_pictures_get_one_more_group():
    assert plan("quick", 9, height=64, width=20)[2]["filters"] == [32, 64, 64, 64]
    assert plan("quick", 9, height=16, width=128)[2]["filters"] == [32, 64, 64]


@pytest.mark.parametrize("size", [(16, 16), (16, 128), (28, 28), (20, 64), (128, 128)])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_shape_is_a_network(size, channels):
    given = Given(1000, *size, channels)
    shapes = [one.shape(given) for one in LADDER]
    shapes += [EVERYDAY[name].shape(given, epochs) for name in EVERYDAY for epochs in (1, 9)]
    for shape in shapes:
        Airbench(channels=channels, height=size[0], width=size[1], classes=2, **shape)


def test_no_pictures_have_no_length():
    with pytest.raises(ValueError, match="at least one picture"):
        choose_epochs(0, seen=1, most=1)
    with pytest.raises(ValueError, match="at least one picture"):
        choose_batch(0)


# ---------------------------------------------------------------- ease
def test_pictures_that_resemble_their_class_are_easy_and_noise_is_not():
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 4
    centres = rng.integers(0, 256, (4, 6, 5, 3))
    near = np.clip(centres[labels] + rng.normal(0, 20, (400, 6, 5, 3)), 0, 255).astype(np.uint8)
    assert ease(near, labels) == 1.0
    assert ease(rng.integers(0, 256, (400, 6, 5, 3)).astype(np.uint8), labels) == pytest.approx(
        0.25, abs=0.12
    )


def test_ease_of_next_to_nothing():
    assert ease(np.zeros((1, 4, 4, 1), np.uint8), np.zeros(1, np.int64)) == 0.0
    assert ease(np.zeros((6, 4, 4, 1), np.uint8), np.zeros(6, np.int64)) == 1.0


def test_ease_looks_at_few_pictures_of_many():
    labels = np.arange(20_000) % 2
    pixels = np.repeat(labels * 200, 4).reshape(-1, 2, 2, 1).astype(np.uint8)
    pixels[:, 0, 0, 0] = 7
    assert ease(pixels, labels) > 0.9
