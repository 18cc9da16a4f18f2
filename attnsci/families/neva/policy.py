"""NeVA's attention policy: a network that looks at what is seen and says where to look next.

Schwinn, Precup, Eskofier & Zanca 2022, "Behind the Machine's Gaze", arXiv 2204.09093. In place of
the published WRN-28-10 stands a small network, and in place of its head, whose position has no
bound, one that stays on the image: once the gaze has left it, the fovea's gradient vanishes and
nothing leads back. The published head is kept as ``head="clamped"``.

Where a policy looks is learned with `attnsci.families.neva.objective`.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from attnsci.checks import check_positive
from attnsci.errors import CheckpointError, InvalidInput
from attnsci.families.neva.draws import noise_generators
from attnsci.families.neva.policy_config import NeVAPolicyConfig
from attnsci.geometry import Viewing
from attnsci.models.looking.base import Looker
from attnsci.provenance import from_json, state_hash, to_json
from attnsci.sensors.foveation import Fovea, FoveatedView

if TYPE_CHECKING:
    from attnsci.models.weights import Pretrained

REACH = 2.5
"""Where the clamped head stops, in half widths of the image: far outside it."""


class NeVAPolicy(nn.Module):
    """Proposes the next fixation from the image as it is seen now.

    Parameters
    ----------
    config : NeVAPolicyConfig, optional
        Keyword arguments replace single settings.
    **settings
        Fields of `NeVAPolicyConfig`.

    Examples
    --------
    >>> policy = NeVAPolicy(channels=1, widths=(8, 8), strides=(2, 2), size=(32, 48)).eval()
    >>> policy(torch.zeros(5, 1, 32, 48)).shape
    torch.Size([5, 2])
    """

    def __init__(self, config: NeVAPolicyConfig | None = None, **settings: Any) -> None:
        super().__init__()
        self.config = config = dataclasses.replace(config or NeVAPolicyConfig(), **settings)
        layers: list[nn.Module] = []
        before = config.channels
        for width, (kernel, stride, padding) in zip(config.widths, config.kernels, strict=True):
            layers += [nn.Conv2d(before, width, kernel, stride, padding)]
            layers += [nn.BatchNorm2d(width), nn.ReLU()]
            before = width
        self.features = nn.Sequential(*layers)
        self.head: nn.Module
        if config.head == "soft-argmax":
            self.head = nn.Conv2d(before, 1, 3, padding=1)
        else:
            self.head = nn.Linear(before * config.grid[0] * config.grid[1], 2)

    def forward(self, seen: Tensor) -> Tensor:
        """Return where to look next.

        Parameters
        ----------
        seen : Tensor, shape (N, C, H, W), float in [0, 1]
            Images as they are seen now, blurred where nobody has looked. Of another size than
            ``config.size`` they are brought to it first.

        Returns
        -------
        Tensor, shape (N, 2)
            x and y in continuous pixels of `seen`; on it, but for the clamped head.

        Raises
        ------
        InvalidInput
            If the images have another number of channels.
        """
        config = self.config
        if seen.ndim != 4 or seen.shape[1] != config.channels:
            raise InvalidInput(
                f"The policy was made for images (N, {config.channels}, H, W); got "
                f"{tuple(seen.shape)}."
            )
        size = (int(seen.shape[-2]), int(seen.shape[-1]))
        if size != config.size:
            seen = functional.interpolate(seen, config.size, mode="bilinear", antialias=True)
        maps = self.features(seen)
        if config.head == "soft-argmax":
            return _expected_place(self.head(maps)[:, 0], size)
        at = self.head(maps.flatten(1))
        at = at.tanh() if config.head == "tanh" else at.clamp(-REACH, REACH)
        half = at.new_tensor([size[1] - 1, size[0] - 1]) / 2
        return at * half + half + 0.5


def _expected_place(scores: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the mean place (N, 2) in pixels under a softmax over scores (N, rows, columns)."""
    n, rows, columns = scores.shape
    share = scores.flatten(1).softmax(1).view(n, rows, columns)
    down = (torch.arange(rows, device=scores.device, dtype=share.dtype) + 0.5) * (size[0] / rows)
    across = torch.arange(columns, device=scores.device, dtype=share.dtype) + 0.5
    across = across * (size[1] / columns)
    return torch.stack([share.sum(1) @ across, share.sum(2) @ down], 1)


