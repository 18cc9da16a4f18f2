"""The recurrent attention model: an image seen through a few glimpses, and where they fall.

Mnih, Heess, Graves & Kavukcuoglu 2014, "Recurrent Models of Visual Attention", NIPS 27, arXiv
1406.6247. A glimpse and its location become a feature, features drive a recurrent core, and the
core names the class and the mean of the next location. Locations inside are in [−1, 1] as the
configuration's coordinate map has them; all that goes in and comes out is in continuous pixels
(x, y), pixel i centred at i + 0.5.

The classification's gradient reaches the glimpse network and the core, that of the policy only
the locator, that of the expected reward only the baseline: both read the core detached.
"""

import dataclasses
import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from attnsci.checks import check_positive
from attnsci.errors import InvalidInput
from attnsci.families.ram.config import RAMConfig
from attnsci.families.ram.glimpse_model import GlimpseModel, Learned
from attnsci.families.ram.parts import Locator, LSTMCore, RectifiedCore, State
from attnsci.families.ram.policies import Draws, Policy
from attnsci.sensors.glimpse import MAPS, SENSORS, CoordinateMap, Sensor, Size


class Rollout(NamedTuple):
    """All that happened, on R = N · M rows: row i·M + m is sample m of image i.

    Attributes
    ----------
    logits : Tensor, shape (R, glimpse, class)
        Of each glimpse's readout; only the last is trained unless the configuration says so.
    locations : Tensor, shape (R, glimpse, 2)
        Where the glimpses were taken, in pixels (x, y).
    means : Tensor, shape (R, glimpse, 2)
        Where the locator would look next, after each glimpse, in pixels (x, y).
    hidden, features : Tensor, shape (R, glimpse, unit)
        State of the core, and what drove it.
    glimpses : Tensor, shape (R, glimpse, D)
        What was seen, as it entered the network.
    values : Tensor, shape (R, glimpse)
        Reward expected after each glimpse.
    log_probs : Tensor, shape (R, glimpse)
        Log density of each location under the learned policy, whoever chose it, in units of
        half widths; 0 for the first, which is given.
    answer : Tensor, shape (R, class)
        Logits after the last glimpse, read out alone: learning from them does not pay for the
        others' gradient, which would be zeros.
    """

    logits: Tensor
    locations: Tensor
    means: Tensor
    hidden: Tensor
    features: Tensor
    glimpses: Tensor
    values: Tensor
    log_probs: Tensor
    answer: Tensor


