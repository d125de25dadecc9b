"""Each activation is its published formula, in double precision, by NumPy and SciPy."""

import numpy as np
import pytest
import torch
from scipy import special

from vistazo.errors import UnknownName
from vistazo.networks.activations import RISING, activations, create
from vistazo.networks.word_grammar import ACTIVATIONS

X = np.concatenate([np.linspace(-12, 12, 481), [0.0, -0.0, 1e-9, -1e-9, 300.0, -300.0]])
FORMULAS = {
    "relu": (None, lambda x: np.maximum(0, x)),
    "leaky_relu": (0.1, lambda x: np.where(x > 0, x, 0.1 * x)),
    "prelu": (None, lambda x: np.where(x > 0, x, 0.25 * x)),
    "sigmoid": (None, special.expit),
    "tanh": (None, lambda x: (np.exp(2 * np.minimum(x, 20)) - 1) / (np.exp(2 * np.minimum(x, 20)) + 1)),
    "swish": (None, lambda x: x * special.expit(x)),
    "elu": (1.0, lambda x: np.where(x > 0, x, special.expm1(np.minimum(x, 0)))),
    "gelu": (None, lambda x: x / 2 * (1 + special.erf(x / np.sqrt(2)))),
    "linear": (None, lambda x: x),
}


def of(name, x, **more):
    with torch.no_grad():
        return create(name, **more).double()(torch.tensor(x)[:, None]).numpy()[:, 0]


@pytest.mark.parametrize("name", FORMULAS)
def test_an_activation_is_its_published_formula(name):
    usual, formula = FORMULAS[name]
    assert (ACTIVATIONS[name] or ("", None))[1] == usual
    np.testing.assert_allclose(of(name, X), formula(X), rtol=0, atol=1e-6)


def test_softmax_is_over_the_channels_of_maps_and_numbers_alike():
    x = np.random.default_rng(0).normal(0, 5, (4, 7, 3, 2))
    given = create("softmax")(torch.tensor(x)).numpy()
    np.testing.assert_allclose(given, special.softmax(x, axis=1), rtol=0, atol=1e-12)
    flat = create("softmax")(torch.tensor(x[:, :, 0, 0])).numpy()
    np.testing.assert_allclose(flat, special.softmax(x[:, :, 0, 0], axis=1), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("name", "value"), [("leaky_relu", 0.01), ("leaky_relu", 0.3), ("elu", 0.5)])
def test_a_number_is_taken_in_place_of_the_usual_one(name, value):
    below = -0.7
    expected = value * below if name == "leaky_relu" else value * np.expm1(below)
    assert of(name, np.array([below]), value=value)[0] == pytest.approx(expected, abs=1e-12)


def test_prelu_learns_a_slope_for_each_channel():
    made = create("prelu", channels=5)
    assert [tuple(one.shape) for one in made.parameters()] == [(5,)]
    with torch.no_grad():
        made.weight.copy_(torch.arange(5) / 10)
        given = made(-torch.ones(2, 5, 3, 3))
    torch.testing.assert_close(given[:, :, 0, 0], -torch.arange(5).expand(2, 5) / 10)


@pytest.mark.parametrize("name", sorted(RISING))
def test_a_maximum_may_be_taken_before_what_never_falls(name):
    assert (np.diff(of(name, np.sort(X))) >= 0).all()


@pytest.mark.parametrize("name", sorted({"swish", "gelu"}))
def test_what_falls_somewhere_is_not_among_those(name):
    assert name not in RISING
    assert (np.diff(of(name, np.sort(X))) < 0).any()


def test_each_tells_what_it_is_and_an_unknown_one_names_the_nearest():
    assert list(activations) == list(ACTIVATIONS)
    for name in activations:
        about = activations.about[name]
        assert all([about.title, about.formula, about.when, about.source])
    with pytest.raises(UnknownName, match="Did you mean 'relu'"):
        create("relv")


def test_only_what_is_asked_to_overwrites_what_it_is_given():
    for name in activations:
        given = -torch.ones(3, 1)
        create(name)(given)
        assert (given == -1).all(), name
    given = -torch.ones(3, 1)
    create("relu", in_place=True)(given)
    assert (given == 0).all()
