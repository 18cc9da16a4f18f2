"""The deep recurrent attention model: several objects in one image, named one after the other.

Ba, Mnih & Kavukcuoglu 2014, "Multiple Object Recognition with Visual Attention", arXiv 1412.7755.
What a glimpse shows is multiplied with where it was taken and drives a first recurrent layer, from
which alone objects are named. A second layer reads the first and emits the next location; it
begins from a coarse look at the whole image, the context, which so can tell where to look and
never what is there.

The classification's gradient reaches the glimpse networks, the first layer and the readout; that
of the policy the locator, the second layer and the context network, and it stops at the first
layer; that of the expected reward only the baseline. The paper lets the policy's gradient into the
first layer too: held apart, its noise spoils no features, and the scale of the terms is of no
consequence to Adam.
"""

import dataclasses
import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from attnsci.checks import check_positive
from attnsci.errors import InvalidInput
from attnsci.families.ram.dram_config import (
    CONTEXT_STRIDES,
    GLIMPSE_STRIDES,
    KERNELS,
    DRAMConfig,
    side_left,
)
from attnsci.families.ram.glimpse_model import GlimpseModel, Learned
from attnsci.families.ram.parts import Locator, LSTMCore, State
from attnsci.families.ram.policies import Draws, Policy
from attnsci.sensors.glimpse import SENSORS, Size


class DRAMRollout(NamedTuple):
    """All that happened, on R = N · M rows: row i·M + m is sample m of image i.

    Attributes
    ----------
    logits : Tensor, shape (R, target, class)
        Of each target, after its last glimpse.
    locations : Tensor, shape (R, glimpse, 2)
        Where the glimpses were taken, in pixels (x, y).
    means : Tensor, shape (R, glimpse, 2)
        Where the locator wanted each glimpse, before it was taken, in pixels (x, y).
    hidden, emission : Tensor, shape (R, glimpse, unit)
        State of the layer that names and of the layer that looks, after each glimpse.
    features : Tensor, shape (R, glimpse, unit)
        What drove the first.
    glimpses : Tensor, shape (R, glimpse, D)
        What was seen.
    values : Tensor, shape (R, glimpse)
        Targets, of this one and those after it, expected before each glimpse to be named right.
    log_probs : Tensor, shape (R, glimpse)
        Log density of each location under the learned policy, whoever chose it, in units of
        half widths; 0 for a first one that was given.
    """

    logits: Tensor
    locations: Tensor
    means: Tensor
    hidden: Tensor
    emission: Tensor
    features: Tensor
    glimpses: Tensor
    values: Tensor
    log_probs: Tensor


