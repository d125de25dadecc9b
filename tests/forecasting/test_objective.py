"""The loss of a forecast: quantiles by the pinball loss alone, one number by what suits it."""

import pytest
import torch

from vistazo.config import build
from vistazo.engine.losses import Pinball
from vistazo.errors import ConfigError, UnknownName
from vistazo.forecasting.config import ForecastingConfig
from vistazo.forecasting.models import models
from vistazo.forecasting.objective import chosen, loss_of


def config(**settings):
    return build(ForecastingConfig, settings)


@pytest.mark.parametrize("model", list(models))
def test_without_a_choice_it_is_the_pinball_loss_of_as_many_quantiles_as_the_network_has(model):
    found = chosen(config(), model)
    objective = loss_of(model, found["objective"], found["loss_arguments"])
    assert isinstance(objective, Pinball)
    assert len(objective.quantiles) == (5 if models[model].recipe.quantiles else 1)


def test_the_tutorials_networks_may_learn_a_mean():
    found = chosen(config(loss="huber=0.2"), "st1")
    assert found == {"objective": "huber", "loss_arguments": {"delta": 0.2}}
    scores, targets = torch.tensor([[[1.0], [0.0]]]), torch.tensor([[0.0, 0.1]])
    loss = loss_of("st1", found["objective"], found["loss_arguments"])
    expected = (0.2 * (1 - 0.1) + 0.1**2 / 2) / 2
    assert loss.loss(scores, targets, torch.ones(1, 2)).item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("model", "loss", "says"),
    [
        (
            "tide",
            "mse",
            r"^--loss mse learns one number a step, and tide learns five quantiles .+ --model st1, stmv, ste\.$",
        ),
        (
            "st1",
            "poisson",
            r"^--loss poisson does not suit a forecast, whose scaled values lie below 0 too: .+$",
        ),
        ("st1", "hinge", r"^--loss hinge does not suit a forecast, .+: choose one of mse, mae, huber\.$"),
        ("st1", "pinball", r"^The loss pinball learns quantiles, one an output: .+ Leave --loss out\.$"),
    ],
)
def test_a_loss_that_does_not_suit_a_forecast_is_refused_with_the_reason(model, loss, says):
    with pytest.raises(ConfigError, match=says):
        chosen(config(loss=loss), model)
    with pytest.raises(UnknownName):
        chosen(config(loss="nothing"), model)


def test_a_forecast_of_quantiles_with_another_loss_ends_with_one_sentence(verb, tmp_path):
    table = tmp_path / "sales.csv"
    days = [f"2020-{month:02}-{day:02}" for month in range(1, 5) for day in range(1, 29)]
    table.write_text("date,sold\n" + "".join(f"{day},{at % 7 + at}\n" for at, day in enumerate(days)))
    answer = verb("train", table, "--loss", "mse", "--out", "run")
    assert answer.code == 2
    assert "only the pinball loss does" in answer.err.splitlines()[-1]
    words = ("--model", "st1", "--loss", "mse", "--epochs", "3", "--threads", "1", "--out", "mean")
    learnt = verb("train", table, *words, "--json")
    assert learnt.code == 0, learnt.err
    assert learnt.json["metrics"]["test"]["mae"] > 0
    told = verb("predict", "mean", "--json").json
    assert told
