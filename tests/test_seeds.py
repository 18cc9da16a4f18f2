"""One integer makes all randomness, and touches none of anybody else's."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from attnsci.seeds import numpy_generator, torch_generator, torch_seed

STREAMS = [(0,), (1,), (0, 1), (1, 1), (0, 2), (0, 1, 1), (0, 1, 2), (0, 2, 1), (1, 0, 1)]


def test_streams_are_distinct_and_repeatable():
    drawn = {stream: tuple(numpy_generator(*stream).random(4)) for stream in STREAMS}
    assert len(set(drawn.values())) == len(STREAMS)
    assert drawn == {stream: tuple(numpy_generator(*stream).random(4)) for stream in STREAMS}
    assert len({torch_seed(*stream) for stream in STREAMS}) == len(STREAMS)


def test_the_plain_seed_is_numpys_own_stream():
    assert numpy_generator(7).random() == np.random.default_rng(7).random()


def test_trailing_zeros_are_one_stream_as_documented():
    assert numpy_generator(5).random() == numpy_generator(5, 0).random()


@pytest.mark.parametrize("stream", STREAMS)
def test_torch_seeds_fit_torch(stream):
    assert 0 <= torch_seed(*stream) < 2**63
    a, b = (torch_generator(*stream) for _ in range(2))
    assert a.initial_seed() == torch_seed(*stream)
    assert torch.equal(torch.rand(5, generator=a), torch.rand(5, generator=b))


def test_seeds_are_the_same_in_every_process_and_version():
    assert torch_seed(0, 4) == 2_494_635_221_133_837_528
    code = "from attnsci.seeds import torch_seed; print(torch_seed(3, 1, 4))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(out.stdout) == torch_seed(3, 1, 4)


def test_global_state_is_untouched():
    np.random.seed(1)  # noqa: NPY002 - the global state is the subject
    torch.manual_seed(1)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    numpy_generator(3).random()
    torch.rand(2, generator=torch_generator(3))
    assert np.array_equal(before[0], np.random.get_state()[1])  # noqa: NPY002
    assert torch.equal(before[1], torch.get_rng_state())