class DRAM(GlimpseModel[DRAMRollout]):
    """Looks a few times for each of several objects and names them in turn.

    Parameters
    ----------
    config : DRAMConfig, optional
        Architecture; keyword arguments replace single settings.
    **settings
        Fields of `DRAMConfig`.

    Notes
    -----
    Rolled out for more glimpses than ``config.n_glimpses``, it goes on to targets that it was not
    trained on; for fewer, targets without their last glimpse get no answer.

    Examples
    --------
    >>> model = DRAM()
    >>> found = model.rollout(torch.zeros(5, 1, 60, 60), n_samples=3)
    >>> found.logits.shape, found.locations.shape
    (torch.Size([15, 2, 10]), torch.Size([15, 6, 2]))
    """

    name = "DRAM"
    answers = "target"

    def __init__(self, config: DRAMConfig | None = None, **settings: Any) -> None:
        super().__init__()
        self.config = config = dataclasses.replace(config or DRAMConfig(), **settings)
        n, side, coarse = config.n_hidden, config.glimpse_px, config.context_px
        channels = config.n_scales * config.channels
        self.what = nn.Sequential(
            nn.Unflatten(1, (channels, side, side)),
            *_convolutions(channels, side, GLIMPSE_STRIDES, config.n_maps, n),
            nn.ReLU(),
        )
        where = nn.Linear(2, n)
        nn.init.ones_(where.bias)  # a product with ones leaves what is seen as it is
        self.where = nn.Sequential(where, nn.ReLU())
        self.core, self.emitter = LSTMCore(n), LSTMCore(n)
        self.context = (
            nn.Sequential(
                nn.AdaptiveAvgPool2d(coarse),
                *_convolutions(config.channels, coarse, CONTEXT_STRIDES, config.n_maps, n),
            )
            if config.context
            else None
        )
        self.locator = Locator(n, config.locator_hidden)
        self.readout = nn.Linear(n, config.n_classes)
        self.baseline = nn.Linear(2 * n, 1)

    def forward(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return logits (N, target, class) under the mean policy."""
        return self.rollout(images, generator).logits

    def _n_glimpses(self, wanted: int | None) -> int:
        n = self.config.n_glimpses if wanted is None else wanted
        return int(check_positive("n_glimpses", n, integer=True))

    def look_at(
        self,
        images: Tensor,
        draws: Draws,
        first: Tensor | None,
        policy: Learned | Policy,
        n_samples: int,
        offset: int = 0,
    ) -> DRAMRollout:
        """Look at images that are `offset` images into the call."""
        config = self.config
        if images.shape[1] != config.channels:
            raise InvalidInput(
                f"The model was made for {config.channels} channel(s); images are "
                f"{tuple(images.shape)}."
            )
        draws, size = draws.to(images), (images.shape[-2], images.shape[-1])
        sensor = SENSORS[config.sensor](images, config.glimpse_px, config.n_scales)
        rows = torch.arange(len(images), device=images.device).repeat_interleave(n_samples)
        start = None if first is None else self._first(first, images).index_select(0, rows)
        way = _Way([], [], [], [], [], [], [], [])
        emission = self._begin(images, rows)
        state: State = ()
        for t in range(draws.uniform.shape[1]):
            known = state[0] if state else torch.zeros_like(emission[0])
            before = torch.cat([known, emission[0]], 1).detach()
            mean = self.locator(emission[0])
            # No gradient may reach the locator but through the density at the draw.
            drawn = mean.detach()
            if start is not None and t == 0:
                xy = start
            elif callable(policy):
                xy = self._chosen(
                    policy, size, rows + offset, way.locations, self._map.to_px(drawn, size),
                    state[0] if state else None, draws,
                )  # fmt: skip
                drawn = self._map.from_px(xy, size).detach()
            else:
                if policy == "sampled":
                    drawn = drawn + config.sigma * draws.normal[:, t]
                xy = self._map.to_px(drawn.clamp(-1, 1), size)
            at = self._map.from_px(xy, size)
            seen = sensor(xy.view(len(images), n_samples, 2)).flatten(0, 1)
            feature = self.what(seen) * self.where(at.to(seen))
            state = self.core(feature, state)
            emission = self.emitter(state[0].detach(), emission)
            way.add(xy, drawn, mean, before, state[0], emission[0], feature, seen)
        return self._rollout(way, size, start is not None)

    def _begin(self, images: Tensor, rows: Tensor) -> State:
        """Return the emission layer's first state: units and cells of what the context says."""
        if self.context is None:
            cells = images.new_zeros(len(rows), self.config.n_hidden)
        else:
            cells = self.context(images).index_select(0, rows)
        return cells.tanh(), cells

    def _rollout(self, way: "_Way", size: Size, given: bool) -> DRAMRollout:
        """Read everything out at once."""
        hidden, means = torch.stack(way.hidden, 1), torch.stack(way.means, 1)
        variance, each = self.config.sigma**2, self.config.glimpses_per_target
        away = (torch.stack(way.drawn, 1) - means).square().sum(-1)
        log_probs = -away / (2 * variance) - math.log(2 * math.pi * variance)
        if given:
            log_probs = functional.pad(log_probs[:, 1:], (1, 0))
        return DRAMRollout(
            logits=self.readout(hidden[:, each - 1 :: each]),
            locations=torch.stack(way.locations, 1),
            means=self._map.to_px(means, size),
            hidden=hidden,
            emission=torch.stack(way.emission, 1),
            features=torch.stack(way.features, 1),
            glimpses=torch.stack(way.glimpses, 1),
            values=self.baseline(torch.stack(way.before, 1))[..., 0].float(),
            log_probs=log_probs,
        )


class _Way(NamedTuple):
    """What has happened so far, a tensor a glimpse."""

    locations: list[Tensor]
    drawn: list[Tensor]
    means: list[Tensor]
    before: list[Tensor]
    hidden: list[Tensor]
    emission: list[Tensor]
    features: list[Tensor]
    glimpses: list[Tensor]

    def add(self, *values: Tensor) -> None:
        for kept, value in zip(self, values, strict=True):
            kept.append(value)


def _convolutions(
    channels: int, side: int, strides: tuple[int, ...], n_maps: int, n: int
) -> list[nn.Module]:
    """Return three rectified convolutions of a square picture and what reads them."""
    maps = (channels, n_maps // 2, n_maps, n_maps)
    layers: list[nn.Module] = []
    for i, (kernel, stride) in enumerate(zip(KERNELS, strides, strict=True)):
        layers += [nn.Conv2d(maps[i], maps[i + 1], kernel, stride), nn.ReLU()]
    return [*layers, nn.Flatten(), nn.Linear(n_maps * side_left(side, strides) ** 2, n)]