def follow(
    policy: Callable[[Tensor], Tensor],
    view: FoveatedView,
    n_fixations: int,
    *,
    truncated: bool = False,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Let a policy look at images; yield each fixation and what is seen after it.

    Parameters
    ----------
    policy : callable
        Seen images (N, C, H, W) to positions (N, 2).
    view : FoveatedView
    n_fixations : int
    truncated : bool
        Cut the graph before every fixation, so that a loss moves only the fixation it follows.

    Yields
    ------
    xy : Tensor, shape (N, 2)
    seen : Tensor, shape (N, C, H, W)
    """
    memory = view.blank()
    seen = view.perceive(memory)
    for _ in range(n_fixations):
        if truncated:
            memory, seen = memory.detach(), seen.detach()
        xy = policy(seen)
        memory = view.add(view.keep(memory), view.mask(xy))
        seen = view.perceive(memory)
        yield xy, seen


class LearnedGaze(Looker):
    """Looks at images with a trained policy.

    Parameters
    ----------
    policy : NeVAPolicy
        Set to evaluation mode.
    fovea : Fovea, optional
        How images are seen. The retention may differ from that of training: the paper sweeps it.
    task : str, optional
        What the policy was trained for; part of the observer's name.
    chunk : int
        Images that are seen at once.

    Examples
    --------
    >>> policy = NeVAPolicy(channels=1, widths=(8, 8), strides=(2, 2), size=(32, 48))
    >>> fovea = Fovea(sigma_px=6, blur_size=9, blur_sigma_px=3)
    >>> paths = LearnedGaze(policy, fovea).look(torch.zeros(2, 1, 32, 48), 4)
    >>> paths.sizes["scanpath"], paths.sizes["fixation"]
    (2, 4)
    """

    def __init__(
        self,
        policy: NeVAPolicy,
        fovea: Fovea | None = None,
        *,
        task: str = "",
        chunk: int = 16,
    ) -> None:
        self.policy, self.fovea, self.task = policy.eval(), fovea or Fovea(), task
        self.chunk = check_positive("chunk", chunk, integer=True)

    @classmethod
    def of(cls, pretrained: "Pretrained", fovea: Fovea | None = None) -> "LearnedGaze":
        """Return the gaze of trained weights.

        Parameters
        ----------
        pretrained : Pretrained
            Of `attnsci.families.zoo.load_model`.
        fovea : Fovea, optional
            In pixels of the images that will be looked at. By default that of training, without
            its noise, which fits images of ``policy.config.size``.

        Raises
        ------
        CheckpointError
            If the weights are not of a policy.
        """
        record = pretrained.record
        if record.get("model") != "NeVAPolicy":
            raise CheckpointError(
                f"These are weights of {record.get('model')!r}, not of a NeVAPolicy that looks."
            )
        trained = from_json(Fovea, to_json(record["fovea"]))
        return cls(
            pretrained.model,
            fovea or dataclasses.replace(trained, noise=0.0),
            task=record["task"]["name"],
        )

    @property
    def name(self) -> str:
        """What the observer is called."""
        return " ".join(["NeVA policy", self.task]).strip()

    @torch.no_grad()
    def _fixations(
        self, images: Tensor, names: list[str], n_fixations: int, viewing: Viewing, seed: int
    ) -> np.ndarray:
        # Where the fovea has noise, every image has a stream of its own.
        parts = []
        for start in range(0, len(images), self.chunk):
            rows = slice(start, start + self.chunk)
            view = FoveatedView(images[rows], self.fovea, noise_generators(names[rows], seed))
            steps = [xy for xy, _ in follow(self.policy, view, n_fixations)]
            parts.append(torch.stack(steps, 1))
        return torch.cat(parts).double().cpu().numpy()

    def provenance(self) -> dict[str, Any]:
        """Return what is needed to look in the same way again."""
        return {
            "model": "NeVAPolicy",
            "task": self.task,
            "fovea": self.fovea,
            "config": self.policy.config,
            "weights": state_hash(self.policy.state_dict()),
        }
