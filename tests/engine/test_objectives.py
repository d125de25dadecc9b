import math

import pytest
import torch

from vistazo.engine.losses import BinaryCrossEntropy, CrossEntropy, Pinball
from vistazo.engine.objectives import asked, create, objectives, require_smoothing, spelled
from vistazo.errors import ConfigError, UnknownName, UsageError

# Two pictures, three classes; exp of the scores is 1, 2, 5 and 4, 1, 3: both sum to 8.
SCORES = torch.tensor([[1.0, 2.0, 5.0], [4.0, 1.0, 3.0]]).log()
LABELS = torch.tensor([2, 1])


def test_the_loss_is_the_mean_of_minus_the_logarithm_of_the_right_classs_probability():
    expected = -(math.log(5 / 8) + math.log(1 / 8)) / 2
    assert CrossEntropy(smoothing=0).loss(SCORES, LABELS, None).item() == pytest.approx(expected)


def test_label_smoothing_spreads_its_share_evenly_over_all_classes():
    # Szegedy et al. 2016, section 7: (1 - e) on the label, e / K on every class, the label's own too.
    e, each = 0.3, []
    for parts, label in (((1, 2, 5), 2), ((4, 1, 3), 1)):
        minus = [-math.log(one / 8) for one in parts]
        each.append((1 - e) * minus[label] + e * sum(minus) / 3)
    smoothed = CrossEntropy(smoothing=e)
    assert smoothed.loss(SCORES, LABELS, None).item() == pytest.approx(sum(each) / 2)
    assert smoothed.loss(SCORES, LABELS, torch.tensor([3.0, 1.0])).item() == pytest.approx(
        (3 * each[0] + each[1]) / 4
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("weights", [None, torch.tensor([3.0, 1.0])])
def test_shares_of_classes_are_targets_too(smoothing, weights):
    objective = CrossEntropy(smoothing=smoothing)
    whole = torch.eye(3)[LABELS]
    expected = objective.loss(SCORES, LABELS, weights)
    torch.testing.assert_close(objective.loss(SCORES, whole, weights), expected)
    shares, other = torch.tensor([[0.0, 0.25, 0.75], [0.4, 0.6, 0.0]]), torch.tensor([1, 0])
    mixed = sum(
        share * objective.loss(SCORES[at : at + 1], labels[at : at + 1], None) / 2
        for at, several in enumerate((((0.75, LABELS), (0.25, other)), ((0.6, LABELS), (0.4, other))))
        for share, labels in several
    )
    torch.testing.assert_close(objective.loss(SCORES, shares, None), mixed)


def test_weights_make_a_weighted_mean_and_a_weight_of_nothing_leaves_an_example_out():
    objective = CrossEntropy(smoothing=0)
    first, second = -math.log(5 / 8), -math.log(1 / 8)
    for weights, expected in (([1, 1], (first + second) / 2), ([7, 7], (first + second) / 2), ([0, 2], second),
                              ([1, 3], (first + 3 * second) / 4)):  # fmt: skip
        found = objective.loss(SCORES, LABELS, torch.tensor(weights, dtype=torch.float32))
        assert found.item() == pytest.approx(expected)


def test_the_answer_is_probabilities_in_fp32_that_sum_to_one():
    found = CrossEntropy(smoothing=0.2).answer(SCORES.bfloat16() * 0 + 3)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, torch.full((2, 3), 1 / 3))
    torch.testing.assert_close(
        CrossEntropy(smoothing=0.2).answer(SCORES), torch.tensor([[1.0, 2.0, 5.0], [4.0, 1.0, 3.0]]) / 8
    )


def test_enormous_scores_give_finite_losses_and_answers():
    scores = torch.tensor([[1e4, -1e4, 0.0]])
    objective = CrossEntropy(smoothing=0.1)
    assert objective.loss(scores, torch.tensor([1]), None).isfinite()
    assert objective.answer(scores).tolist() == [[1, 0, 0]]


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, 2, float("nan")])
def test_smoothing_beyond_its_bounds_is_refused(smoothing):
    with pytest.raises(ValueError, match=r"lies in \[0, 1\)"):
        CrossEntropy(smoothing=smoothing)


