"""Every loss beside an independent reference: scikit-learn, SciPy, or the published formula in NumPy, in fp64."""

import numpy as np
import pytest
import torch
from scipy import special
from sklearn import metrics as judge

from vistazo.engine.losses import Focal, Hinge
from vistazo.engine.objectives import create, objectives, suitable

CLOSE = {"rel": 0, "abs": 1e-6}
RANDOM = np.random.default_rng(3)
N, K = 40, 5
SCORES = RANDOM.normal(0, 2, (N, K))
LABELS = np.concatenate([np.arange(K), RANDOM.integers(0, K, N - K)])
ONE_HOT = np.eye(K)[LABELS]
SHARES = RANDOM.dirichlet(np.full(K, 0.6), N)
WEIGHTS = RANDOM.uniform(0.1, 3, N)
P = special.softmax(SCORES, axis=1)

VALUES, TARGETS = RANDOM.normal(0, 2, N), RANDOM.normal(0, 2, N)
COUNTS = RANDOM.poisson(3, N).astype(float)

OF_CLASSES = [name for name in suitable(numbers=False) if name != "binary_cross_entropy"]
OF_NUMBERS = suitable(numbers=True)
ARGUMENTS = {"huber": {"delta": 0.3}, "focal": {"gamma": 2.0}}


def loss_of(name, scores, targets, weights=None, *, numbers=False, smoothing=0.0, **arguments):
    objective = create(name, arguments or ARGUMENTS.get(name, {}), smoothing=smoothing, numbers=numbers)
    given = None if weights is None else torch.tensor(weights)
    return objective.loss(torch.tensor(scores), torch.tensor(targets), given)


def focal(p, t, gamma):
    """Lin et al. 2017, equation 4."""
    return -(t * (1 - p) ** gamma * np.log(p)).sum(1)


# (what is told of each, its reference): each gives (targets, weights) to a number
REFERENCES = {
    "mse": lambda t, w: K * judge.mean_squared_error(t, P, sample_weight=w),
    "mae": lambda t, w: K * judge.mean_absolute_error(t, P, sample_weight=w),
    "huber": lambda t, w: np.average(special.huber(0.3, t - P).sum(1), weights=w),
    "cross_entropy": lambda t, w: np.average(-(t * np.log(P)).sum(1), weights=w),
    "squashed_cross_entropy": lambda t, w: np.average(
        -(t * np.log(special.softmax(special.expit(SCORES), axis=1))).sum(1), weights=w
    ),
    "kl_divergence": lambda t, w: np.average(special.kl_div(t, P).sum(1), weights=w),
    "cosine_similarity": lambda t, w: np.average(np.diag(judge.pairwise.cosine_distances(P, t)), weights=w),
    "poisson": lambda t, w: np.average((P - t * np.log(P)).sum(1), weights=w),
    "focal": lambda t, w: np.average(focal(P, t, 2.0), weights=w),
    "hinge": lambda t, w: np.average(
        [
            sum(t[n, k] * max(0.0, 1 - SCORES[n, k] + max(np.delete(SCORES[n], k))) for k in range(K))
            for n in range(N)
        ],
        weights=w,
    ),
}


@pytest.mark.parametrize("name", OF_CLASSES)
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
def test_a_loss_of_classes_is_its_reference(name, weights):
    plain = np.ones(N) if weights is None else weights
    expected = REFERENCES[name](ONE_HOT, plain)
    assert loss_of(name, SCORES, LABELS, weights).item() == pytest.approx(expected, **CLOSE)
    assert loss_of(name, SCORES, ONE_HOT, weights).item() == pytest.approx(expected, **CLOSE)


@pytest.mark.parametrize("name", OF_CLASSES)
def test_a_loss_of_shares_is_its_reference(name):
    found = loss_of(name, SCORES, SHARES, WEIGHTS).item()
    assert found == pytest.approx(REFERENCES[name](SHARES, WEIGHTS), **CLOSE)