class RAM(GlimpseModel[Rollout]):
    """Looks at an image a few times and says what it is.

    Parameters
    ----------
    config : RAMConfig, optional
        Architecture; keyword arguments replace single settings.
    **settings
        Fields of `RAMConfig`.

    Examples
    --------
    >>> model = RAM()
    >>> found = model.rollout(torch.zeros(5, 1, 28, 28), n_samples=3)
    >>> found.logits.shape, found.locations.shape
    (torch.Size([15, 6, 10]), torch.Size([15, 6, 2]))
    """

    name = "RAM"
    answers = "fixation"

    def __init__(self, config: RAMConfig | None = None, **settings: Any) -> None:
        super().__init__()
        self.config = config = dataclasses.replace(config or RAMConfig(), **settings)
        n = config.n_hidden
        self.what = nn.Sequential(nn.Linear(config.n_inputs, config.n_what), nn.ReLU())
        self.where = nn.Sequential(nn.Linear(2, config.n_where), nn.ReLU())
        self.glimpse = nn.Sequential(nn.Linear(config.n_what + config.n_where, n), nn.ReLU())
        self.core = {"rnn": RectifiedCore, "lstm": LSTMCore}[config.core](n)
        self.locator = Locator(n, config.locator_hidden)
        heads = config.n_glimpses if config.readout == "every" else 1
        self.readout = nn.ModuleList(nn.Linear(n, config.n_classes) for _ in range(heads))
        self.baseline = nn.Linear(n, 1)
        for layer in nn.Sequential(*self.what, *self.where, *self.glimpse):
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_normal_(layer.weight)  # its units are rectified
                if layer.in_features > 2:  # places want units with thresholds here and there
                    nn.init.zeros_(layer.bias)

    def forward(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return logits (N, class) after the last glimpse, under the mean policy."""
        return self.rollout(images, generator).logits[:, -1]

    def _n_glimpses(self, wanted: int | None) -> int:
        n = self.config.n_glimpses if wanted is None else wanted
        check_positive("n_glimpses", n, integer=True)
        if self.config.readout == "every" and n > len(self.readout):
            raise InvalidInput(
                f"This model has a readout for each of {len(self.readout)} glimpses; {n} are too "
                "many."
            )
        return n

    def look_at(
        self,
        images: Tensor,
        draws: Draws,
        first: Tensor | None,
        policy: Learned | Policy,
        n_samples: int,
        offset: int = 0,
    ) -> Rollout:
        """Look at images that are `offset` images into the call."""
        config = self.config
        if images.shape[1] != config.channels:
            raise InvalidInput(
                f"The model was made for {config.channels} channel(s); images are "
                f"{tuple(images.shape)}."
            )
        draws, size = draws.to(images), (images.shape[-2], images.shape[-1])
        sensor = self._sensor(images)
        rows = torch.arange(len(images), device=images.device).repeat_interleave(n_samples)
        start = None if first is None else self._first(first, images).index_select(0, rows)
        looked_at = rows + offset
        way = _Way([], [], [], [], [], [])
        state: State = ()
        for t in range(draws.uniform.shape[1]):
            if start is not None and t == 0:
                xy, drawn = start, None
            else:
                xy, drawn = self._next(policy, size, looked_at, way, draws)
            state = self._see(sensor, xy.view(len(images), n_samples, 2), drawn, state, way)
        return self._rollout(way, size)

    def _sensor(self, images: Tensor) -> Sensor:
        """Return a sensor of images whose outside is 0, scaled as the network takes them."""
        config = self.config
        if config.outside:
            images = images - config.outside
        if config.pixel_std != 1:
            images = images / config.pixel_std
        return SENSORS[config.sensor](
            images,
            config.glimpse_px,
            config.n_scales,
            factor=config.factor,
            coordinates=config.coordinates,
        )

    def _see(
        self, sensor: Sensor, looks: Tensor, drawn: Tensor | None, state: State, way: "_Way"
    ) -> State:
        """Take a glimpse at `looks` (N, M, 2) and return what the core makes of it."""
        xy = looks.flatten(0, 1)
        at = self._map.from_px(xy, sensor.image_size)
        seen = sensor(looks).flatten(0, 1)
        if shift := self.config.outside - self.config.pixel_mean:
            seen = seen + shift / self.config.pixel_std
        feature = self.glimpse(torch.cat([self.what(seen), self.where(at.to(seen))], 1))
        state = self.core(feature, state)
        mean = self.locator(state[0].detach())
        way.add(xy, at if drawn is None else drawn, mean, state[0], feature, seen)
        return state

    @property
    def _map(self) -> CoordinateMap:
        return MAPS[self.config.coordinates]

    def _next(
        self, policy: Learned | Policy, size: Size, images: Tensor, way: "_Way", draws: Draws
    ) -> tuple[Tensor, Tensor | None]:
        """Return the next location in pixels and, if the learned policy drew it, as drawn."""
        t = len(way.locations)
        if not callable(policy):
            return self._learned(policy, t, size, way, draws)
        mean = self._map.to_px(way.means[-1], size) if t else None
        hidden = way.hidden[-1] if t else None
        return self._chosen(policy, size, images, way.locations, mean, hidden, draws), None

    def _learned(
        self, policy: Learned, t: int, size: Size, way: "_Way", draws: Draws
    ) -> tuple[Tensor, Tensor]:
        """Return the learned policy's next location in pixels, and as it was drawn."""
        if t == 0:
            drawn = 2 * draws.uniform[:, 0] - 1
        else:
            # No gradient may reach the locator but through the density at the draw.
            drawn = way.means[-1].detach()
            if policy == "sampled":
                drawn = drawn + self.config.sigma * draws.normal[:, t]
        kept = drawn.clamp(-1, 1) if self.config.bounds == "frame" else drawn
        return self._map.to_px(kept, size), drawn

    def _rollout(self, way: "_Way", size: Size) -> Rollout:
        """Read everything out at once."""
        hidden, means = torch.stack(way.hidden, 1), torch.stack(way.means, 1)
        values = self.baseline(hidden.detach())[..., 0].float()
        if self.config.baseline == "sigmoid":
            values = values.sigmoid()
        sigma = self.config.sigma
        log_probs = means.new_zeros(means.shape[:2])
        if len(way.drawn) > 1:
            # Past `means`, since nothing is drawn from the last: its gradient would be zeros.
            away = torch.stack(way.drawn[1:], 1) - torch.stack(way.means[:-1], 1)
            density = -away.square().sum(-1) / (2 * sigma**2) - math.log(2 * math.pi * sigma**2)
            log_probs = torch.cat([log_probs[:, :1], density], 1)
        logits, shared = self._logits(hidden), self.config.readout == "last"
        return Rollout(
            logits=logits,
            locations=torch.stack(way.locations, 1),
            means=self._map.to_px(means, size),
            hidden=hidden,
            features=torch.stack(way.features, 1),
            glimpses=torch.stack(way.glimpses, 1),
            values=values,
            log_probs=log_probs,
            answer=self.readout[0](way.hidden[-1]) if shared else logits[:, -1],
        )

    def _logits(self, hidden: Tensor) -> Tensor:
        """Return logits (R, glimpse, class) of states (R, glimpse, unit)."""
        if self.config.readout == "last":
            return self.readout[0](hidden)
        heads = list(zip(self.readout, hidden.unbind(1), strict=False))
        last = len(self.readout) - 1
        return torch.stack(
            [head(state if t == last else state.detach()) for t, (head, state) in enumerate(heads)],
            1,
        )


class _Way(NamedTuple):
    """What has happened so far, a tensor a glimpse."""

    locations: list[Tensor]
    drawn: list[Tensor]
    means: list[Tensor]
    hidden: list[Tensor]
    features: list[Tensor]
    glimpses: list[Tensor]

    def add(self, *values: Tensor) -> None:
        for kept, value in zip(self, values, strict=True):
            kept.append(value)