def test_squashed_scores_are_sigmoids_read_as_logits():
    """The PyTorch tutorial on Fashion-MNIST: F.cross_entropy(torch.sigmoid(scores), labels), by arithmetic."""
    objective, each = objectives["squashed_cross_entropy"](smoothing=0.0), []
    squashed = [
        [1 / (1 + 1 / one) for one in row] for row in ((1, 2, 5), (4, 1, 3))
    ]  # sigmoid of a logarithm
    answers = [[math.exp(one) / sum(map(math.exp, row)) for one in row] for row in squashed]
    each = [-math.log(answers[0][2]), -math.log(answers[1][1])]
    assert objective.loss(SCORES, LABELS, None).item() == pytest.approx(sum(each) / 2)
    weighted = objective.loss(SCORES, LABELS, torch.tensor([3.0, 1.0])).item()
    assert weighted == pytest.approx((3 * each[0] + each[1]) / 4)
    torch.testing.assert_close(objective.answer(SCORES), torch.tensor(answers))


def test_squashed_scores_can_never_be_sure():
    sure = torch.tensor([[1e4] + [-1e4] * 9])
    objective = objectives["squashed_cross_entropy"](smoothing=0.0)
    assert objective.answer(sure)[0, 0].item() == pytest.approx(math.e / (math.e + 9))
    assert objective.loss(sure, torch.tensor([0]), None).item() == pytest.approx(1.4612, abs=1e-4)


def test_objectives_are_found_by_name():
    assert objectives["cross_entropy"] is CrossEntropy
    with pytest.raises(UnknownName, match="Did you mean 'cross_entropy'"):
        objectives["crossentropy"]


def test_squared_error_is_the_mean_of_squares_and_weights_make_it_a_weighted_mean():
    scores, targets = torch.tensor([[1.0], [3.0], [0.0]]), torch.tensor([0.0, 5.0, 0.0])
    objective = objectives["mse"](numbers=True)
    assert objective.loss(scores, targets, None).item() == pytest.approx((1 + 4 + 0) / 3)
    assert objective.loss(scores, targets, torch.tensor([1.0, 3.0, 0.0])).item() == pytest.approx(13 / 4)
    assert objective.answer(scores).tolist() == [1, 3, 0]


# ---------------------------------------------------------------- several labels
# sigmoid of ln 3 is 3/4, of -ln 3 1/4, of 0 1/2
LOGITS = torch.tensor([[3.0, 1.0], [1 / 3, 3.0]]).log()
HELD = torch.tensor([[1.0, 0.0], [1.0, 1.0]])


def test_the_loss_of_several_labels_is_minus_the_logarithm_of_the_whole_sets_probability():
    found = BinaryCrossEntropy(smoothing=0).loss(LOGITS, HELD, None)
    assert found.item() == pytest.approx(-(math.log(3 / 4 * 1 / 2) + math.log(1 / 4 * 3 / 4)) / 2)


def test_the_loss_of_several_labels_is_torchs_own_summed_over_labels():
    generator = torch.Generator().manual_seed(0)
    scores, targets = torch.randn(20, 5, generator=generator), torch.rand(20, 5, generator=generator)
    expected = torch.nn.MultiLabelSoftMarginLoss()(scores, targets) * 5
    torch.testing.assert_close(BinaryCrossEntropy(smoothing=0).loss(scores, targets, None), expected)


def test_smoothing_of_several_labels_is_that_of_two_classes_and_the_answer_undoes_it():
    s, truth = 0.2, torch.tensor([[0.8, 0.1, 0.5]])  # shares of pictures that have each of three labels
    scores = torch.zeros(1, 3, requires_grad=True)
    objective = BinaryCrossEntropy(smoothing=s)
    for _ in range(300):  # the scores that minimise the loss
        (gradient,) = torch.autograd.grad(objective.loss(scores, truth, None), scores)
        scores = (scores - 4 * gradient).detach().requires_grad_()
    torch.testing.assert_close(scores.sigmoid(), truth * (1 - s) + s / 2, atol=1e-4, rtol=0)
    torch.testing.assert_close(objective.answer(scores), truth, atol=1e-4, rtol=0)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.2])
