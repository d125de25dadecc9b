"""A run on pictures with a loss of one's choice: learnt, kept, read back, evaluated; and what cannot be."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

import vistazo
from vistazo import bundle
from vistazo.classification.config import ClassificationConfig
from vistazo.classification.objective import chosen, require_classes, require_loss, sentences
from vistazo.classification.recipes import require_sense
from vistazo.config import build
from vistazo.errors import BundleDamaged, ConfigError, UsageError


def config(**settings):
    return build(ClassificationConfig, settings)


def decided(objective="cross_entropy", smoothing=0.2):
    return SimpleNamespace(objective=objective, smoothing=smoothing)


def index(*classes, several=False):
    return SimpleNamespace(classes=classes, labels=np.zeros((3, len(classes)), bool) if several else None)


# ---------------------------------------------------------------- what is decided
@pytest.mark.parametrize(
    ("settings", "own", "several", "begun", "expected"),
    [
        pytest.param({}, decided(), False, None, ("cross_entropy", {}, 0.2), id="the recipe's"),
        pytest.param({"loss": "mse"}, decided(), False, None, ("mse", {}, 0.0), id="its smoothing is its own"),
        pytest.param({"loss": "log_loss"}, decided(), False, None, ("cross_entropy", {}, 0.2), id="the same loss"),
        pytest.param({"loss": "focal=1"}, decided(), False, None, ("focal", {"gamma": 1.0}, 0.0), id="gamma"),
        pytest.param({"loss": "focal", "smoothing": 0.1}, decided(), False, None, ("focal", {"gamma": 2.0}, 0.1),
                     id="smoothed"),
        pytest.param({"smoothing": 0}, decided(), False, None, ("cross_entropy", {}, 0), id="none at all"),
        pytest.param({}, decided("squashed_cross_entropy", 0.0), False, None, ("squashed_cross_entropy", {}, 0.0),
                     id="the network's"),
        pytest.param({"loss": "hinge"}, decided("squashed_cross_entropy", 0.0), False, None, ("hinge", {}, 0.0),
                     id="not the network's"),
        pytest.param({"loss": "binary_cross_entropy"}, decided(), False, None, ("cross_entropy", {}, 0.2),
                     id="of two classes"),
        pytest.param({}, decided(), True, None, ("binary_cross_entropy", {}, 0.2), id="several labels"),
        pytest.param({}, decided(), False, ("focal", {"gamma": 3.0}), ("focal", {"gamma": 3.0}, 0.0),
                     id="that of the model begun from"),
        pytest.param({"loss": "mae"}, decided(), False, ("focal", {"gamma": 3.0}), ("mae", {}, 0.0),
                     id="another than the model begun from had"),
    ],
)  # fmt: skip
def test_the_loss_is_what_was_asked_for_else_the_models_else_the_recipes(
    settings, own, several, begun, expected
):
    found = chosen(config(**settings), own, several=several, begun=begun)
    assert (found["objective"], found["loss_arguments"], found["smoothing"]) == expected


# ---------------------------------------------------------------- what cannot be
@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"loss": "hinged"}, "There is no loss 'hinged'. Did you mean 'hinge'?"),
        ({"loss": "pinball"}, "The loss pinball learns quantiles"),
        (
            {"loss": "hinge", "smoothing": 0.1},
            "and hinge has none: leave it out, or choose one of cross_entropy",
        ),
        (
            {"model": "fashion_cnn", "smoothing": 0.1},
            "with the loss squashed_cross_entropy it can be sure of nothing",
        ),
        ({"loss": "squashed_cross_entropy", "smoothing": 0.1}, "it can be sure of nothing"),
        ({"recipe": "fashion", "smoothing": 0.1}, "it can be sure of nothing"),
    ],
)
def test_an_impossible_pair_is_refused_before_a_picture_is_read(settings, says):
    if settings.get("recipe") == "fashion":
        from vistazo.classification.recipes import recipes

        settings["recipe"] = next(name for name in recipes if recipes[name].model == "fashion_cnn")
    with pytest.raises(UsageError, match="^.+$") as raised:
        require_sense(config(**settings))
    assert says in str(raised.value)


@pytest.mark.parametrize("value", [-0.1, 1, "much"])
def test_smoothing_beyond_its_bounds_is_refused(value):
    with pytest.raises(ConfigError, match="^--smoothing must be"):
        config(smoothing=value)


def test_what_suits_is_let_through():
    for settings in ({}, {"loss": "mse"}, {"smoothing": 0.3}, {"loss": "kl_divergence", "smoothing": 0.1},
                     {"model": "fashion_cnn", "loss": "cross_entropy", "smoothing": 0.1},
                     {"loss": "hinge", "smoothing": 0}):  # fmt: skip
        require_loss(config(**settings))


def test_a_loss_is_compared_with_the_classes_before_pictures_are_decoded():
    with pytest.raises(
        ConfigError, match="^--loss mse is for one class a picture, and here a picture may have"
    ):
        require_classes(config(loss="mse"), index("a", "b", several=True))
    with pytest.raises(
        ConfigError, match=r"here a picture has one class of 3: with cross_entropy their .+ to 1\."
    ):
        require_classes(config(loss="binary_cross_entropy"), index("a", "b", "c"))
    require_classes(config(loss="binary_crossentropy"), index("a", "b"))
    require_classes(config(loss="binary_crossentropy"), index("a", "b", "c", several=True))
    require_classes(config(), index("a", "b", "c", several=True))


def test_another_name_is_told():
    assert sentences(config(), several=False) == []
    assert sentences(config(loss="sparse_categorical_cross_entropy"), several=False) == [
        "loss sparse_categorical_cross_entropy: called cross_entropy here"
    ]
    (told,) = sentences(config(loss="binary_cross_entropy"), several=False)
    assert told.startswith("loss binary_cross_entropy: of two classes it is cross_entropy")
    assert sentences(config(loss="binary_cross_entropy"), several=True) == []


# ---------------------------------------------------------------- a whole run
@pytest.fixture(scope="module")
def focal_run(wardrobe, tiny, tmp_path_factory):
    """A finished run with the focal loss, gamma 1, on 300 pictures."""
    from vistazo import cli

    folder = tmp_path_factory.mktemp("focal") / "run"
    words = ["train", wardrobe, *tiny, "--loss", "focal=1", "--smoothing", "0.05", "--out", folder, "--quiet"]
    assert cli.main([str(word) for word in words]) == 0
    return folder


def test_a_model_carries_its_loss_and_reads_its_scores_by_it(focal_run, wardrobe):
    facts = bundle.load(focal_run / "model.vistazo").facts
    assert (facts["objective"], facts["loss_arguments"]) == ("focal", {"gamma": 1.0})
    model = vistazo.load(focal_run)
    told = json.loads((focal_run / "metrics.json").read_text(encoding="utf-8"))
    found = model.evaluate(wardrobe)["metrics"]
    assert found["loss"] == pytest.approx(told["metrics"]["test"]["loss"], rel=1e-6)
    scores = np.random.default_rng(0).normal(0, 2, (1, 4, 10)).astype(np.float32)
    own = model.combine(scores)
    assert own.sum(1) == pytest.approx(1)
    other = vistazo.classification.classifier.replace(
        model, objective="cross_entropy", loss_arguments={}
    ).combine(scores)
    assert abs(own - other).max() > 0.01  # what is read otherwise says something else


def test_the_report_draws_a_loss_of_another_kind_over_an_axis_of_its_own(focal_run):
    page = (focal_run / "report.html").read_text(encoding="utf-8")
    assert "focal=1" in page and "log loss" in page
    assert "loss arguments" not in page


def test_a_forged_loss_is_refused(focal_run, tmp_path):
    from dataclasses import replace

    kept = bundle.load(focal_run / "model.vistazo")
    for facts in (
        {"loss_arguments": {"gamma": 99.0}},
        {"loss_arguments": {"delta": 1.0}},
        {"objective": "pinball"},
    ):
        path = tmp_path / "forged.vistazo"
        path.unlink(missing_ok=True)
        bundle.save(replace(kept, facts={**kept.facts, **facts}), path)
        with pytest.raises(BundleDamaged):
            vistazo.load(path)


def test_an_impossible_loss_ends_the_command_with_one_sentence(verb, wardrobe, tiny):
    answer = verb("train", wardrobe, *tiny, "--loss", "binary_cross_entropy", "--out", "run")
    assert answer.code == 2
    assert "here a picture has one class of 10" in answer.err.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.parametrize(
    "loss", ["mse", "mae", "hinge", "huber=0.5", "kl_divergence", "cosine_similarity", "poisson", "focal"]
)
def test_a_run_with_every_loss_learns_and_answers(loss, wardrobe, tiny, in_tmp):
    result = vistazo.train(
        wardrobe, task="classification", filters="8,16", epochs=6, precision="fp32", layout="contiguous", threads=1,
        loss=loss, out="run", quiet=True,
    )  # fmt: skip
    assert result.metrics["test"]["accuracy"] > 0.25
    model = vistazo.load("run")
    assert model.evaluate(wardrobe)["metrics"]["accuracy"] == result.metrics["test"]["accuracy"]
    pictures = np.random.default_rng(0).integers(0, 256, (3, 28, 28, 1), np.uint8)
    assert model.probabilities(pictures).sum(1) == pytest.approx(1)
