"""The fused layer against what it stands for: interpolate, then transposed convolution."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from attnsci.errors import InvalidInput
from attnsci.families.object_attention.upsampled_conv import UpsampledTransposedConv


def direct(layer: UpsampledTransposedConv, coarse: torch.Tensor, size) -> torch.Tensor:
    options = {} if layer.upsampling == "nearest" else {"align_corners": False}
    fine = functional.interpolate(coarse, size, mode=layer.upsampling, **options)
    return functional.conv_transpose2d(fine, layer.weight, layer.bias)


def gradients(layer, coarse, value, probe):
    return torch.autograd.grad((value * probe).sum(), [coarse, layer.weight, layer.bias])


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 6),
    width=st.integers(1, 6),
    lost=st.tuples(st.integers(0, 1), st.integers(0, 1)),
    kernel=st.integers(1, 5),
    channels=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    n=st.integers(1, 2),
    seed=st.integers(0, 99),
)
def test_nearest_equals_the_two_steps_with_gradients(
    height, width, lost, kernel, channels, n, seed
):
    torch.manual_seed(seed)
    layer = UpsampledTransposedConv(*channels, kernel).double()
    coarse = torch.randn(n, channels[0], height, width, dtype=torch.float64, requires_grad=True)
    size = (2 * height + lost[0], 2 * width + lost[1])
    ours, theirs = layer(coarse, size), direct(layer, coarse, size)
    assert ours.shape == (n, channels[1], size[0] + kernel - 1, size[1] + kernel - 1)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    probe = torch.randn_like(theirs)
    for a, b in zip(
        gradients(layer, coarse, ours, probe), gradients(layer, coarse, theirs, probe), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("size", [(10, 14), (11, 14), (10, 15), (11, 15)])
def test_pooling_and_back_restores_the_size_for_every_parity(size):
    layer = UpsampledTransposedConv(2, 3, 4)
    maps = torch.rand(2, 2, *size)
    pooled = functional.max_pool2d(maps, 2)
    torch.testing.assert_close(layer(pooled, size), direct(layer, pooled, size))


@settings(max_examples=60, deadline=None)
@given(
    coarse_size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    size=st.tuples(st.integers(1, 14), st.integers(1, 14)),
    kernel=st.integers(1, 5),
    channels=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    n=st.integers(1, 2),
    seed=st.integers(0, 99),
)
def test_bicubic_equals_the_two_steps_for_any_size_with_gradients(
    coarse_size, size, kernel, channels, n, seed
):
    torch.manual_seed(seed)
    layer = UpsampledTransposedConv(*channels, kernel, "bicubic").double()
    coarse = torch.randn(n, channels[0], *coarse_size, dtype=torch.float64, requires_grad=True)
    ours, theirs = layer(coarse, size), direct(layer, coarse, size)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    probe = torch.randn_like(theirs)
    for a, b in zip(
        gradients(layer, coarse, ours, probe), gradients(layer, coarse, theirs, probe), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11)


def test_bicubic_trains_after_it_was_first_used_for_inference():
    layer = UpsampledTransposedConv(3, 2, 4, "bicubic")
    coarse = torch.rand(1, 3, 7, 7)
    with torch.inference_mode():
        layer(coarse, (15, 15))
    layer(coarse, (15, 15)).sum().backward()
    assert torch.isfinite(layer.weight.grad).all()


def test_weights_are_those_of_a_transposed_convolution():
    layer = UpsampledTransposedConv(40, 1, 4)
    plain = torch.nn.ConvTranspose2d(40, 1, 4)
    plain.load_state_dict(layer.state_dict())
    assert {k: v.shape for k, v in layer.state_dict().items()} == {
        "weight": (40, 1, 4, 4),
        "bias": (1,),
    }


@pytest.mark.parametrize("size", [(9, 12), (12, 12), (10, 14), (10, 11), (20, 24)])
def test_sizes_that_pooling_by_two_does_not_give_are_refused(size):
    layer = UpsampledTransposedConv(1, 1, 4)
    with pytest.raises(InvalidInput, match=r"\(5, 6\)"):
        layer(torch.zeros(1, 1, 5, 6), size)
