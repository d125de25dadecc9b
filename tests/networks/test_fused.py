"""Fused convolutions: the numbers and the gradients of torch's plain ones."""

import pytest
import torch
import torch.nn.functional as F

from vistazo.networks import fused
from vistazo.networks.fused import convolve


def same(length, kernel, stride):
    """TensorFlow's padding 'same', from its definition."""
    total = max((-(-length // stride) - 1) * stride + kernel - length, 0)
    return total // 2, total - total // 2


def plain(pictures, weight, bias, stride, relu6):
    kernel, groups = weight.shape[2], 1 if weight.shape[1] > 1 else weight.shape[0]
    (top, bottom), (left, right) = (same(one, kernel, stride) for one in pictures.shape[2:])
    found = F.conv2d(F.pad(pictures, (left, right, top, bottom)), weight, bias, stride, groups=groups)
    return F.relu6(found) if relu6 else found


def made(count, channels, height, width, outputs, kernel, *, depthwise):
    made_by = torch.Generator().manual_seed(height * 100 + width * 10 + kernel)
    pictures = torch.randn(count, channels, height, width, generator=made_by) * 3
    weight = torch.randn(outputs, 1 if depthwise else channels, kernel, kernel, generator=made_by)
    bias = torch.randn(outputs, generator=made_by) * 2
    return pictures.contiguous(memory_format=torch.channels_last), weight, bias


SHAPES = [
    pytest.param((2, 5, 7, 6, 9, 1), 1, False, id="1x1 wider"),
    pytest.param((2, 9, 4, 4, 5, 1), 1, False, id="1x1 narrower"),
    pytest.param((2, 8, 8, 8, 8, 3), 1, True, id="depthwise 3"),
    pytest.param((2, 8, 7, 10, 8, 5), 1, True, id="depthwise 5"),
    pytest.param((2, 8, 8, 6, 8, 3), 2, True, id="depthwise 3, stride 2, even"),
    pytest.param((2, 8, 9, 7, 8, 3), 2, True, id="depthwise 3, stride 2, odd"),
    pytest.param((2, 8, 8, 7, 8, 5), 2, True, id="depthwise 5, stride 2, even and odd"),
    pytest.param((2, 8, 1, 2, 8, 5), 2, True, id="depthwise 5, stride 2, tiny"),
    pytest.param((2, 3, 16, 13, 8, 3), 2, False, id="3x3, stride 2"),
]


@pytest.mark.parametrize("relu6", [True, False])
@pytest.mark.parametrize(("shape", "stride", "depthwise"), SHAPES)
def test_the_numbers_and_gradients_are_those_of_plain_operations(shape, stride, depthwise, relu6):
    pictures, weight, bias = made(*shape, depthwise=depthwise)
    with torch.no_grad():
        torch.testing.assert_close(
            convolve(pictures, weight, bias, stride=stride, relu6=relu6),
            plain(pictures, weight, bias, stride, relu6),
        )
    ours = [one.clone().requires_grad_() for one in (pictures, weight, bias)]
    theirs = [one.clone().requires_grad_() for one in (pictures, weight, bias)]
    ours[1].requires_grad_(not depthwise)
    answers = convolve(*ours, stride=stride, relu6=relu6), plain(*theirs, stride, relu6)
    torch.testing.assert_close(*answers)
    pull = torch.randn(answers[0].shape, generator=torch.Generator().manual_seed(1))
    for answer in answers:
        answer.backward(pull)
    for name, mine, other in zip(("pictures", "weight", "bias"), ours, theirs, strict=True):
        if name != "weight" or not depthwise:
            torch.testing.assert_close(mine.grad, other.grad, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("shape", "stride", "depthwise"), SHAPES[:-1])
def test_in_bf16_they_are_near(shape, stride, depthwise):
    pictures, weight, bias = (one.bfloat16() for one in made(*shape, depthwise=depthwise))
    exact = [one.float().requires_grad_() for one in (pictures, weight, bias)]
    given = [one.requires_grad_() for one in (pictures, weight, bias)]
    given[1].requires_grad_(not depthwise)
    rough, answer = convolve(*given, stride=stride, relu6=False), plain(*exact, stride, False)
    assert rough.dtype == torch.bfloat16
    torch.testing.assert_close(
        rough.float(), answer, rtol=0.02, atol=0.02 * float(answer.detach().abs().max())
    )
    rough.sum().backward()
    answer.sum().backward()
    for mine, other in zip(given, exact, strict=True):
        if mine.grad is not None:
            largest = float(other.grad.abs().max())
            torch.testing.assert_close(mine.grad.float(), other.grad, rtol=0.02, atol=0.02 * largest)


@pytest.mark.parametrize(("shape", "stride", "depthwise"), SHAPES)
def test_a_build_of_torch_without_the_fused_operation_gives_the_same(shape, stride, depthwise, monkeypatch):
    pictures, weight, bias = made(*shape, depthwise=depthwise)
    with torch.no_grad():
        ours = convolve(pictures, weight, bias, stride=stride, relu6=True)
        monkeypatch.setattr(fused, "_POINTWISE", None)
        torch.testing.assert_close(convolve(pictures, weight, bias, stride=stride, relu6=True), ours)


def test_what_is_not_asked_for_is_not_computed():
    pictures, weight, bias = made(2, 5, 4, 4, 6, 1, depthwise=False)
    weight.requires_grad_()
    convolve(pictures, weight, bias, stride=1, relu6=True).sum().backward()
    assert weight.grad is not None
    assert pictures.grad is None
    assert bias.grad is None


def test_numbers_of_double_precision_take_the_plain_way():
    pictures, weight, bias = (one.double() for one in made(2, 8, 8, 8, 8, 3, depthwise=True))
    found = convolve(pictures, weight, bias, stride=2, relu6=True)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, plain(pictures, weight, bias, 2, True))
