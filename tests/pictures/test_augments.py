"""How a list of changes is written, what is refused in which words, and what a run makes of it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vistazo.errors import ConfigError, UnknownName
from vistazo.language import speaking
from vistazo.pictures.augments import Augment, operations, parse, say, settle

COLOUR = {"flip": "auto", "suits": True, "height": 32, "width": 32, "channels": 3}
USUAL = "shift,flip"


def settled(asked, usual=USUAL, **other):
    return settle(asked, usual, **{**COLOUR, **other})


# ---------------------------------------------------------------- reading
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("none", ()),
        ("flip", (Augment("flip", 1, 1),)),
        ("rotate=15", (Augment("rotate", -15, 15),)),
        ("rotate=-10..30", (Augment("rotate", -10, 30),)),
        ("rotate", (Augment("rotate", -15, 15),)),
        ("zoom=0.8..1.2", (Augment("zoom", 0.8, 1.2),)),
        ("zoom=0.2", (Augment("zoom", 0.8, 1.2),)),
        ("crop=0.6", (Augment("crop", 0.6, 1),)),
        ("crop=0.6..0.9", (Augment("crop", 0.6, 0.9),)),
        ("blur=2", (Augment("blur", 0, 2),)),
        ("average=5", (Augment("average", 1, 5),)),
        ("cutout=0.25", (Augment("cutout", 0.25, 0.25),)),
        ("cutout=0.1..0.4", (Augment("cutout", 0.1, 0.4),)),
        ("mixup=0.2,cutmix=1", (Augment("mixup", 0.2, 0.2), Augment("cutmix", 1, 1))),
        (
            " Flip , vertical-flip = 0.3 ,".lower(),
            (Augment("flip", 1, 1), Augment("vertical_flip", 0.3, 0.3)),
        ),
        ("shift=3", (Augment("shift", 3, 3),)),
        ("recipe,hue=10", ("recipe", Augment("hue", -10, 10))),
        (
            "flip,rotate=15,zoom=0.8..1.2,translate=0.1,shear=10,crop=0.6..1,brightness=0.2,contrast=0.2,"
            "colour=0.3,blur=1,noise=0.05,dropout=0.02,cutout=0.25,mixup=0.2,cutmix=1",
            (
                Augment("flip", 1, 1),
                Augment("rotate", -15, 15),
                Augment("zoom", 0.8, 1.2),
                Augment("translate", -0.1, 0.1),
                Augment("shear", -10, 10),
                Augment("crop", 0.6, 1),
                Augment("brightness", -0.2, 0.2),
                Augment("contrast", 0.8, 1.2),
                Augment("colour", 0.7, 1.3),
                Augment("blur", 0, 1),
                Augment("noise", 0, 0.05),
                Augment("dropout", 0, 0.02),
                Augment("cutout", 0.25, 0.25),
                Augment("mixup", 0.2, 0.2),
                Augment("cutmix", 1, 1),
            ),
        ),
    ],
)
def test_a_list_is_read(text, expected):
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "--augment takes 'none' alone or a list as in flip,rotate=15,zoom=0.8..1.2, not ''."),
        ("none,flip", "--augment takes 'none' alone or a list"),
        ("flip,flip", "--augment names flip twice; leave one of them out."),
        ("flip=0.5", "--augment: flip takes no number; write flip alone."),
        (
            "rotate=200",
            "--augment: rotate must lie between -180 and 180, the smaller number first; "
            "rotate=200 means -200 to 200.",
        ),
        ("zoom=1.2..0.8", "--augment: zoom must lie between 0.1 and 10, the smaller number first;"),
        ("cutout=-0.1", "--augment: cutout must lie between 0 and 1, the smaller number first;"),
        ("crop=0..1", "--augment: crop must lie between 0.05 and 1,"),
        (
            "rotate=much",
            "--augment does not understand 'rotate=much': write rotate, or rotate=15, or rotate=-15..15.",
        ),
        ("rotate=", "--augment does not understand 'rotate=': write rotate"),
        (
            "zoom=0.8..",
            "--augment does not understand 'zoom=0.8..': write zoom, or zoom=0.2, or zoom=0.8..1.2.",
        ),
        ("zoom=nan", "--augment does not understand 'zoom=nan'"),
        ("rotate=inf", "--augment does not understand 'rotate=inf'"),
        ("mixup=0.1..0.3", "--augment does not understand 'mixup=0.1..0.3': write mixup or mixup=0.2."),
        ("average=4", "--augment: average takes odd whole numbers, not 'average=4'."),
        ("shift=1.5", "--augment: shift takes whole numbers, not 'shift=1.5'."),
    ],
)
def test_a_list_that_cannot_be_is_told_in_one_sentence(text, says):
    with pytest.raises(ConfigError, match="^.+$") as raised:
        parse(text)
    assert str(raised.value).startswith(says)


@pytest.mark.parametrize(
    ("name", "near"), [("rotat=3", "rotate"), ("Contrats", "contrast"), ("cut_out", "cutout")]
)
def test_an_unknown_change_names_the_nearest_and_all_others(name, near):
    with pytest.raises(UnknownName, match=f"Did you mean '{near}'. Known: average, blur"):
        parse(name)


@given(st.text(st.sampled_from("fliprotaezm=.,0123-5 "), max_size=25))
def test_any_text_is_read_or_refused_in_one_sentence(text):
    try:
        found = parse(text)
    except (ConfigError, UnknownName) as error:
        assert "\n" not in str(error)
    else:
        words = [one for one in found if isinstance(one, str)]
        assert set(words) <= {"all", "recipe"}
        assert all(one.low <= one.high for one in found if isinstance(one, Augment))


@pytest.mark.parametrize("name", list(operations))
def test_what_is_usual_lies_within_the_bounds_and_changes_something(name):
    one = operations[name]
    assert one.bounds[0] <= one.usual[0] <= one.usual[1] <= one.bounds[1]
    assert one.usual != (one.neutral, one.neutral)
    assert "{range}" in one.says or name == "flip"


# ---------------------------------------------------------------- what a run does
@pytest.mark.parametrize(
    ("asked", "given", "reach", "flip", "others"),
    [
        pytest.param(None, {}, 1, True, [], id="the recipe's"),
        pytest.param(None, {"suits": False}, 1, False, [], id="where mirrored pictures change their class"),
        pytest.param(None, {"height": 64, "width": 128}, 2, True, [], id="a pixel of 28"),
        pytest.param(None, {"flip": "off"}, 1, False, [], id="flip off"),
        pytest.param(None, {"flip": "on", "suits": False}, 1, True, [], id="flip on"),
        pytest.param("none", {}, 0, False, [], id="none"),
        pytest.param("none", {"flip": "on"}, 0, True, [], id="none but flip on"),
        pytest.param("flip", {"suits": False}, 0, True, [], id="asking for it beats the rule"),
        pytest.param("rotate=9", {}, 0, False, [["rotate", -9, 9]], id="a list replaces the recipe's"),
        pytest.param("recipe,rotate=9", {}, 1, True, [["rotate", -9, 9]], id="or adds to it"),
        pytest.param("recipe,rotate=9", {"suits": False}, 1, False, [["rotate", -9, 9]], id="with its rule"),
        pytest.param("recipe,shift=4", {}, 4, True, [], id="or takes the place of one"),
        pytest.param("shift=0", {}, 0, False, [], id="no shift"),
        pytest.param("rotate=0,zoom=1..1,noise=0", {}, 0, False, [], id="strengths of nothing"),
        pytest.param("colour,hue,noise=0.1", {"channels": 1}, 0, False, [["noise", 0, 0.1]], id="grey"),
        pytest.param(
            "cutout,rotate", {}, 0, False, [["rotate", -15, 15], ["cutout", 0.25, 0.25]], id="order"
        ),
    ],
)
def test_the_list_the_recipe_and_the_flip_are_settled(asked, given, reach, flip, others):
    found = settled(asked, **given)
    assert (found.reach, found.flip, found.others) == (reach, flip, others)
    assert json.loads(json.dumps(found.others)) == found.others


def test_a_recipe_may_shift_further_and_a_number_wins_over_it():
    assert settled(None, reach=2, height=32, width=32).reach == 2
    assert settled(None, reach=2, height=224, width=224).reach == 16
    assert settled("shift=1", reach=2, height=224, width=224).reach == 1


def test_a_recipe_may_have_more_and_a_list_turns_it_off():
    assert settled(None, "shift,flip,cutout=0.3").others == [["cutout", 0.3, 0.3]]
    assert settled("recipe,cutout=0.5", "shift,flip,cutout=0.3").others == [["cutout", 0.5, 0.5]]
    assert settled("none", "shift,flip,cutout=0.3").others == []


def test_all_is_every_change_at_its_usual_strength():
    found = settled("all")
    assert (found.reach, found.flip) == (1, True)
    assert [one[0] for one in found.others] == [name for name in operations if name not in ("shift", "flip")]


def test_a_flip_that_is_asked_for_and_forbidden_is_a_contradiction():
    with pytest.raises(ConfigError, match="--flip off and the flip in --augment contradict one another"):
        settled("flip,rotate", flip="off")
    assert not settled("recipe,rotate", flip="off").flip


# ---------------------------------------------------------------- in words
def test_what_happens_is_said_in_words_and_the_numbers_of_the_language():
    found = settled("recipe,rotate=15,zoom=0.8..1.25,translate=0.1,crop=0.6,noise=0.025,cutout=0.25,blur")
    assert say(found.reach, found.flip, found.others) == [
        "shift: moved by up to 1 px",
        "flip: mirrored every other epoch",
        "crop: cropped to 60 – 100% of the area",
        "rotate: turned by ±15°",
        "zoom: zoomed 0.8 – 1.25 times",
        "translate: moved by ±10% of the side",
        "blur: Gaussian blur of 0 – 1 px",
        "noise: Gaussian noise of 0 – 2.5%",
        "cutout: a square of 25% of the side hidden",
    ]
    with speaking("es"):
        assert "0,8 – 1,25" in say(0, False, [["zoom", 0.8, 1.25]])[0]
        assert "0 – 2,5\u00a0%" in say(0, False, [["noise", 0, 0.025]])[0]
    assert say(0, False, []) == []
