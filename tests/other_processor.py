"""A pytest plugin that stands for another processor: last bits that depend on the batch size.

On some processors (MKL with AVX-512) a product, a convolution or a Fourier transform rounds a row
differently in a batch of another size. `PYTHONPATH=tests pytest -p other_processor` makes that so
on every machine: results are moved by a few rounding steps, as many as their first length says.
A test that passes only because batch sizes happen not to matter here fails. Tests of exact
identities (one times a number, a product with a whole number) fail too, rightly untouched.
"""

import pytest


@pytest.fixture(autouse=True)
def rounding_by_batch_size():
    """Move the last bits of what depends on the size of a batch, for the length of a test."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    aten = torch.ops.aten
    by_batch = {
        aten.mm.default,
        aten.addmm.default,
        aten.bmm.default,
        aten.baddbmm.default,
        aten.convolution.default,
        aten._fft_c2c.default,
        aten._fft_c2r.default,
        aten._fft_r2c.default,
    }

    class Rounding(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            if function in by_batch and result.ndim:
                steps = len(result) % 13 - 6
                result.mul_(1 + steps * torch.finfo(result.dtype).eps)
            return result

    with Rounding():
        yield
