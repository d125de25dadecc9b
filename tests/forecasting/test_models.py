"""The seven networks: their sizes, their shapes, and the published recursion step by step."""

import math

import numpy as np
import pytest
import torch

from vistazo.errors import UnknownName
from vistazo.forecasting import steps as time
from vistazo.forecasting.models import (
    QUANTILES,
    Features,
    Moments,
    calendar_features,
    create,
    listing,
    models,
)
from vistazo.networks.packed import take_members

NAMES = ["tide", "dlinear", "lstm", "transformer", "st1", "stmv", "ste"]


def arguments(window=7, horizon=7, members=2, step="day", known=0, series=1):
    cycles = [size for _, size in time.CYCLES[step]]
    return {
        "members": members,
        "window": window,
        "horizon": horizon,
        "cycles": cycles,
        "known": known,
        "series": series,
    }


def moments_of(windows, length, step="day", known=0, series=1, seed=0):
    generator = np.random.default_rng(seed)
    at = generator.integers(15000, 20000, (windows, 1)) + np.arange(length)
    flat = at.ravel()
    return Moments(
        codes=torch.from_numpy(time.codes_of(flat, step).reshape(windows, length, 2)),
        gaps=torch.from_numpy(generator.integers(0, 4, (windows, length, 2))),
        turn=torch.from_numpy(time.calendar(flat, step).reshape(windows, length, -1)),
        known=torch.from_numpy(generator.normal(size=(windows, length, known)).astype(np.float32)),
        series=torch.from_numpy(generator.integers(0, series, windows)),
    )


def rows(moments, chosen):
    return Moments(**{name: one[chosen] for name, one in vars(moments).items()})


def made(name, **changes):
    torch.manual_seed(0)
    return create(name, arguments(**changes)).eval()


def test_there_are_seven_networks_and_each_tells_its_source():
    told = listing()
    assert [one["name"] for one in told] == NAMES == list(models)
    assert all(one["source"] for one in told)
    assert len({one["parameters"] for one in told}) == 7


def test_an_unknown_network_is_answered_with_the_nearest_name():
    with pytest.raises(UnknownName, match="Did you mean 'transformer'"):
        create("transfomer", arguments())


def test_the_published_networks_have_the_published_numbers_of_parameters():
    # Dense 7 → 7 and 7 → 1; two more inputs; embeddings 8 × 2 and 13 × 4, six more inputs.
    counts = {one["name"]: one["parameters"] for one in listing()}
    assert counts["st1"] == (7 * 7 + 7) + (7 + 1) == 64
    assert counts["stmv"] == (9 * 7 + 7) + (7 + 1) == 78
    assert counts["ste"] == (13 * 7 + 7) + (7 + 1) + 8 * 2 + 13 * 4 == 174


def test_the_rich_networks_have_the_parameters_that_their_layers_add_up_to():
    seen = 7 * 3 + 12 + 6 + 12  # features: seasons, gaps, turn
    counts = {one["name"]: one["trainable"] for one in listing()}
    inputs = 7 + seen + 3
    assert counts["tide"] == (inputs * 32 + 32) + (32 * 32 + 32) + (32 * 5 + 5) + (inputs * 5 + 5)
    assert counts["dlinear"] == 2 * (7 * 35 + 35) + (seen * 5 + 5)
    assert counts["lstm"] == ((seen + 2 + 24) * 96 + 96) + (24 * 5 + 5) + (seen * 5 + 5)
    layer = 2 * 64 + (32 * 96 + 96) + (32 * 32 + 32) + (32 * 64 + 64) + (64 * 32 + 32)
    assert counts["transformer"] == (
        ((seen + 2) * 32 + 32) + 14 * 32 + 2 * layer + 64 + (32 * 5 + 5) + (seen * 5 + 5)
    )


# ---------------------------------------------------------------- one contract for all
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("step", ["hour", "day", "week", "month"])
@pytest.mark.parametrize(("window", "horizon"), [(7, 7), (3, 12), (1, 1)])
def test_every_network_gives_every_quantile_of_every_step_ahead(name, step, window, horizon):
    network = made(name, window=window, horizon=horizon, step=step, known=2, series=3, members=2)
    moments = moments_of(4, window + horizon, step, known=2, series=3)
    told = network(torch.randn(2, 4, window), moments, horizon)
    assert told.shape == (2, 4, horizon, len(QUANTILES) if models[name].recipe.quantiles else 1)
    assert told.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_a_forecast_does_not_depend_on_the_other_windows_of_its_batch(name):
    network, moments, past = made(name, series=3), moments_of(6, 14, series=3), torch.randn(2, 6, 7)
    whole = network(past, moments, 7)
    for one in range(6):
        torch.testing.assert_close(
            network(past[:, one : one + 1], rows(moments, [one]), 7), whole[:, one : one + 1]
        )


