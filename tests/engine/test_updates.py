"""Every optimiser against its published formula, written out in NumPy, and against torch's where that is the same."""

import numpy as np
import pytest
import torch
from torch import nn

from vistazo.engine import checkpoints
from vistazo.engine.optimizers import (
    Group,
    all_by,
    at_rate,
    build_optimizers,
    decayed,
    methods,
    schedule,
    set_rates,
)

STEPS, SHAPE = 20, (6, 4)


def gradients():
    """Twenty gradients of very different sizes, one of them nothing."""
    rng = np.random.default_rng(1)
    return [rng.normal(0, 10.0 ** rng.integers(-5, 2, SHAPE)) * (step != 7) for step in range(STEPS)]


def begin():
    return np.random.default_rng(0).normal(0, 1, SHAPE)


# ---------------------------------------------------------------- the formulas, in float64
def sgd(w, g, s, t, lr):
    return w - lr * g


def momentum(w, g, s, t, lr):
    s["v"] = 0.9 * s.get("v", 0) + g
    return w - lr * s["v"]


def nesterov(w, g, s, t, lr):
    s["v"] = 0.9 * s.get("v", 0) + g
    return w - lr * (g + 0.9 * s["v"])


def adam(w, g, s, t, lr):
    """keras.optimizers.Adam."""
    s["m"] = 0.9 * s.get("m", 0) + 0.1 * g
    s["v"] = 0.999 * s.get("v", 0) + 0.001 * g**2
    return w - lr * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * s["m"] / (np.sqrt(s["v"]) + 1e-7)


def adamw(w, g, s, t, lr):
    """arXiv:1711.05101, algorithm 2, with the decay times the rate as torch has it."""
    w = w * (1 - lr * 0.01)
    s["m"] = 0.9 * s.get("m", 0) + 0.1 * g
    s["v"] = 0.999 * s.get("v", 0) + 0.001 * g**2
    return w - lr * (s["m"] / (1 - 0.9**t)) / (np.sqrt(s["v"] / (1 - 0.999**t)) + 1e-8)


def nadam(w, g, s, t, lr):
    """Dozat 2016, algorithm 8."""
    mu, after = (0.9 * (1 - 0.5 * 0.96 ** (0.004 * one)) for one in (t, t + 1))
    s["p"] = s.get("p", 1) * mu
    s["m"] = 0.9 * s.get("m", 0) + 0.1 * g
    s["v"] = 0.999 * s.get("v", 0) + 0.001 * g**2
    seen = after * s["m"] / (1 - s["p"] * after) + (1 - mu) * g / (1 - s["p"])
    return w - lr * seen / (np.sqrt(s["v"] / (1 - 0.999**t)) + 1e-8)


def rmsprop(w, g, s, t, lr):
    s["v"] = 0.9 * s.get("v", 0) + 0.1 * g**2
    return w - lr * g / (np.sqrt(s["v"]) + 1e-7)


def adagrad(w, g, s, t, lr):
    s["s"] = s.get("s", 0.1) + g**2
    return w - lr * g / (np.sqrt(s["s"]) + 1e-7)


def muon(w, g, s, t, lr):
    """Jordan et al. 2024: five Newton-Schulz steps on the matrix itself; taller than wide, a larger step."""
    s["m"] = 0.95 * s.get("m", 0) + g
    x = (g + 0.95 * s["m"]).T  # 6 × 4 is taller than wide
    x = x / np.linalg.norm(x)
    for _ in range(5):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return w - lr * np.sqrt(6 / 4) * x.T


FORMULAS = {
    one.__name__: one for one in (sgd, momentum, nesterov, adam, adamw, nadam, rmsprop, adagrad, muon)
}


def of(method, weight):
    usual = methods[method]
    return build_optimizers(
        [Group("all", (weight,), method, usual.rate, usual.momentum, usual.decay, normalise=False)]
    )[0]


def test_every_method_has_a_reference_here_and_is_told_about():
    assert set(methods) == set(FORMULAS) == set(methods.about)


@pytest.mark.parametrize("method", list(methods))
def test_twenty_steps_are_those_of_the_published_formula(method):
    weight = nn.Parameter(torch.from_numpy(begin()))
    optimizer, expected, state = of(method, weight), begin(), {}
    factor = schedule("one_cycle")
    for at, gradient in enumerate(gradients()):
        set_rates([optimizer], factor(at, STEPS), progress=at / STEPS)
        weight.grad = torch.from_numpy(gradient)
        optimizer.step()
        rate = methods[method].rate * factor(at, STEPS)
        expected = FORMULAS[method](expected, gradient, state, at + 1, rate)
        np.testing.assert_allclose(weight.detach().numpy(), expected, rtol=0, atol=1e-6)


