"""One digit, more or less off centre, in band-pass noise: scenes of 28 and of 128 pixels.

The stimuli of Daucé, Albiges & Perrinet 2020, "A dual foveal-peripheral visual processing model
implements efficient saccade selection", Journal of Vision 20(8):22, and of the spatial transformers
that were set against it. `noisy_digits` is the one way in.
"""

import dataclasses
import functools
import secrets
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from attnsci.checks import check_finite, check_not_empty, check_option, check_shape
from attnsci.data.counters import derived_keys, stimulus_keys, uniforms
from attnsci.data.frozen_noise import reference_seeds
from attnsci.data.noise_fields import (
    Norm,
    random_fields,
    recipe_fields,
    rolled_fields,
    unrolled,
)
from attnsci.data.noisy_layout import (
    PRESETS,
    SIDE,
    NoisyDigitsConfig,
    fresh_draws,
    frozen_draws,
    lay_out,
)
from attnsci.data.noisy_mixing import inked, mixed, seen
from attnsci.data.stimuli import Stimuli
from attnsci.errors import InvalidInput

Mode = Literal["fresh", "frozen", "pooled"]
Split = Literal["train", "test"]
Seed = int | tuple[int, ...] | torch.Generator | None
Array = npt.NDArray[Any] | Tensor

_STREAMS = {"train": 1, "test": 2}
_POOLS = {"train": 3, "test": 4}
_LAYOUT, _NOISE = 1, 2
# Pixels that are composed at once: on a CPU as many as its cache holds.
_PIXELS = {"cpu": 1 << 18}
_PIXELS_ELSEWHERE = 1 << 26


@dataclasses.dataclass(frozen=True)
class NoisyDigits(Stimuli):
    """A batch of noisy digits.

    Attributes
    ----------
    image : Tensor, shape (N, 1, size, size), float32
        Values in [0, 1].
    metadata : dict of str to Tensor, each of shape (N,)
        ``label`` and ``index`` as given; ``dy``, ``dx`` (int64) how far down and to the right the
        digit is, in pixels, and ``eccentricity`` their length; ``contrast`` (drawn for a digit out
        of view, too) and ``noise``;
        ``noise_peak``, the greatest deviation of the noise from grey, before scenes are stretched;
        ``visible``, False where no ink is within the scene. Labels are on the device of the images,
        all else on the CPU.
    config : NoisyDigitsConfig
        How scenes are laid out.
    mode : str
        "fresh", "frozen" or "pooled".
    seed : tuple of int
        Gives the same scenes again; empty if they were drawn from a generator.
    split : str
        "train" or "test".
    """

    config: NoisyDigitsConfig
    mode: Mode
    seed: tuple[int, ...]
    split: str

    @property
    def places(self) -> Tensor:
        """Middle of each digit (N, 2), float32, in continuous pixels (x, y) of the scene."""
        offsets = torch.stack([self.metadata["dx"], self.metadata["dy"]], 1)
        return (offsets + self.config.size / 2).to(self.image)

    def provenance(self) -> dict[str, Any]:
        """Return what is needed, besides the digits, to make the same scenes again."""
        return {
            "stimuli": "noisy digits",
            "scenes": dataclasses.asdict(self.config),
            "mode": self.mode,
            "seed": list(self.seed),
            "split": self.split,
        }


