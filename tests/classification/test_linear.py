"""The linear head: the minimum that another solver finds, a penalty that suits, the same numbers every time."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from vistazo.classification.linear import PENALTIES, _Solver, fit_linear


def examples(count, features, classes, *, noise=1.0, seed=0):
    """Features on very different scales; classes by a linear rule of ten of them, with noise."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(count, features)) @ random.normal(size=(features, features)) / np.sqrt(features)
    x *= np.exp(random.normal(size=features))
    rule = np.zeros((features, classes))
    rule[:10] = random.normal(size=(10, classes))
    y = ((x / x.std(0)) @ rule + noise * random.normal(size=(count, classes))).argmax(1)
    return torch.tensor(x + 3, dtype=torch.float32), torch.tensor(y)


def one_hot(labels, classes):
    return F.one_hot(labels, classes).float()


@pytest.mark.parametrize(
    ("count", "features"), [(300, 40), (60, 200)], ids=["more examples", "more features"]
)
@pytest.mark.parametrize("penalty", [1.0, 0.03])
def test_its_minimum_is_the_one_another_solver_finds(count, features, penalty):
    x, y = examples(count, features, 4)
    ours = next(_Solver(x, one_hot(y, 4), False).solve([penalty]))
    scaled = StandardScaler().fit_transform(x.double().numpy())
    theirs = LogisticRegression(C=1 / (penalty * count), max_iter=5000, tol=1e-10).fit(scaled, y.numpy())
    wanted = theirs.predict_proba(scaled)
    found = ours.scores(x).softmax(1).double().numpy()
    np.testing.assert_allclose(found, wanted, atol=0.02)
    assert np.mean(found.argmax(1) == wanted.argmax(1)) > 0.98


def test_several_labels_are_as_many_questions():
    x, y = examples(300, 30, 3)
    targets = torch.stack((y == 0, y != 2), 1).float()
    ours = next(_Solver(x, targets, True).solve([0.03]))
    scaled = StandardScaler().fit_transform(x.double().numpy())
    for at in range(2):
        theirs = LogisticRegression(C=1 / (0.03 * 300), max_iter=5000, tol=1e-10).fit(scaled, targets[:, at])
        found = ours.scores(x)[:, at].sigmoid().double().numpy()
        np.testing.assert_allclose(found, theirs.predict_proba(scaled)[:, 1], atol=0.02)


def fit(features_NF, targets_NK, units_N=None):
    units_N = np.arange(len(features_NF)) if units_N is None else units_N
    return fit_linear(features_NF, targets_NK, units_N, independent=False, seed=0)


def test_copies_of_an_example_are_held_out_together():
    x, y = examples(100, 200, 3, noise=8.0)  # what suits these examples says nothing of others
    alone = fit(x, one_hot(y, 3)).penalty
    twice, labels, units = torch.cat((x, x)), one_hot(torch.cat((y, y)), 3), np.tile(np.arange(100), 2)
    assert fit(twice, labels, units).penalty == alone
    assert fit(twice, labels).penalty < alone  # its copy told of each that was held out


def test_noise_asks_for_a_stronger_penalty():
    clear, noisy = (examples(400, 100, 3, noise=noise) for noise in (0.1, 8.0))
    weak, strong = (fit(x, one_hot(y, 3)).penalty for x, y in (clear, noisy))
    assert weak < strong
    assert {weak, strong} <= set(PENALTIES)


def test_it_answers_for_examples_it_was_not_fitted_on():
    x, y = examples(1200, 60, 5, noise=0.3)
    head = fit(x[:800], one_hot(y[:800], 5))
    assert (head.scores(x[800:]).argmax(1) == y[800:]).float().mean() > 0.75


def test_the_same_examples_give_the_same_bits_and_another_seed_other_folds_alone():
    x, y = examples(200, 50, 3)
    first, again = (fit(x, one_hot(y, 3)) for _ in range(2))
    assert torch.equal(first.weight_KF, again.weight_KF)
    assert torch.equal(first.bias_K, again.bias_K)


@pytest.mark.parametrize("count", [2, 5, 9, 12])
def test_a_handful_of_examples_is_fitted_too(count):
    x, y = examples(40, 30, 2)
    y[:2] = torch.tensor([0, 1])
    head = fit(x[:count], one_hot(y[:count], 2))
    assert head.scores(x).isfinite().all()
    assert (head.scores(x[:count]).argmax(1) == y[:count]).float().mean() >= 0.5


def test_features_that_are_always_the_same_say_nothing():
    x, y = examples(100, 20, 2)
    x[:, 3] = 5.0
    x[:, 4] = 0.0
    x[0, 4] = 1e-7
    head = fit(x, one_hot(y, 2))
    assert head.weight_KF.isfinite().all()
    other = x.clone()
    other[:, 4] += 1e-6
    torch.testing.assert_close(head.scores(other), head.scores(x), rtol=0, atol=0.05)


def test_examples_that_are_all_alike_leave_the_shares_of_the_classes():
    head = fit(torch.ones(40, 8), one_hot(torch.arange(40) % 4 // 3, 2))
    shares = head.scores(torch.ones(1, 8)).softmax(1)
    torch.testing.assert_close(shares, torch.tensor([[0.75, 0.25]]), atol=0.01, rtol=0)
