"""The two cores: one begins as its own memory, the other is torch's."""

import torch
from torch.nn import functional

from attnsci.families.ram.network import RAM


def test_the_core_begins_as_its_own_memory():
    model = RAM()
    h = torch.rand(3, 256)
    kept = functional.linear(h, model.core.linear.weight[:, 256:])
    assert torch.equal(kept, h)


def test_an_lstm_core_is_torchs():
    model = RAM(core="lstm", n_hidden=16)
    theirs = torch.nn.LSTMCell(16, 16)
    weight = model.core.linear.weight
    theirs.load_state_dict({
        "weight_ih": weight[:, :16], "weight_hh": weight[:, 16:],
        "bias_ih": model.core.linear.bias, "bias_hh": torch.zeros(64),
    })  # fmt: skip
    state, hc = (), None
    for feature in torch.rand(4, 5, 16):
        state, hc = model.core(feature, state), theirs(feature, hc)
        for ours, other in zip(state, hc, strict=True):
            torch.testing.assert_close(ours, other)
    assert model.rollout(torch.rand(2, 1, 28, 28)).hidden.shape == (2, 6, 16)