TORCHS = {
    "sgd": lambda w: torch.optim.SGD(w, lr=0.01),
    "momentum": lambda w: torch.optim.SGD(w, lr=0.01, momentum=0.9),
    "nesterov": lambda w: torch.optim.SGD(w, lr=0.01, momentum=0.9, nesterov=True),
    "adamw": lambda w: torch.optim.AdamW(w, lr=1e-3, weight_decay=0.01),
    "nadam": lambda w: torch.optim.NAdam(w, lr=2e-3),
    "rmsprop": lambda w: torch.optim.RMSprop(w, lr=1e-3, alpha=0.9, eps=1e-7),
    "adagrad": lambda w: torch.optim.Adagrad(w, lr=1e-3, initial_accumulator_value=0.1, eps=1e-7),
}


@pytest.mark.parametrize("method", list(TORCHS))
def test_twenty_steps_are_those_of_torch(method):
    ours, theirs = (nn.Parameter(torch.from_numpy(begin())) for _ in range(2))
    mine, reference = of(method, ours), TORCHS[method]([theirs])
    for gradient in gradients():
        for weight, optimizer in ((ours, mine), (theirs, reference)):
            weight.grad = torch.from_numpy(gradient)
            optimizer.step()
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=0, atol=1e-9)


@pytest.mark.parametrize("method", list(methods))
def test_the_state_of_every_method_survives_a_checkpoint_to_the_bit(tmp_path, method):
    def stepped(weight, optimizer, first, last):
        for gradient in gradients()[first:last]:
            weight.grad = torch.from_numpy(gradient).float()
            optimizer.step()

    whole = nn.Parameter(torch.from_numpy(begin()).float())
    stepped(whole, of(method, whole), 0, STEPS)
    first = nn.Parameter(torch.from_numpy(begin()).float())
    optimizer = of(method, first)
    stepped(first, optimizer, 0, 9)
    checkpoints.save(tmp_path / "checkpoints", 9, {"weight": first.detach(), "state": optimizer.state_dict()})
    saved = checkpoints.load_newest(tmp_path / "checkpoints")
    second = nn.Parameter(saved["weight"].clone())
    optimizer = of(method, second)
    optimizer.load_state_dict(saved["state"])
    stepped(second, optimizer, 9, STEPS)
    assert torch.equal(whole, second)


def test_a_parameter_without_a_gradient_is_left_alone():
    for method in methods:
        moved, left = (nn.Parameter(torch.ones(3, 2)) for _ in range(2))
        (optimizer,) = build_optimizers([Group("all", (moved, left), method, 0.1, 0.0, 0.1)])
        moved.grad = torch.ones(3, 2)
        optimizer.step()
        assert torch.equal(left, torch.ones(3, 2)), method
        assert not torch.equal(moved, torch.ones(3, 2)), method


# ---------------------------------------------------------------- groups from a method's name
def network():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 8), nn.Linear(8, 3)
    )


def test_muon_steps_hidden_matrices_and_adam_the_answers_biases_and_norms():
    made = network()
    muon, rest = all_by("muon", made.parameters())
    assert [tuple(one.shape) for one in muon.parameters] == [(4, 1, 3, 3), (8, 4)]
    assert (muon.method, muon.rate, muon.normalise) == ("muon", 0.02, False)
    assert (rest.method, rest.rate, len(rest.parameters)) == ("adam", 1e-3, 6)
    assert rest.parameters[-2] is made[4].weight


def test_muon_needs_a_matrix_between_pictures_and_answers():
    with pytest.raises(ValueError, match="no matrix or filter between"):
        all_by("muon", nn.Linear(4, 3).parameters())


@pytest.mark.parametrize("method", [one for one in methods if one != "muon"])
def test_by_any_other_method_all_parameters_learn_at_its_usual_rate(method):
    made = network()
    groups = all_by(method, made.parameters())
    assert {one.rate for one in groups} == {methods[method].rate}
    assert {id(one) for group in groups for one in group.parameters} == {id(one) for one in made.parameters()}
    assert sum(len(one.parameters) for one in groups) == len(list(made.parameters()))


def test_decay_is_of_matrices_and_filters_alone():
    groups = decayed([Group("all", tuple(network().parameters()), "sgd", 0.1, 0.0)], 0.3)
    assert [(one.decay, {parameter.ndim >= 2 for parameter in one.parameters}) for one in groups] == [
        (0.3, {True}),
        (0.0, {False}),
    ]


def test_a_rate_is_the_first_groups_and_the_others_keep_their_proportion():
    first, second = (nn.Parameter(torch.ones(2)) for _ in range(2))
    groups = [Group("a", (first,), "sgd", 0.2, 0.0), Group("b", (second,), "adam", 0.05, 0.9)]
    assert [one.rate for one in at_rate(groups, 0.4)] == pytest.approx([0.4, 0.1])