def test_scikit_learn_has_the_same_log_loss_hinge_and_brier_score():
    assert loss_of("cross_entropy", SCORES, LABELS, WEIGHTS).item() == pytest.approx(
        judge.log_loss(LABELS, P, sample_weight=WEIGHTS), **CLOSE
    )
    assert loss_of("hinge", SCORES, LABELS, WEIGHTS).item() == pytest.approx(
        judge.hinge_loss(LABELS, SCORES, sample_weight=WEIGHTS), **CLOSE
    )
    assert loss_of("mse", SCORES, LABELS).item() == pytest.approx(
        judge.brier_score_loss(LABELS, P, scale_by_half=False), **CLOSE
    )


def test_of_two_classes_the_hinge_is_the_binary_one_of_the_scores_difference():
    two = np.minimum(LABELS, 1)
    difference = SCORES[:, 1] - SCORES[:, 0]
    expected = judge.hinge_loss(two, difference)
    assert loss_of("hinge", SCORES[:, :2], two).item() == pytest.approx(expected, **CLOSE)


def test_of_two_classes_cross_entropy_is_the_binary_one_of_the_scores_difference():
    two = np.minimum(LABELS, 1)
    probability = special.expit(SCORES[:, 1] - SCORES[:, 0])
    expected = judge.log_loss(two, probability)
    assert loss_of("cross_entropy", SCORES[:, :2], two).item() == pytest.approx(expected, **CLOSE)
    binary = create("binary_cross_entropy", {}).loss(
        torch.tensor(SCORES[:, 1:2] - SCORES[:, :1]), torch.tensor(two[:, None].astype(float)), None
    )
    assert binary.item() == pytest.approx(expected, **CLOSE)


@pytest.mark.parametrize("smoothing", [0.1, 0.4])
@pytest.mark.parametrize("name", ["cross_entropy", "kl_divergence", "poisson", "focal"])
def test_label_smoothing_softens_the_shares(name, smoothing):
    """Szegedy et al. 2016, section 7."""
    softened = ONE_HOT * (1 - smoothing) + smoothing / K
    found = loss_of(name, SCORES, LABELS, WEIGHTS, smoothing=smoothing).item()
    assert found == pytest.approx(REFERENCES[name](softened, WEIGHTS), **CLOSE)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("mse", lambda w: judge.mean_squared_error(TARGETS, VALUES, sample_weight=w)),
        ("mae", lambda w: judge.mean_absolute_error(TARGETS, VALUES, sample_weight=w)),
        ("huber", lambda w: np.average(special.huber(0.3, TARGETS - VALUES), weights=w)),
    ],
)
def test_a_loss_of_numbers_is_its_reference(name, reference, weights):
    plain = np.ones(N) if weights is None else weights
    found = loss_of(name, VALUES[:, None], TARGETS, weights, numbers=True).item()
    assert found == pytest.approx(reference(plain), **CLOSE)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
def test_the_poisson_loss_of_counts_is_half_the_deviance_and_what_no_score_changes(weights):
    plain = np.ones(N) if weights is None else weights
    perfect = COUNTS - special.xlogy(COUNTS, COUNTS)  # the loss where the answer is the count
    deviance = judge.mean_poisson_deviance(COUNTS, np.exp(VALUES), sample_weight=plain)
    found = loss_of("poisson", VALUES[:, None], COUNTS, weights, numbers=True).item()
    assert found == pytest.approx(deviance / 2 + np.average(perfect, weights=plain), **CLOSE)


def test_numbers_may_stand_in_any_shape_and_those_without_a_weight_are_left_out():
    scores, targets = VALUES.reshape(2, 4, 5, 1), TARGETS.reshape(2, 4, 5)
    weights = (WEIGHTS > 1).astype(float).reshape(2, 4, 5)
    for name in ("mse", "mae", "huber"):
        found = loss_of(name, scores, targets, weights, numbers=True).item()
        chosen = WEIGHTS > 1
        expected = loss_of(name, VALUES[chosen, None], TARGETS[chosen], numbers=True).item()
        assert found == pytest.approx(expected, rel=1e-12)
        assert loss_of(name, scores, targets, np.zeros((2, 4, 5)), numbers=True).item() == 0