@pytest.mark.parametrize("name", NAMES)
def test_a_pack_is_as_many_networks_of_one_member(name):
    network, moments, past = made(name, members=3), moments_of(5, 14), torch.randn(3, 5, 7)
    whole = network(past, moments, 7)
    for member in range(3):
        alone = made(name, members=1)
        alone.load_state_dict(take_members(network.state_dict(), member, member + 1))
        torch.testing.assert_close(alone(past[member : member + 1], moments, 7)[0], whole[member])


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_of_every_member_learns_and_no_member_moves_another(name):
    network, moments, past = made(name, members=3), moments_of(30, 14), torch.randn(3, 30, 7)
    weights = torch.tensor([1.0, 0.0, 1.0])[:, None, None, None]
    ((network(past, moments, 7) - 1) ** 2 * weights).sum().backward()
    for parameter, one in network.named_parameters():
        assert (one.grad[1] == 0).all(), parameter
        for member in (0, 2):
            assert one.grad[member].abs().max() > 0, parameter


@pytest.mark.parametrize("name", NAMES)
def test_the_past_changes_the_forecast_and_the_calendar_of_the_past_alone_does_not_rule_it(name):
    network, moments = made(name), moments_of(5, 14)
    one, other = (network(torch.randn(2, 5, 7), moments, 7) for _ in range(2))
    assert not torch.allclose(one, other)


@pytest.mark.parametrize("name", ["tide", "lstm", "transformer"])
def test_one_enormous_input_cannot_throw_a_forecast(name):
    network, moments, past = made(name), moments_of(5, 14), torch.randn(2, 5, 7)
    past[:, :, 3] = 4.0
    usual = network(past, moments, 7)
    past[:, :, 3] = 1e6
    assert torch.equal(network(past, moments, 7), usual)


@pytest.mark.parametrize("name", NAMES)
def test_dropout_ends_with_training(name):
    network, moments, past = made(name), moments_of(5, 14), torch.randn(2, 5, 7)
    assert torch.equal(network(past, moments, 7), network(past, moments, 7))


# ---------------------------------------------------------------- the published networks by hand
@pytest.mark.parametrize(("name", "inputs"), [("st1", 0), ("stmv", 2), ("ste", 6)])
def test_the_published_networks_feed_their_predictions_back(name, inputs):
    network, moments, past = made(name, members=1), moments_of(3, 11), torch.randn(1, 3, 7)
    found = network(past, moments, 4)
    state = {key: one.double().numpy()[0] for key, one in network.state_dict().items()}
    assert state["hidden.weight_MIO"].shape == (7 + inputs, 7)
    for row in range(3):
        window = past[0, row].double().tolist()
        for ahead in range(4):
            weekday, month = moments.codes[row, 7 + ahead].tolist()
            extra = {"st1": [], "stmv": [weekday, month + 1]}.get(name)
            if extra is None:
                extra = [
                    *state["calendar.short.table_MNO"][weekday],
                    *state["calendar.long.table_MNO"][month + 1],
                ]
            given = [*window, *extra]
            hidden = [math.tanh(sum(value * state["hidden.weight_MIO"][i, k] for i, value in enumerate(given))
                                + state["hidden.bias_M1O"][0, k]) for k in range(7)]  # fmt: skip
            told = math.tanh(sum(value * state["head.weight_MIO"][k, 0] for k, value in enumerate(hidden))
                             + state["head.bias_M1O"][0, 0])  # fmt: skip
            assert found[0, row, ahead, 0].item() == pytest.approx(told, abs=1e-5)
            window = [*window[1:], told]


# ---------------------------------------------------------------- the calendar as features
def test_features_say_season_gaps_turn_known_and_series():
    moments = Moments(
        codes=torch.tensor([[[2, 11]]]), gaps=torch.tensor([[[1, 0]]]), turn=torch.arange(12.0).reshape(1, 1, 12),
        known=torch.tensor([[[7.0, 8.0]]]), series=torch.tensor([1]),
    )  # fmt: skip
    weekday, month = [float(k == 2) for k in range(7)], [float(k == 11) for k in range(12)]
    assert calendar_features(moments, (7, 12), 3)[0, 0].tolist() == [
        *weekday, *weekday, *weekday, *month, 0, 1, 0, 1, 0, 0, *range(12), 7, 8, 0, 1, 0,
    ]  # fmt: skip


def test_standardised_features_of_the_steps_trained_on_have_mean_nothing_and_spread_one():
    features = Features(2, [7, 12], 0, 1)
    plain = features.plain(moments_of(400, 14)).reshape(-1, features.size)
    features.fit(1, plain)
    assert (features.centre_M1C[0] == 0).all()
    assert (features.spread_M1C[0] == 1).all()
    scaled = (plain - features.centre_M1C[1]) / features.spread_M1C[1]
    wide = plain.std(0, correction=0) >= 0.05
    assert wide.sum() > 40
    assert scaled.mean(0).abs().max() < 1e-4
    torch.testing.assert_close(
        scaled.std(0, correction=0)[wide], torch.ones(int(wide.sum())), rtol=1e-3, atol=1e-3
    )


def test_a_feature_never_seen_in_training_stays_small():
    features = Features(1, [7, 12], 0, 1)
    moments = moments_of(50, 14)
    features.fit(0, torch.zeros(10, features.size))
    assert features(moments).abs().max() <= 4
