"""Optimisers, schedules and averages against hand-written references."""

import copy
import io
import math

import numpy as np
import pytest
import torch
from torch import nn

from vistazo.engine.optimizers import (
    Group,
    Lookahead,
    Muon,
    build_optimizers,
    orthogonalise,
    schedule,
    set_rates,
)


@pytest.mark.parametrize("shape", [(1, 16, 144), (3, 64, 64), (2, 90, 20)])
def test_orthogonalising_keeps_the_singular_vectors_and_puts_the_values_near_one(shape) -> None:
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    left, values, right = torch.linalg.svd(matrices, full_matrices=False)
    made = orthogonalise(matrices)
    inner = left.mT @ made @ right.mT  # diagonal, if the singular vectors are the same
    diagonal = inner.diagonal(dim1=1, dim2=2)
    assert (inner - torch.diag_embed(diagonal)).abs().max() < 1e-2
    strong = values / values.flatten(1).norm(dim=1, keepdim=True) > 1e-2
    assert diagonal[strong].min() > 0.6
    assert diagonal.max() < 1.3


def test_orthogonalising_zeros_gives_zeros() -> None:
    assert torch.equal(orthogonalise(torch.zeros(1, 4, 8)), torch.zeros(1, 4, 8))


def test_muon_steps_against_the_gradient_and_keeps_the_norm() -> None:
    weight = nn.Parameter(torch.randn(8, 4, 3, 3))
    before = weight.detach() * math.sqrt(8) / weight.detach().norm()
    weight.grad = torch.randn_like(weight)
    Muon([weight], lr=0.1, momentum=0.6).step()
    expected = before - 0.1 * orthogonalise(weight.grad.flatten(1)[None] * 1.6)[0].view_as(weight)
    torch.testing.assert_close(weight.detach(), expected)


def test_muon_refuses_a_vector() -> None:
    with pytest.raises(ValueError, match=r"shape \(3,\) is neither"):
        Muon([nn.Parameter(torch.zeros(3))])


def test_triangular_by_hand() -> None:
    factor = schedule("triangular")
    assert factor(0, 100) == pytest.approx(0.2)
    assert factor(23, 100) == pytest.approx(1.0)
    assert factor(100, 100) == pytest.approx(0.07)
    assert factor(61, 100) == pytest.approx(1 - 0.93 * 38 / 77)


def test_cosine_linear_and_constant_by_hand() -> None:
    cosine = schedule("cosine")
    assert [cosine(0, 20), cosine(1, 20), cosine(20, 20)] == pytest.approx([0.5, 1.0, 0.0], abs=1e-9)
    assert schedule("linear")(5, 20) == 0.75
    assert schedule("constant")(7, 20) == 1.0


def test_an_unknown_schedule_is_named_with_those_that_exist() -> None:
    with pytest.raises(
        ValueError,
        match="no schedule 'cosin'; there are constant, cosine, inverse_time, linear, one_cycle,",
    ):
        schedule("cosin")


def model() -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 5, bias=False), nn.BatchNorm1d(5), nn.Linear(5, 3))


def groups(network: nn.Sequential) -> list[Group]:
    norm = tuple(network[1].parameters())
    return [
        Group("matrix", (network[0].weight,), "muon", 0.1, 0.6),
        Group("norm", norm, "sgd", 0.1, 0.85, decay=0.01, until=0.5),
        Group("head", tuple(network[2].parameters()), "adamw", 0.01, 0.9, decay=0.1),
    ]


def test_a_parameter_in_two_groups_is_refused() -> None:
    network = model()
    with pytest.raises(ValueError, match="stands in another group too"):
        build_optimizers([*groups(network), Group("again", (network[0].weight,), "sgd", 0.1, 0.9)])


def test_a_group_rests_after_its_share_of_the_training() -> None:
    optimizers = build_optimizers(groups(model()))
    set_rates(optimizers, 0.5, progress=0.5)
    assert {g["role"]: g["lr"] for o in optimizers for g in o.param_groups} == {
        "matrix": 0.05, "norm": 0.0, "head": 0.005,
    }  # fmt: skip


