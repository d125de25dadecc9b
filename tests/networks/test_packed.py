"""A pack of M networks is M networks: forward, gradient and optimiser step."""

import math

import pytest
import torch
from torch import nn

from vistazo.networks.packed import PackedEmbedding, PackedLinear, PackedNorm, take_members


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize("between", [(), (5,), (5, 3)], ids=["rows", "steps", "rows and steps"])
def test_a_packed_linear_is_as_many_single_ones_forward_and_backward(between):
    packed = PackedLinear(3, 4, 2)
    values = torch.randn(3, 6, *between, 4, requires_grad=True)
    found = packed(values)
    assert found.shape == (3, 6, *between, 2)
    packed_gradient = torch.autograd.grad((found**2).sum(), [packed.weight_MIO, packed.bias_M1O, values])
    for one in range(3):
        single = nn.Linear(4, 2)
        with torch.no_grad():
            single.weight.copy_(packed.weight_MIO[one].T)
            single.bias.copy_(packed.bias_M1O[one, 0])
        alone = values[one].detach().requires_grad_()
        told = single(alone)
        torch.testing.assert_close(found[one], told)
        weight, bias, inputs = torch.autograd.grad((told**2).sum(), [single.weight, single.bias, alone])
        torch.testing.assert_close(packed_gradient[0][one], weight.T)
        torch.testing.assert_close(packed_gradient[1][one, 0], bias)
        torch.testing.assert_close(packed_gradient[2][one], inputs)


def test_a_packed_linear_begins_with_the_spread_of_its_inputs_and_no_bias():
    packed = PackedLinear(50, 64, 50, scale=0.5)
    assert packed.weight_MIO.std().item() == pytest.approx(0.5 / math.sqrt(64), rel=0.02)
    assert (packed.bias_M1O == 0).all()


@pytest.mark.parametrize("shape", [(6,), (6, 5)])
def test_a_packed_embedding_is_as_many_single_ones_forward_and_backward(shape):
    packed = PackedEmbedding(3, 7, 2)
    codes = torch.randint(7, shape)
    found = packed(codes)
    assert found.shape == (3, *shape, 2)
    (gradient,) = torch.autograd.grad((found**3).sum(), [packed.table_MNO])
    for one in range(3):
        single = nn.Embedding(7, 2, _weight=packed.table_MNO[one].detach().clone())
        told = single(codes)
        assert torch.equal(found[one], told)
        torch.testing.assert_close(gradient[one], torch.autograd.grad((told**3).sum(), [single.weight])[0])


@pytest.mark.parametrize("between", [(), (5,), (5, 3)])
def test_a_packed_norm_is_as_many_single_ones_forward_and_backward(between):
    packed = PackedNorm(3, 8)
    with torch.no_grad():
        packed.scale_MO.normal_()
        packed.shift_MO.normal_()
    values = torch.randn(3, 6, *between, 8)
    found = packed(values)
    gradients = torch.autograd.grad((found**2).sum(), [packed.scale_MO, packed.shift_MO])
    for one in range(3):
        single = nn.LayerNorm(8)
        with torch.no_grad():
            single.weight.copy_(packed.scale_MO[one])
            single.bias.copy_(packed.shift_MO[one])
        told = single(values[one])
        torch.testing.assert_close(found[one], told)
        for mine, other in zip(
            gradients, torch.autograd.grad((told**2).sum(), [*single.parameters()]), strict=True
        ):
            torch.testing.assert_close(mine[one], other)


def test_a_member_never_sees_another():
    packed = nn.Sequential(PackedLinear(3, 4, 4), PackedNorm(3, 4), nn.Tanh(), PackedLinear(3, 4, 1))
    values = torch.randn(3, 6, 4)
    before = packed(values)
    changed = values.clone()
    changed[2] = 1e6
    with torch.no_grad():
        for one in packed.parameters():
            one[2] = 7.0
    after = packed(changed)
    assert torch.equal(before[:2], after[:2])
    assert not torch.equal(before[2], after[2])


def test_members_taken_out_of_a_pack_are_a_smaller_pack_of_their_own():
    packed, smaller = PackedLinear(5, 4, 2), PackedLinear(2, 4, 2)
    state = take_members(packed.state_dict(), 1, 3)
    smaller.load_state_dict(state)
    values = torch.randn(5, 6, 4)
    assert torch.equal(packed(values)[1:3], smaller(values[1:3]))
    with torch.no_grad():
        packed.weight_MIO.zero_()
    assert (state["weight_MIO"] != 0).all(), "a copy, not a view"