def noisy_digits(
    images: Array,
    labels: Array,
    index: Array,
    size: int | None = None,
    mode: Mode = "fresh",
    *,
    seed: Seed = None,
    split: str = "train",
    device: str | torch.device | None = None,
    config: NoisyDigitsConfig | None = None,
    **settings: Any,
) -> NoisyDigits:
    """Show digits in band-pass noise.

    Parameters
    ----------
    images : ndarray or Tensor, shape (N, 28, 28)
        White on black: uint8, or floating in [0, 1] (not with mode "frozen").
    labels : ndarray or Tensor of int, shape (N,)
        Their classes.
    index : ndarray or Tensor of int, shape (N,)
        Their places in the data set, from 0 up. Place, contrast and noise of a scene depend on it
        and the seed, never on the rest of the batch.
    size : {28, 128}, optional
        Side of the scenes: those of the published What network and STN, or those of Where and the
        other transformers. 28 by default, or that of `config`.
    mode : {"fresh", "frozen", "pooled"}
        "fresh": a new field for each seed and index. "frozen": bit by bit what the published code
        shows for each index, the same in every epoch, and the same noise for all digits that are
        out of view. "pooled": a field of a pool, which is the same for all seeds, rolled at
        random; the quickest.
    seed : int, tuple of int or torch.Generator, optional
        Names the set of scenes; a training run takes (seed, epoch), a map (seed, cell). A
        generator (on the CPU) is drawn from once a scene and moves on. By default a seed comes
        from the operating system and stands in the result. In mode "frozen" a whole number, 0 by
        default, that the published code adds to its noise seeds.
    split : {"train", "test"}
        Which split the digits are of: the two never share noise, shift or contrast. The frozen
        scenes know no split, as published.
    device : str or torch.device, optional
        Where scenes are composed; by default where `images` are.
    config : NoisyDigitsConfig, optional
        Layout; by default the published one of this size.
    **settings
        Fields of `NoisyDigitsConfig` to replace: ``contrast``, ``noise``, ``std``, ``i_offset``…

    Returns
    -------
    NoisyDigits
        Images (N, 1, size, size) float32 with what is known of each.

    Raises
    ------
    InvalidInput
        If an array has another shape or type, is empty, not finite or out of range, or settings
        do not fit one another.

    Notes
    -----
    The noise is opaque (the brighter of digit and noise is seen), so that a digit of low contrast
    is below the peaks of the noise.

    References
    ----------
    Daucé, Albiges & Perrinet 2020, Journal of Vision 20(8):22.

    Examples
    --------
    >>> from attnsci.data import load_mnist
    >>> digits = load_mnist("test").subset(range(0, 1000, 100))
    >>> batch = noisy_digits(digits.images, digits.labels, digits.index, 128, seed=0, radius=20)
    >>> batch.image.shape, batch.metadata["label"].tolist()
    (torch.Size([10, 1, 128, 128]), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    >>> batch.metadata["eccentricity"].round().tolist()
    [19.0, 19.0, 19.0, 19.0, 19.0, 20.0, 19.0, 20.0, 19.0, 19.0]
    """
    check_option("mode", mode, get_args(Mode))
    check_option("split", split, get_args(Split))
    config = _settled(config, size, settings)
    frozen = mode == "frozen"
    if frozen and (config.tail, config.norm) != ("clip", "peak"):
        raise InvalidInput(
            "Frozen scenes are the published ones, of tail='clip' and norm='peak'; got "
            f"tail={config.tail!r} and norm={config.norm!r}. Use mode='fresh'."
        )
    digits = _checked_images(images, frozen)
    device = torch.device(device) if device is not None else digits.device
    n = len(digits)
    label, index = _whole("labels", labels, n), _whole("index", index, n)
    if bool((index < 0).any()):
        raise InvalidInput(f"index must be 0 or more; got {int(index.min())}.")
    named, keys = _keys(seed, mode, split, index)
    if keys is None:
        draws = frozen_draws(index.numpy(), config)
    else:
        draws = fresh_draws(derived_keys(keys, _LAYOUT), config)
    dy, dx, contrast = (torch.from_numpy(array) for array in lay_out(draws, config))
    # The hash of frozen scenes needs float64 and the host.
    where = torch.device("cpu") if frozen else device
    noise_keys = None if keys is None else derived_keys(keys, _NOISE).to(where)
    spectrum = (config.size, config.sf0, config.b_sf)
    pool = _pool(config.pool, spectrum, config.norm, split, where) if mode == "pooled" else None
    given = digits.to(where), dy.to(where), dx.to(where), contrast.to(where, _dtype(frozen))
    image = torch.empty(n, 1, config.size, config.size, device=where)
    peak, visible = torch.empty(n, device=where), torch.empty(n, device=where, dtype=torch.bool)
    step = max(1, _PIXELS.get(where.type, _PIXELS_ELSEWHERE) // config.size**2)
    for start in range(0, n, step):
        part = slice(start, start + step)
        some, rows, columns, strength = (tensor[part] for tensor in given)
        ink, visible[part] = inked(some, rows, columns, strength, config)
        if noise_keys is None:
            seeds = reference_seeds(ink, rows, columns, strength, config.size, named[0])
            field = torch.from_numpy(recipe_fields(seeds, *spectrum) - 0.5)
        elif pool is None:
            field = random_fields(noise_keys[part], *spectrum, norm=config.norm)
        else:
            field = _pooled_fields(noise_keys[part], pool)
        field = field.mul_(config.noise)
        peak[part] = _peaks(field)
        image[part, 0] = seen(mixed(field.add_(0.5), ink, rows, columns), config).float()
    metadata = {
        "label": label.to(device),
        "index": index,
        "dy": dy,
        "dx": dx,
        "eccentricity": torch.hypot(dy.double(), dx.double()),
        "contrast": contrast,
        "noise": torch.full((n,), config.noise, dtype=torch.float64),
        "noise_peak": peak.cpu(),
        "visible": visible.cpu(),
    }
    return NoisyDigits(image.to(device), metadata, config, mode, named, split)


def _settled(
    config: NoisyDigitsConfig | None, size: int | None, settings: dict[str, Any]
) -> NoisyDigitsConfig:
    """Return the config that `noisy_digits` was asked for."""
    if config is None:
        config = PRESETS[check_option("size", SIDE if size is None else size, tuple(PRESETS))]
    elif size not in (None, config.size):
        raise InvalidInput(f"size is {size} and config.size {config.size}; give one of them.")
    known = [field.name for field in dataclasses.fields(config)]
    for name in settings:
        check_option("A setting of noisy_digits", name, known)
    return dataclasses.replace(config, **settings)


def _checked_images(images: Array, frozen: bool) -> Tensor:
    """Return digits (N, 28, 28) as a tensor that shares nothing with a read-only array."""
    if not isinstance(images, Tensor):
        array = np.asarray(images)
        if array.dtype != np.uint8 and not np.issubdtype(array.dtype, np.floating):
            raise InvalidInput(f"images must be uint8 or floating; got {array.dtype}.")
        images = torch.from_numpy(array if array.flags.writeable else array.copy())
    check_not_empty("images", check_shape("images", images, ("N", SIDE, SIDE)))
    if images.dtype == torch.uint8:
        return images
    if frozen or not images.is_floating_point():
        raise InvalidInput(
            f"images must be uint8{'' if frozen else ' or floating'} in mode "
            f"{'frozen' if frozen else 'fresh or pooled'}, as the files have them; got "
            f"{images.dtype}."
        )
    low, high = images.amin(), images.amax()
    if not bool((low >= 0) & (high <= 1)):  # NaN is neither
        check_finite("images", images.cpu())
        raise InvalidInput(
            f"Floating images must lie between 0 and 1; got {low.item():g} to {high.item():g}."
        )
    return images


def _whole(parameter: str, values: Array, n: int) -> Tensor:
    """Return `n` whole numbers as int64 on the host."""
    array = values.cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    check_shape(parameter, array, (n,))
    if not np.issubdtype(array.dtype, np.integer):
        raise InvalidInput(f"{parameter} must be whole numbers; got {array.dtype}.")
    return torch.from_numpy(array.astype(np.int64))


def _keys(
    seed: Seed, mode: Mode, split: str, index: Tensor
) -> tuple[tuple[int, ...], Tensor | None]:
    """Return the seed that names the scenes, and a key for each scene that is not frozen."""
    if isinstance(seed, torch.Generator) and mode != "frozen":
        if seed.device.type != "cpu":
            raise InvalidInput(f"seed must be a generator on the CPU; got one on {seed.device}.")
        return (), torch.randint(-(2**63), 2**63 - 1, index.shape, generator=seed)
    if seed is None:
        seed = 0 if mode == "frozen" else secrets.randbits(63)
    named: tuple[Any, ...] = seed if isinstance(seed, tuple) else (seed,)
    valid = [isinstance(part, int | np.integer) and part >= 0 for part in named]
    if not named or not all(valid) or (mode == "frozen" and len(named) > 1):
        kind = "a whole number" if mode == "frozen" else "a whole number, several, or a generator"
        raise InvalidInput(f"seed must be {kind} from 0 up in mode {mode!r}; got {seed!r}.")
    named = tuple(int(part) for part in named)
    return named, None if mode == "frozen" else stimulus_keys(named, _STREAMS[split], index)


def _dtype(frozen: bool) -> torch.dtype:
    return torch.float64 if frozen else torch.float32


@functools.lru_cache(maxsize=4)
def _pool(
    n: int, spectrum: tuple[int, float, float], norm: Norm, split: str, device: torch.device
) -> Tensor:
    """Return the `n` fields of mode "pooled", ready to be rolled."""
    keys = stimulus_keys((), _POOLS[split], torch.arange(n)).to(device)
    return unrolled(random_fields(keys, *spectrum, norm=norm))


def _pooled_fields(keys: Tensor, pool: Tensor) -> Tensor:
    """Return one field (N, size, size) of the pool for each key, rolled at random."""
    limits = torch.tensor([len(pool), pool.shape[1], pool.shape[1]], device=keys.device)
    which, rows, columns = (uniforms(keys, 3) * limits).long().unbind(1)
    return rolled_fields(pool, which, rows, columns)


def _peaks(field: Tensor) -> Tensor:
    """Return the greatest deviation (N,) from grey that is within the range of images."""
    flat = field.flatten(1)
    return torch.maximum(flat.amax(1), -flat.amin(1)).clamp_(max=0.5).float()