def test_answers_of_several_labels_keep_their_order_and_stay_between_nothing_and_one(smoothing):
    answers = BinaryCrossEntropy(smoothing=smoothing).answer(torch.linspace(-8, 8, 401)[:, None])[:, 0]
    assert answers.dtype == torch.float32
    assert (answers.diff() > 0).all() and answers.min() >= 0 and answers.max() <= 1
    assert answers[200].item() == pytest.approx(0.5)


def test_weights_of_examples_and_of_each_label_make_weighted_means():
    objective, s = BinaryCrossEntropy(smoothing=0), [-math.log(one) for one in (3 / 4, 1 / 2, 1 / 4, 3 / 4)]
    for weights, expected in (
        ([1, 3], (s[0] + s[1] + 3 * (s[2] + s[3])) / 4),
        ([0, 2], s[2] + s[3]),
        ([[1, 0], [0, 0]], 2 * s[0]),
        ([[1, 2], [3, 4]], 2 * (s[0] + 2 * s[1] + 3 * s[2] + 4 * s[3]) / 10),
    ):
        found = objective.loss(LOGITS, HELD, torch.tensor(weights, dtype=torch.float32))
        assert found.item() == pytest.approx(expected)


def test_enormous_scores_of_several_labels_give_finite_losses_and_answers():
    scores = torch.tensor([[1e4, -1e4]])
    objective = BinaryCrossEntropy(smoothing=0.1)
    assert objective.loss(scores, torch.tensor([[0.0, 1.0]]), None).isfinite()
    assert objective.answer(scores).tolist() == [[1, 0]]
    with pytest.raises(ValueError, match=r"lies in \[0, 1\)"):
        BinaryCrossEntropy(smoothing=1)


# ---------------------------------------------------------------- pinball
def test_the_pinball_loss_is_that_of_koenker_and_bassett_by_hand():
    # quantile 0.1: 2 too low costs 0.1 × 2, 1 too high costs 0.9 × 1; quantile 0.5: half of the distance
    scores, targets = torch.tensor([[3.0, 5.0], [4.0, 1.0]]), torch.tensor([5.0, 3.0])
    each = [(0.1 * 2 + 0.5 * 0) / 2, (0.9 * 1 + 0.5 * 2) / 2]
    objective = Pinball(quantiles=(0.1, 0.5))
    assert objective.loss(scores, targets, None).item() == pytest.approx(sum(each) / 2)
    assert objective.loss(scores, targets, torch.tensor([3.0, 1.0])).item() == pytest.approx(
        (3 * each[0] + each[1]) / 4
    )


def test_the_pinball_loss_is_that_of_scikit_learn():
    from sklearn.metrics import mean_pinball_loss

    generator = torch.Generator().manual_seed(0)
    targets, scores = torch.randn(4, 30, generator=generator), torch.randn(4, 30, 3, generator=generator)
    found = Pinball(quantiles=(0.1, 0.5, 0.9)).loss(scores, targets, None)
    each = [
        mean_pinball_loss(targets.flatten(), scores[..., k].flatten(), alpha=a)
        for k, a in enumerate((0.1, 0.5, 0.9))
    ]
    assert found.item() == pytest.approx(sum(each) / 3, rel=1e-5)


def test_the_pinball_loss_of_the_median_is_half_of_the_mean_absolute_error():
    targets, scores = torch.tensor([1.0, -2.0]), torch.tensor([[4.0], [0.0]])
    assert Pinball(quantiles=(0.5,)).loss(scores, targets, None).item() == (3 + 2) / 2 / 2


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
def test_the_constant_with_the_least_pinball_loss_is_the_quantile(level):
    targets = torch.arange(1.0, 100.0)
    guesses = torch.arange(0.0, 101.0)
    losses = [Pinball(quantiles=(level,)).loss(one.expand(99, 1), targets, None).item() for one in guesses]
    assert guesses[losses.index(min(losses))].item() == pytest.approx(100 * level, abs=1)