# ---------------------------------------------------------------- slopes
@pytest.mark.parametrize("name", OF_CLASSES)
@pytest.mark.parametrize("targets", [LABELS[:6], SHARES[:6]], ids=["labels", "shares"])
def test_the_slopes_of_a_loss_of_classes_are_right(name, targets):
    objective = create(name, ARGUMENTS.get(name, {}))
    scores = torch.tensor(SCORES[:6], requires_grad=True)
    weights, given = torch.tensor(WEIGHTS[:6]), torch.tensor(targets)
    assert torch.autograd.gradcheck(lambda one: objective.loss(one, given, weights), (scores,))


@pytest.mark.parametrize("name", OF_NUMBERS)
def test_the_slopes_of_a_loss_of_numbers_are_right(name):
    objective = create(name, ARGUMENTS.get(name, {}), numbers=True)
    scores = torch.tensor(VALUES[:6, None], requires_grad=True)
    weights, targets = torch.tensor(WEIGHTS[:6]), torch.tensor(COUNTS[:6])
    assert torch.autograd.gradcheck(lambda one: objective.loss(one, targets, weights), (scores,))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        *((name, ARGUMENTS.get(name, {})) for name in OF_CLASSES),
        ("focal", {"gamma": 0.0}),
        ("focal", {"gamma": 0.5}),
    ],
)
def test_enormous_scores_give_finite_losses_slopes_and_answers(name, arguments):
    objective = create(name, arguments)
    scores = torch.tensor([[1e4, -1e4, 0.0], [0.0, 0.0, 1e4]], requires_grad=True)
    loss = objective.loss(scores, torch.tensor([1, 2]), None)
    loss.backward()
    assert loss.isfinite() and scores.grad.isfinite().all()
    assert objective.answer(scores).isfinite().all()


# Of cross-entropy, torch's own does that inside.
@pytest.mark.parametrize("name", [name for name in OF_CLASSES if "cross_entropy" not in name])
def test_half_precision_scores_are_measured_in_single_precision(name):
    scores = torch.tensor(SCORES).bfloat16()
    objective = create(name, ARGUMENTS.get(name, {}))
    found = objective.loss(scores, torch.tensor(LABELS), None)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, objective.loss(scores.float(), torch.tensor(LABELS), None))


# ---------------------------------------------------------------- what the scores mean
def minimised(name, shares, steps, rate, **arguments):
    """The answer of the scores that minimise a loss over examples of one kind, whose classes have these shares."""
    objective = create(name, arguments or ARGUMENTS.get(name, {}))
    scores = torch.zeros(1, len(shares), dtype=torch.float64, requires_grad=True)
    targets = torch.eye(len(shares), dtype=torch.float64)
    optimizer = torch.optim.Adam([scores], lr=rate)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = rate * (1 - step / steps)
        optimizer.zero_grad()
        each = torch.stack([objective.loss(scores, targets[k : k + 1], None) for k in range(len(shares))])
        (each * torch.tensor(shares)).sum().backward()
        optimizer.step()
    return objective, objective.answer(scores.detach())[0].tolist()


@pytest.mark.parametrize(
    "name", ["cross_entropy", "kl_divergence", "poisson", "mse", "cosine_similarity", "focal"]
)
def test_the_answer_of_what_minimises_a_loss_is_the_true_share_of_each_class(name):
    shares = [0.6, 0.3, 0.1]
    _, found = minimised(name, shares, 400, 0.1)
    assert found == pytest.approx(shares, abs=2e-3)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 5.0])
def test_the_focal_loss_is_read_so_that_its_answers_are_true_shares_whatever_gamma(gamma):
    shares = [0.5, 0.35, 0.15]
    _, found = minimised("focal", shares, 400, 0.1, gamma=gamma)
    assert found == pytest.approx(shares, abs=3e-3)


def test_the_focal_loss_with_gamma_nothing_is_cross_entropy():
    scores, labels = torch.tensor(SCORES), torch.tensor(LABELS)
    plain, other = create("cross_entropy", {}), create("focal", {"gamma": 0.0})
    torch.testing.assert_close(other.loss(scores, labels, None), plain.loss(scores, labels, None))
    torch.testing.assert_close(other.answer(scores), plain.answer(scores))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 10.0])
