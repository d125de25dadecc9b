import math

import pytest
import torch

from vistazo.engine.objectives import CrossEntropy, objectives
from vistazo.errors import UnknownName

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


def test_objectives_are_found_by_name():
    assert objectives["cross_entropy"] is CrossEntropy
    with pytest.raises(UnknownName, match="Did you mean 'cross_entropy'"):
        objectives["crossentropy"]
