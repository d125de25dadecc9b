"""Convolution, bias and ReLU6 in one pass on a processor, with a backward that is fast in bf16 too.

For 1 × 1 and depthwise convolutions, of which networks for small machines are made. torch's own backward of a depthwise
convolution is what makes fine-tuning such networks slow in bf16: one core of a Zen 5, 64 pictures of 16 × 16 × 240,
kernel 5: forward 2.5 ms, gradient of the input 8.2 ms, of the weights 80 ms; with stride 2 (32 × 32 × 144) the gradient
of the input takes 150 ms. Here depthwise weights are constants, and the gradient of the input is a forward convolution
with the kernel turned round: 2 to 10 ms.

Elsewhere than on a processor, and while a network is exported, it is torch's plain operations.

Shape suffixes: N pictures, C channels in, O channels out, H height, W width, P = N·H·W pixels.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ["convolve"]

_LAST = torch.channels_last
# What torch's compiler calls for a convolution with an activation; where a build lacks it, two passes are made.
_POINTWISE = getattr(torch.ops.mkldnn, "_convolution_pointwise", None)


def convolve(pictures_NCHW: Tensor, weight: Tensor, bias_O: Tensor, *, stride: int, relu6: bool) -> Tensor:
    """A convolution with TensorFlow's padding 'same', bias and, where asked for, ReLU6: (N, O, ⌈H/stride⌉, ⌈W/stride⌉).

    weight: (O, C, 1, 1), depthwise (C, 1, k, k) or any other (O, C, k, k), k odd; of the pictures' type, as the bias.
    On a processor a gradient reaches the pictures, the bias and 1 × 1 weights; depthwise weights get none, and other
    convolutions take torch's way.
    """
    depthwise = weight.shape[1] == 1 and weight.shape[0] == pictures_NCHW.shape[1] > 1
    fusable = pictures_NCHW.device.type == "cpu" and pictures_NCHW.dtype in (torch.float32, torch.bfloat16)
    if not fusable or _exporting():
        return _plain(pictures_NCHW, weight, bias_O, stride, depthwise, relu6)
    if not torch.is_grad_enabled() or not (
        pictures_NCHW.requires_grad or weight.requires_grad or bias_O.requires_grad
    ):
        return _forward(pictures_NCHW, weight, bias_O, stride, depthwise, relu6)
    if depthwise:
        answer: Tensor = _Depthwise.apply(pictures_NCHW, weight, bias_O, stride, relu6)  # type: ignore[no-untyped-call]
        return answer
    if weight.shape[2:] == (1, 1) and stride == 1:
        answer = _OneByOne.apply(pictures_NCHW, weight, bias_O, relu6)  # type: ignore[no-untyped-call]
        return answer
    return _plain(pictures_NCHW, weight, bias_O, stride, depthwise, relu6)


def _exporting() -> bool:
    return bool(torch._C._get_tracing_state()) or torch.compiler.is_compiling()


def _plain(
    pictures_NCHW: Tensor, weight: Tensor, bias_O: Tensor, stride: int, depthwise: bool, relu6: bool
) -> Tensor:
    height, width = pictures_NCHW.shape[2:]
    (top, bottom), (left, right) = (_padding(one, weight.shape[2], stride) for one in (height, width))
    padded = F.pad(pictures_NCHW, (left, right, top, bottom)) if weight.shape[2] > 1 else pictures_NCHW
    groups = weight.shape[0] if depthwise else 1
    found = F.conv2d(padded, weight, bias_O, stride=stride, groups=groups)
    return F.hardtanh(found, 0.0, 6.0) if relu6 else found


def _padding(length: int, kernel: int, stride: int) -> tuple[int, int]:
    """Pixels of zeros before and after, as TensorFlow's 'same' has them: the odd one after."""
    total = max((-(-length // stride) - 1) * stride + kernel - length, 0)
    return total // 2, total - total // 2


def _forward(
    pictures_NCHW: Tensor, weight: Tensor, bias_O: Tensor, stride: int, depthwise: bool, relu6: bool
) -> Tensor:
    kernel = weight.shape[2]
    if stride == 2:
        # An even length has one zero less before than after. A kernel with a zero in front, padded alike on both
        # sides, is the same, and spares a padded copy of the pictures.
        even_height, even_width = (1 - one % 2 for one in pictures_NCHW.shape[2:])
        weight = F.pad(weight, (even_width, 0, even_height, 0))
    groups = weight.shape[0] if depthwise else 1
    sides = [kernel // 2, kernel // 2]
    if _POINTWISE is None:
        found = F.conv2d(pictures_NCHW, weight, bias_O, stride, sides, 1, groups)
        return F.hardtanh_(found, 0.0, 6.0) if relu6 else found
    after: tuple[Any, ...] = ("hardtanh", [0.0, 6.0], "") if relu6 else ("none", [], "")
    fused: Tensor = _POINTWISE(pictures_NCHW, weight, bias_O, sides, [stride, stride], [1, 1], groups, *after)
    return fused


def _before_relu6(gradient: Tensor, answer: Tensor) -> Tensor:
    """The gradient before ReLU6, from the answer after it. Both in one layout: 0.2 ns a value and not 4."""
    passed: Tensor = torch.ops.aten.hardtanh_backward(
        gradient.contiguous(memory_format=_LAST), answer, 0.0, 6.0
    )
    return passed


def _rows(features_NCHW: Tensor) -> Tensor:
    """(N, C, H, W) in channels-last layout as a matrix (P, C), without a copy."""
    return features_NCHW.permute(0, 2, 3, 1).reshape(-1, features_NCHW.shape[1])


class _OneByOne(torch.autograd.Function):
    """A 1 × 1 convolution: three matrix products."""

    @staticmethod
    def forward(ctx: Any, pictures: Tensor, weight: Tensor, bias: Tensor, relu6: bool) -> Tensor:
        answer = _forward(pictures, weight, bias, 1, False, relu6)
        ctx.save_for_backward(pictures, weight, answer if relu6 else None)
        return answer

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        pictures, weight, answer = ctx.saved_tensors
        for_pictures, for_weight, for_bias, _ = ctx.needs_input_grad
        if answer is None:
            gradient = gradient.contiguous(memory_format=_LAST)
        else:
            gradient = _before_relu6(gradient, answer)
        gradient_PO = _rows(gradient)
        found: list[Tensor | None] = [None, None, None]
        if for_pictures:
            found[0] = F.conv2d(gradient, weight.transpose(0, 1).contiguous())
        if for_weight:
            pictures_PC = _rows(pictures)
            # The transposed matrix is copied into order first, so it should be the smaller one.
            if pictures_PC.shape[1] < gradient_PO.shape[1]:
                matrix = (pictures_PC.t() @ gradient_PO).t()
            else:
                matrix = gradient_PO.t() @ pictures_PC
            found[1] = matrix.reshape(weight.shape)
        if for_bias:
            found[2] = gradient_PO.sum(0)
        return found[0], found[1], found[2], None


class _Depthwise(torch.autograd.Function):
    """A depthwise convolution whose weights are constants."""

    @staticmethod
    def forward(ctx: Any, pictures: Tensor, weight: Tensor, bias: Tensor, stride: int, relu6: bool) -> Tensor:
        answer = _forward(pictures, weight, bias, stride, True, relu6)
        ctx.stride, ctx.sides = stride, pictures.shape[2:]
        ctx.save_for_backward(weight, answer if relu6 else None)
        return answer

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, None, Tensor | None, None, None]:
        weight, answer = ctx.saved_tensors
        if answer is None:
            gradient = gradient.contiguous(memory_format=_LAST)
        else:
            gradient = _before_relu6(gradient, answer)
        for_pictures = (
            _turned_round(gradient, weight, ctx.stride, ctx.sides) if ctx.needs_input_grad[0] else None
        )
        for_bias = _rows(gradient).sum(0) if ctx.needs_input_grad[2] else None
        return for_pictures, None, for_bias, None, None


def _turned_round(gradient: Tensor, weight: Tensor, stride: int, sides: tuple[int, int]) -> Tensor:
    """The gradient of a depthwise convolution's input: a convolution with the kernel turned by half a circle.

    With stride 2 the gradient is spread over every second pixel first: the odd ones along an even side.
    """
    if stride == 2:
        height, width = sides
        spread = gradient.new_zeros((len(gradient), height, width, gradient.shape[1])).permute(0, 3, 1, 2)
        spread[:, :, 1 - height % 2 :: 2, 1 - width % 2 :: 2] = gradient
        gradient = spread
    return F.conv2d(gradient, weight.flip(2, 3), None, 1, weight.shape[2] // 2, 1, weight.shape[0])