def test_examples_without_a_weight_cost_nothing_and_move_nothing():
    scores = torch.zeros(3, 2, requires_grad=True)
    loss = Pinball(quantiles=(0.2, 0.8)).loss(
        scores, torch.tensor([1.0, 1e30, 2.0]), torch.tensor([1.0, 0.0, 1.0])
    )
    loss.backward()
    assert loss.item() == pytest.approx((1 + 2) * 0.5 / 2)
    assert (scores.grad[1] == 0).all() and (scores.grad[0] != 0).all()
    nothing = Pinball(quantiles=(0.5,)).loss(torch.zeros(2, 1), torch.ones(2), torch.zeros(2))
    assert nothing.item() == 0


def test_quantiles_that_a_network_crossed_are_answered_in_order():
    told = Pinball(quantiles=(0.1, 0.5, 0.9)).answer(torch.tensor([[3, 1, 2]], dtype=torch.bfloat16))
    assert told.tolist() == [[1, 2, 3]]
    assert told.dtype == torch.float32


@pytest.mark.parametrize("quantiles", [(0.5, 0.5), (0.9, 0.1), (0.0, 0.5), (0.5, 1.0), (-0.1,)])
def test_quantiles_that_do_not_increase_between_nothing_and_one_are_refused(quantiles):
    with pytest.raises(ValueError, match="quantiles increase between 0 and 1"):
        Pinball(quantiles=quantiles)


# ---------------------------------------------------------------- a loss by name
@pytest.mark.parametrize(
    ("text", "name", "arguments", "called"),
    [
        ("mse", "mse", {}, ""),
        ("focal", "focal", {"gamma": 2.0}, ""),
        ("focal=0.5", "focal", {"gamma": 0.5}, ""),
        ("Huber=0.1", "huber", {"delta": 0.1}, ""),
        ("cross-entropy", "cross_entropy", {}, ""),
        ("categorical_cross_entropy", "cross_entropy", {}, "categorical_cross_entropy"),
        ("sparse_categorical_crossentropy", "cross_entropy", {}, "sparse_categorical_crossentropy"),
        ("log loss", "cross_entropy", {}, "log_loss"),
        ("mean-squared-error", "mse", {}, "mean_squared_error"),
        ("KLD", "kl_divergence", {}, "kld"),
    ],
)
def test_a_loss_is_found_by_the_names_that_people_know_it_by(text, name, arguments, called):
    found = asked(text, numbers=False)
    assert (found.name, found.arguments, found.called) == (name, arguments, called)
    assert found.sentence() == (f"loss {called}: called {name} here" if called else "")
    create(found.name, found.arguments)
    assert asked(spelled(found.name, found.arguments), numbers=False).arguments == arguments


@pytest.mark.parametrize(
    ("text", "numbers", "says"),
    [
        ("hingee", None, "There is no loss 'hingee'. Did you mean 'hinge'?"),
        ("focal=", None, "--loss focal=: gamma is a number from 0 to 10, as in focal=2."),
        ("focal=-1", None, "--loss focal=-1: gamma is a number from 0 to 10"),
        ("huber=nan", None, "--loss huber=nan: delta is a number from 0.001 to 1000, as in huber=1."),
        ("mse=2", None, "The loss mse takes no number: write --loss mse."),
        ("pinball", False, "The loss pinball learns quantiles, one an output"),
        ("pinball", None, "The loss pinball learns quantiles, one an output"),
        (
            "log_loss",
            True,
            "The loss cross_entropy compares classes, and here a number is learnt: choose one of mse",
        ),
    ],
)
def test_a_loss_that_cannot_be_is_refused_in_one_sentence(text, numbers, says):
    with pytest.raises(UsageError, match="^.+$") as raised:
        asked(text, numbers=numbers)
    assert says in str(raised.value)


def test_smoothing_is_refused_where_it_makes_no_sense():
    for name in ("cross_entropy", "binary_cross_entropy", "kl_divergence", "poisson", "focal"):
        require_smoothing(name)
    for name in ("mse", "mae", "huber", "hinge", "cosine_similarity"):
        with pytest.raises(
            ConfigError, match=rf"{name} has none: leave it out, or choose one of cross_entropy, "
        ):
            require_smoothing(name)
    with pytest.raises(ConfigError, match="with the loss squashed_cross_entropy it can be sure of nothing"):
        require_smoothing("squashed_cross_entropy")