def test_answers_of_the_focal_loss_keep_the_order_of_the_scores(gamma):
    scores = torch.tensor(np.random.default_rng(0).normal(0, 15, (200, 6)), dtype=torch.float32)
    answers = Focal(smoothing=0.0, gamma=gamma).logits(scores)
    assert (answers.argsort(1) == scores.argsort(1)).all()
    assert answers.isfinite().all()


@pytest.mark.parametrize("name", OF_CLASSES)
def test_every_loss_of_classes_answers_with_probabilities_that_a_temperature_moves(name):
    objective = create(name, ARGUMENTS.get(name, {}))
    scores = torch.tensor(SCORES, dtype=torch.float32)
    answers = objective.answer(scores)
    assert answers.dtype == torch.float32
    torch.testing.assert_close(answers.sum(1), torch.ones(N))
    assert (answers.argmax(1) == scores.argmax(1)).all()
    warmer = objective.answer(scores, temperature=3.0)
    assert warmer.max() < answers.max()
    torch.testing.assert_close(
        warmer, (objective.logits(scores).double() / 3).softmax(1), rtol=1e-12, atol=1e-12
    )


def test_numbers_are_answered_as_they_are_and_counts_above_nothing():
    scores = torch.tensor([[-2.0], [0.0], [3.0], [1e6]])
    for name in ("mse", "mae", "huber"):
        assert create(name, ARGUMENTS.get(name, {}), numbers=True).answer(scores)[:3].tolist() == [-2, 0, 3]
    counts = create("poisson", {}, numbers=True).answer(scores)
    assert counts[:3].tolist() == pytest.approx(np.exp([-2.0, 0.0, 3.0]))
    assert counts.isfinite().all()


# ---------------------------------------------------------------- learning
@pytest.mark.parametrize("name", OF_CLASSES)
def test_a_line_learns_with_every_loss_of_classes(name):
    random = np.random.default_rng(1)
    inputs = torch.tensor(random.normal(0, 1, (200, 2)), dtype=torch.float32)
    labels = (inputs[:, 0] > 0).long() + (inputs[:, 1] > 0.5).long()
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(2, 16), torch.nn.Tanh(), torch.nn.Linear(16, 3))
    optimizer, objective = torch.optim.Adam(network.parameters(), 0.05), create(name, ARGUMENTS.get(name, {}))
    for _ in range(150):
        optimizer.zero_grad()
        objective.loss(network(inputs), labels, None).backward()
        optimizer.step()
    assert (objective.answer(network(inputs)).argmax(1) == labels).float().mean() > 0.85


@pytest.mark.parametrize("name", OF_NUMBERS)
def test_a_line_learns_with_every_loss_of_numbers(name):
    random = np.random.default_rng(1)
    inputs = torch.tensor(random.normal(0, 1, (200, 2)), dtype=torch.float32)
    targets = (inputs @ torch.tensor([0.7, -0.4]) + 0.3).exp()
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(2, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
    optimizer = torch.optim.Adam(network.parameters(), 0.03)
    objective = create(name, ARGUMENTS.get(name, {}), numbers=True)
    for _ in range(200):
        optimizer.zero_grad()
        objective.loss(network(inputs), targets, None).backward()
        optimizer.step()
    error = (objective.answer(network(inputs)) - targets).abs().mean()
    assert error < 0.25 * (targets - targets.mean()).abs().mean()


def test_what_a_loss_cannot_be_made_with_is_refused():
    with pytest.raises(ValueError, match="gamma lies between 0.0 and 10.0, not 11"):
        create("focal", {"gamma": 11})
    with pytest.raises(ValueError, match="delta lies between"):
        create("huber", {"delta": float("nan")})
    with pytest.raises(TypeError):
        create("mse", {"gamma": 2.0})
    with pytest.raises(TypeError):
        create("pinball", {})
    with pytest.raises(ValueError, match="hinge is no loss of numbers"):
        create("hinge", {}, numbers=True)
    assert isinstance(create("hinge", {}, smoothing=0.2), Hinge)  # a recipe's smoothing is not meant for it
    assert set(OF_NUMBERS) == {"mse", "mae", "huber", "poisson"}
    assert set(objectives) - set(suitable(numbers=False)) == {"pinball"}
