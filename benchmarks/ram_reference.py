"""The recurrent attention model as its most used PyTorch code computes it, written anew.

After Mnih, Heess, Graves & Kavukcuoglu 2014, arXiv 1406.6247, and what the code
kevinzakka/recurrent-visual-attention of 2020 (a38ac89) does: the whole batch is padded for every
scale of every glimpse, patches are cut in a Python loop over the batch, every sum of two inputs is
two layers, the first state is a product with zeros, density and baseline are taken glimpse by
glimpse, also those of a last location that nobody looks at, and several samples of an image are
copies of it. The names of parameters are those of its checkpoints. Nothing here is made fast, and
nothing is imported from `attnsci`.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn import functional


class Retina:
    """Square patches about a point, each twice as wide as the last and brought to one size."""

    def __init__(self, size: int, n_scales: int) -> None:
        self.size, self.n_scales = size, n_scales

    def glimpse(self, images: Tensor, location: Tensor) -> Tensor:
        """Return what is seen at locations (N, 2), (x, y) in [-1, 1]: (N, D)."""
        patches = [
            self.patch(images, location, self.size * 2**scale) for scale in range(self.n_scales)
        ]
        for scale in range(1, self.n_scales):
            block = patches[scale].shape[-1] // self.size
            patches[scale] = functional.avg_pool2d(patches[scale], block)
        return torch.cat(patches, 1).flatten(1)

    @staticmethod
    def patch(images: Tensor, location: Tensor, width: int) -> Tensor:
        """Return one patch of each image, (N, C, width, width)."""
        first = (0.5 * ((location + 1.0) * images.shape[-1])).long()
        last = first + width
        padded = functional.pad(images, (width // 2,) * 4)
        cut = [
            padded[i, :, first[i, 1] : last[i, 1], first[i, 0] : last[i, 0]]
            for i in range(len(images))
        ]
        return torch.stack(cut)


class GlimpseNetwork(nn.Module):
    """What is seen and where, two layers each, summed."""

    def __init__(self, size: int, n_scales: int, hidden: int = 128) -> None:
        super().__init__()
        self.retina = Retina(size, n_scales)
        self.fc1 = nn.Linear(n_scales * size * size, hidden)
        self.fc2 = nn.Linear(2, hidden)
        self.fc3 = nn.Linear(hidden, 2 * hidden)
        self.fc4 = nn.Linear(hidden, 2 * hidden)

    def forward(self, images: Tensor, location: Tensor) -> Tensor:
        """Return features (N, 256)."""
        seen = self.retina.glimpse(images, location)
        what = self.fc3(functional.relu(self.fc1(seen)))
        where = self.fc4(functional.relu(self.fc2(location)))
        return functional.relu(what + where)


class Core(nn.Module):
    """Rectified units driven by features and by themselves."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.i2h = nn.Linear(n, n)
        self.h2h = nn.Linear(n, n)

    def forward(self, feature: Tensor, state: Tensor) -> Tensor:
        """Return the next state (N, 256)."""
        return functional.relu(self.i2h(feature) + self.h2h(state))


class Readout(nn.Module):
    """Log probabilities of the classes, or the expected reward."""

    def __init__(self, n: int, n_out: int) -> None:
        super().__init__()
        self.fc = nn.Linear(n, n_out)

    def forward(self, state: Tensor) -> Tensor:
        """Return a linear function of the state."""
        return self.fc(state)


class Locator(nn.Module):
    """The next location, drawn about a mean that is read from the state through 128 units."""

    def __init__(self, n: int, sigma: float) -> None:
        super().__init__()
        self.sigma = sigma
        self.fc = nn.Linear(n, n // 2)
        self.fc_lt = nn.Linear(n // 2, 2)

    def forward(self, state: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return mean, draw and log density of the draw; the draw is brought back after that."""
        mean = torch.tanh(self.fc_lt(functional.relu(self.fc(state.detach()))))
        drawn = Normal(mean, self.sigma).rsample().detach()
        log_prob = Normal(mean, self.sigma).log_prob(drawn).sum(1)
        return mean, drawn.clamp(-1, 1), log_prob


class Looked(NamedTuple):
    """What a rollout leaves: log probabilities (N, class), and by glimpse (N, T, ...)."""

    log_probabilities: Tensor
    locations: Tensor
    """Where the glimpses were taken."""
    means: Tensor
    values: Tensor
    log_probs: Tensor
    """Of the location after each glimpse."""


class RecurrentAttention(nn.Module):
    """The published model, made for images that are normalised already."""

    def __init__(self, size: int, n_scales: int, n_glimpses: int, sigma: float) -> None:
        super().__init__()
        self.n_glimpses = n_glimpses
        self.sensor = GlimpseNetwork(size, n_scales)
        self.rnn = Core(256)
        self.locator = Locator(256, sigma)
        self.classifier = Readout(256, 10)
        self.baseliner = Readout(256, 1)

    def forward(self, images: Tensor) -> Looked:
        """Look at images (N, 1, S, S), from a random place on."""
        # Both ask for gradients in the published code, and have them computed.
        state = torch.zeros(len(images), 256, requires_grad=True)
        location = torch.empty(len(images), 2).uniform_(-1, 1).requires_grad_()
        locations, means, values, log_probs = [], [], [], []
        for _ in range(self.n_glimpses):
            locations.append(location)
            state = self.rnn(self.sensor(images, location), state)
            mean, location, log_prob = self.locator(state)
            means.append(mean)
            values.append(self.baseliner(state.detach()).squeeze())
            log_probs.append(log_prob)
        return Looked(
            functional.log_softmax(self.classifier(state), 1),
            torch.stack(locations, 1),
            torch.stack(means, 1),
            torch.stack(values).transpose(1, 0),
            torch.stack(log_probs).transpose(1, 0),
        )


def hybrid_loss(looked: Looked, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the loss and the share of right answers."""
    called = looked.log_probabilities.max(1)[1]
    reward = (called.detach() == labels).float()
    reward = reward.unsqueeze(1).repeat(1, looked.values.shape[1])
    action = functional.nll_loss(looked.log_probabilities, labels)
    baseline = functional.mse_loss(looked.values, reward)
    advantage = reward - looked.values.detach()
    reinforce = torch.mean(torch.sum(-looked.log_probs * advantage, 1), 0)
    return action + baseline + 0.01 * reinforce, (called == labels).float().mean()


class Training:
    """The published training step, with Adam."""

    def __init__(self, model: RecurrentAttention, learning_rate: float = 3e-4) -> None:
        self.model = model
        self.optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)

    def step(self, images: Tensor, labels: Tensor, n_samples: int = 1) -> tuple[float, float]:
        """Learn from a batch, each image looked at `n_samples` times; return loss and accuracy."""
        self.optimizer.zero_grad()
        if n_samples > 1:
            images = images.repeat(n_samples, 1, 1, 1)
            labels = labels.repeat(n_samples)
        loss, accuracy = hybrid_loss(self.model(images), labels)
        noted = loss.item(), accuracy.item()
        loss.backward()
        self.optimizer.step()
        return noted
