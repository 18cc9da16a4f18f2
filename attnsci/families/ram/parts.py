"""Parts of the recurrent attention model: its two cores and what proposes the next location."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

State = tuple[Tensor, ...]
"""What a core carries on: its units first, then its memory cells if it has some."""


class RectifiedCore(nn.Module):
    """Rectified units that begin as their own memory: h ← ReLU(W [g, h] + b).

    The recurrent half of W starts as the identity, after Le, Jaitly & Hinton 2015, arXiv
    1504.00941, which halves the error of a first epoch.

    Parameters
    ----------
    n : int
        Units, and features that drive them.
    """

    def __init__(self, n: int) -> None:
        super().__init__()
        self.linear = nn.Linear(2 * n, n)
        self.activation = nn.ReLU()
        with torch.no_grad():
            # What a unit keeps of each glimpse adds up: half the usual scale holds it near 1.
            nn.init.normal_(self.linear.weight[:, :n], std=0.5 / math.sqrt(n))
            self.linear.weight[:, n:].copy_(torch.eye(n))
            nn.init.zeros_(self.linear.bias)

    def forward(self, feature: Tensor, state: State) -> State:
        """Return the next state; an empty one stands for silence, which costs nothing."""
        if not state:
            weight = self.linear.weight[:, : feature.shape[1]]
            return (self.activation(functional.linear(feature, weight, self.linear.bias)),)
        return (self.activation(self.linear(torch.cat([feature, state[0]], 1))),)


class LSTMCore(nn.Module):
    """Long short-term memory with one product for all gates, in the order i, f, g, o.

    The forget gate starts open (bias 1).

    Parameters
    ----------
    n : int
        Units, and features that drive them.
    """

    def __init__(self, n: int) -> None:
        super().__init__()
        self.linear = nn.Linear(2 * n, 4 * n)
        self.activation = nn.Identity()
        with torch.no_grad():
            self.linear.bias[n : 2 * n] = 1

    def forward(self, feature: Tensor, state: State) -> State:
        """Return the next units and cells; an empty state stands for silence."""
        if not state:
            weight = self.linear.weight[:, : feature.shape[1]]
            gates = functional.linear(feature, weight, self.linear.bias)
        else:
            gates = self.linear(torch.cat([feature, state[0]], 1))
        write, keep, new, out = gates.chunk(4, 1)
        cell = write.sigmoid() * new.tanh()
        if state:
            cell = cell + keep.sigmoid() * state[1]
        return self.activation(out.sigmoid() * cell.tanh()), cell


class Locator(nn.Module):
    """The mean of the next location, in [−1, 1]².

    Parameters
    ----------
    n : int
        Units that are read.
    hidden : int
        Rectified units between; 0 for none.
    """

    def __init__(self, n: int, hidden: int) -> None:
        super().__init__()
        self.hidden = nn.Sequential(nn.Linear(n, hidden), nn.ReLU()) if hidden else nn.Identity()
        self.linear = nn.Linear(hidden or n, 2)

    def forward(self, state: Tensor) -> Tensor:
        """Return means (R, 2); in single precision at least, since they become places."""
        mean: Tensor = self.linear(self.hidden(state))
        return mean.to(torch.promote_types(mean.dtype, torch.float32)).tanh()
