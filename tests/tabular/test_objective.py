"""A run on a table with a loss of one's choice: learnt, kept, read back; and what cannot be."""

import json

import numpy as np
import pytest

import vistazo
from vistazo import bundle
from vistazo.errors import ConfigError, UnknownName


@pytest.fixture(scope="module")
def visits():
    """200 rows whose number of visits is a count, its logarithm a line of two numbers."""
    random = np.random.default_rng(4)
    size, near = random.uniform(0, 2, 200).round(3), random.uniform(0, 1, 200).round(3)
    return {
        "size": size.tolist(),
        "near": near.tolist(),
        "visits": random.poisson(20 * np.exp(0.8 * size - near)).tolist(),
    }


@pytest.mark.parametrize("loss", ["mae", "huber=0.5", "poisson"])
def test_a_run_on_numbers_learns_with_every_loss(visits, learn, loss, tmp_path):
    run = learn(visits, target="visits", kind="regression", loss=loss, epochs=40, hidden="32", decay=0.1,
                out=str(tmp_path / "run"))  # fmt: skip
    told = json.loads((run.run / "metrics.json").read_text(encoding="utf-8"))["metrics"]["test"]
    assert told["mae"] < told["baselines"]["mean"]["mae"] / 2
    model = vistazo.load(run.run)
    facts = bundle.load(run.run / "model.vistazo").facts
    assert facts["objective"] == loss.partition("=")[0]
    assert facts.get("loss_arguments", {}) == ({"delta": 0.5} if loss.startswith("huber") else {})
    rows = {"size": [0.0, 2.0, 9.0], "near": [1.0, 0.0, -9.0]}
    low, high, far = list(model.predict(rows))
    assert low["value"] < high["value"]
    assert all(one["low"] <= one["value"] <= one["high"] for one in (low, high, far))
    if loss == "poisson":
        assert min(low["value"], low["low"]) >= 0
        assert far["value"] > 0 and np.isfinite(far["value"])


@pytest.mark.parametrize("loss", ["hinge", "focal=1", "sparse_categorical_cross_entropy", "mse"])
def test_a_run_on_classes_learns_with_losses_of_classes(flowers, learn, loss, tmp_path):
    run = learn(flowers, target="flower", loss=loss, epochs=12, hidden="32", out=str(tmp_path / "run"))
    assert run.metrics["test"]["accuracy"] >= 0.6
    (answer,) = vistazo.load(run.run).predict([{name: column[0] for name, column in flowers.items()}], top=3)
    assert sum(share for _, share in answer["top"]) == pytest.approx(1, abs=1e-5)


def test_binary_cross_entropy_of_two_classes_is_cross_entropy(flowers, learn, tmp_path):
    two = {name: [cell for cell, kind in zip(column, flowers["flower"], strict=True) if kind != "rose"]
           for name, column in flowers.items()}  # fmt: skip
    runs = [
        learn(two, target="flower", loss=loss, epochs=2, out=str(tmp_path / str(at)))
        for at, loss in enumerate(("binary_cross_entropy", None))
    ]
    assert runs[0].metrics["test"]["loss"] == runs[1].metrics["test"]["loss"]


@pytest.mark.parametrize(
    ("target", "settings", "error", "says"),
    [
        (
            "price",
            {"loss": "hinge"},
            ConfigError,
            "The loss hinge compares classes, and here a number is learnt",
        ),
        ("price", {"loss": "poison"}, UnknownName, "There is no loss 'poison'. Did you mean 'poisson'?"),
        (
            "price",
            {"loss": "cross_entropy", "kind": "regression"},
            ConfigError,
            "add --kind classification if",
        ),
        ("price", {"loss": "pinball"}, ConfigError, "The loss pinball learns quantiles"),
        ("change", {"loss": "poisson"}, ConfigError, "and 'change' is -5 in row 2 (2 such rows): choose mse"),
    ],
)
def test_a_loss_that_does_not_suit_the_target_is_refused(
    houses, learn, target, settings, error, says, tmp_path
):
    change = [-5.0 if row in (1, 7) else float(row) + 0.5 for row in range(200)]
    table = {**houses, "change": change}
    with pytest.raises(error, match="^.+$") as raised:
        learn(table, target=target, out=str(tmp_path / "run"), **settings)
    assert says in str(raised.value)


def test_binary_cross_entropy_of_three_classes_is_refused(flowers, learn, tmp_path):
    with pytest.raises(
        ConfigError, match=r"^--loss binary_cross_entropy asks of each label .+ is one class of 3: "
    ):
        learn(flowers, target="flower", loss="binary_cross_entropy", out=str(tmp_path / "run"))


def test_the_published_robust_scaler_can_be_chosen(flowers, learn, tmp_path):
    run = learn(flowers, target="flower", scaler="robust-q1", out=str(tmp_path / "run"))
    kept = bundle.load(run.run / "model.vistazo").preprocessing["columns"]
    assert {one["scaler"]["kind"] for one in kept if one["scaler"]} == {"robust-q1"}