def test_decay_is_apart_from_the_gradient() -> None:
    weight = nn.Parameter(torch.ones(2))
    (optimizer,) = build_optimizers([Group("w", (weight,), "sgd", 0.5, 0.0 + 0.9, decay=0.2)])
    weight.grad = torch.zeros(2)
    optimizer.step()
    torch.testing.assert_close(weight.detach(), torch.full((2,), 0.9))


def train(network, optimizers, average, first: int, last: int) -> None:
    factor = schedule("triangular")
    for step in range(first, last):
        inputs = torch.randn(16, 6, generator=torch.Generator().manual_seed(step))
        set_rates(optimizers, factor(step, 12), progress=step / 12)
        network.zero_grad()
        network(inputs).square().mean().backward()
        for optimizer in optimizers:
            optimizer.step()
        average.update(step + 1, 12)


def test_a_saved_state_continues_to_the_bit() -> None:
    torch.manual_seed(0)
    whole = model()
    start = copy.deepcopy(whole)
    parts = build_optimizers(groups(whole)), Lookahead(whole, every=3)
    train(whole, *parts, 0, 12)

    first = start
    optimizers, average = build_optimizers(groups(first)), Lookahead(first, every=3)
    train(first, optimizers, average, 0, 7)
    file = io.BytesIO()
    states = [o.state_dict() for o in optimizers]
    torch.save((first.state_dict(), states, average.state_dict()), file)
    file.seek(0)
    weights, saved, slow = torch.load(file, weights_only=True)

    second = model()
    second.load_state_dict(weights)
    optimizers, average = build_optimizers(groups(second)), Lookahead(second)
    for optimizer, state in zip(optimizers, saved, strict=True):
        optimizer.load_state_dict(state)
    average.load_state_dict(slow)
    train(second, optimizers, average, 7, 12)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name


def test_lookahead_against_arithmetic_by_hand() -> None:
    network = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        network.weight.fill_(0.0)
    average = Lookahead(network, every=2, keep=0.5)
    slow = 0.0
    for step in range(1, 5):
        with torch.no_grad():
            network.weight.add_(1.0)
        fast = network.weight.item()
        average.update(step, 4)
        if step % 2 == 0:
            kept = 0.5 * (step / 4) ** 3
            slow = kept * slow + (1 - kept) * fast
            assert network.weight.item() == pytest.approx(slow)
        else:
            assert network.weight.item() == fast
    average.finish()
    assert network.weight.item() == pytest.approx(slow)


def test_an_average_of_another_network_is_refused() -> None:
    with pytest.raises(ValueError, match="of another network"):
        Lookahead(nn.Linear(2, 2)).load_state_dict(Lookahead(nn.Linear(2, 2, bias=False)).state_dict())


def test_sgd_steps_as_torchs_nesterov_does():
    ours, theirs = (nn.Parameter(torch.tensor([1.0, -2.0, 3.0])) for _ in range(2))
    mine = build_optimizers([Group("all", (ours,), "sgd", rate=0.1, momentum=0.9)])[0]
    reference = torch.optim.SGD([theirs], lr=0.1, momentum=0.9, nesterov=True)
    for step in range(5):
        for parameter, optimizer in ((ours, mine), (theirs, reference)):
            optimizer.zero_grad()
            (parameter.pow(2).sum() * (step + 1) / 10).backward()
            optimizer.step()
    assert torch.allclose(ours, theirs, rtol=0, atol=1e-6)


# ---------------------------------------------------------------- as the tutorials step
def gradients():
    """Ten gradients of very different sizes, one of them nothing: what epsilon is for."""
    rng = np.random.default_rng(0)
    return [rng.normal(0, 10.0 ** rng.integers(-9, 2, 40)) * (step != 4) for step in range(10)]


def plain_sgd(weights, gradient, state, t, rate):
    return weights - rate * gradient


def keras_adam(weights, gradient, state, t, rate):
    """keras.optimizers.Adam: epsilon is added to the root of the second moment as it is, uncorrected."""
    state["m"] = 0.9 * state.get("m", 0) + 0.1 * gradient
    state["v"] = 0.999 * state.get("v", 0) + 0.001 * gradient**2
    corrected = rate * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
    return weights - corrected * state["m"] / (np.sqrt(state["v"]) + 1e-7)


def keras_adagrad(weights, gradient, state, t, rate):
    state["sum"] = state.get("sum", 0.1) + gradient**2
    return weights - rate * gradient / (np.sqrt(state["sum"]) + 1e-7)


@pytest.mark.parametrize(
    ("method", "momentum", "rate", "by_hand"),
    [("sgd", 0.0, 0.04, plain_sgd), ("adam", 0.9, 1e-3, keras_adam), ("adagrad", 0.0, 1e-3, keras_adagrad)],
)
def test_a_tutorials_optimiser_steps_as_its_formula_says(method, momentum, rate, by_hand):
    begin = np.linspace(-1, 1, 40)
    weight = nn.Parameter(torch.from_numpy(begin).float())
    (optimizer,) = build_optimizers([Group("all", (weight,), method, rate, momentum)])
    factor, expected, state = schedule("inverse_time"), begin.astype(np.float64), {}
    for at, gradient in enumerate(gradients()):
        set_rates([optimizer], factor(at, 10), progress=at / 10)
        weight.grad = torch.from_numpy(gradient).float()
        optimizer.step()
        # Keras' Adagrad(1e-3, decay=1e-3 / 100): rate / (1 + decay × steps done)
        exact = gradient.astype(np.float32).astype(np.float64)
        expected = by_hand(expected, exact, state, at + 1, rate / (1 + 1e-3 / 100 * at))
        np.testing.assert_allclose(weight.detach().numpy(), expected, atol=1e-6)


def test_kerass_epsilon_is_not_torchs():
    """A first gradient of 1e-8: Keras' Adam steps 0.00024, torch's with the same epsilon ten times less of its rate."""
    weight = nn.Parameter(torch.zeros(1))
    (optimizer,) = build_optimizers([Group("all", (weight,), "adam", 1e-3, 0.9)])
    weight.grad = torch.full((1,), 1e-6)
    optimizer.step()
    by_hand = -1e-3 * math.sqrt(1 - 0.999) / (1 - 0.9) * 1e-7 / (math.sqrt(1e-3) * 1e-6 + 1e-7)
    assert weight.item() == pytest.approx(by_hand, rel=1e-4)
    assert abs(weight.item()) < 0.3e-3  # torch's own, with epsilon 1e-7, would step 0.9e-3


@pytest.mark.parametrize("method", ["adam", "adagrad", "sgd"])
def test_the_state_of_a_tutorials_optimiser_survives_a_checkpoint_to_the_bit(tmp_path, method):
    from vistazo.engine import checkpoints

    def stepped(weight, optimizer, first, last):
        for gradient in gradients()[first:last]:
            weight.grad = torch.from_numpy(gradient).float()
            optimizer.step()

    def begun():
        weight = nn.Parameter(torch.linspace(-1, 1, 40))
        return weight, build_optimizers([Group("all", (weight,), method, 1e-3, 0.0)])[0]

    whole, first, second = begun(), begun(), begun()
    stepped(*whole, 0, 10)
    stepped(*first, 0, 6)
    checkpoints.save(tmp_path, 6, {"weight": first[0].detach(), "optimizer": first[1].state_dict()})
    kept = checkpoints.load_newest(tmp_path)
    with torch.no_grad():
        second[0].copy_(kept["weight"])
    second[1].load_state_dict(kept["optimizer"])
    stepped(*second, 6, 10)
    assert torch.equal(whole[0], second[0])


def test_an_unknown_method_is_named_with_those_that_exist() -> None:
    with pytest.raises(ValueError, match="'lion'; there are muon, sgd, momentum, nesterov, adamw, adam"):
        Group("all", (nn.Parameter(torch.zeros(1)),), "lion", 1e-3, 0.0)


def test_inverse_time_by_hand() -> None:
    factor = schedule("inverse_time")
    assert [factor(0, 10), factor(100_000, 200_000)] == [1.0, 0.5]
