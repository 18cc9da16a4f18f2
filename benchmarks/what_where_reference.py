"""The stimuli and retinas of the noisy-digit studies as their code computes them, written anew.

After Daucé, Albiges & Perrinet 2020, Journal of Vision 20(8):22, the spatial transformers of
Dabane, Perrinet & Daucé 2022, and what their public code and its libraries (MotionClouds, SLIP,
LogGabor) do: one image at a time in double precision; the envelope of the noise and the disc anew
for every image; a noise seed that is the hash of a tuple of all pixels; whole complex spectra,
shifted back and forth; a matrix-vector product with the whole bank. Every filter of the bank is
built by itself; the envelopes of frequency and orientation are kept in dictionaries, as there.
The pyramid is torch's in double precision, as there; all else is NumPy. Nothing here is made
fast, and nothing is imported from `attnsci`.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

Array = npt.NDArray[Any]

_stream = np.random.RandomState(0)


# --- stimuli -------------------------------------------------------------------------------------


def noise_field(size: int, seed: int, sf_0: float = 0.1, b_sf: float = 0.1) -> Array:
    """Return one frame of a Motion Cloud, in [0, 1]."""
    half = size // 2
    rows, columns, frames = np.mgrid[-half : size - half, -half : size - half, 0:1]
    rows, columns, frames = rows * 1.0 / size, columns * 1.0 / size, frames * 1.0
    # Colour, orientation and speed are flat, and computed all the same.
    envelope = np.ones_like(rows)
    envelope *= np.ones_like(rows)
    squared = rows**2 + columns**2
    squared[squared == 0] = np.inf
    radius = np.sqrt(squared)
    spread = np.log((sf_0 + b_sf) / sf_0) ** 2
    envelope *= 1.0 / radius * np.exp(-0.5 * np.log(radius / sf_0) ** 2 / spread)
    envelope *= np.ones_like(rows)
    _stream.seed(seed)
    spectrum = np.exp(1j * (2 * np.pi * _stream.rand(size, size, 1)))
    spectrum *= _stream.randn(size, size, 1)
    spectrum = np.fft.ifftshift(spectrum * envelope)
    spectrum[0, 0, 0] = 0
    field = np.fft.ifftn(spectrum).real.copy()
    field -= field.mean()
    return (0.5 * field / np.max(np.abs(field)) + 0.5).reshape(size, size)


def _shifted(picture: Array, down: int, right: int) -> Array:
    """Return a square picture moved over a black ground."""
    size = len(picture)
    moved = np.zeros((size, size))
    moved[max(0, down) : size + min(0, down), max(0, right) : size + min(0, right)] = picture[
        max(0, -down) : size - max(0, down), max(0, -right) : size - max(0, right)
    ]
    return moved


def _strengthened(picture: Array, contrast: float | None) -> Array:
    """Return the ink about mid-grey; a uniform picture becomes 0, and no contrast is drawn."""
    if picture.min() == picture.max():
        return np.zeros(picture.shape)
    ink = (picture - picture.min()) / (picture.max() - picture.min())
    ink = 2 * ink - 1
    ink *= _stream.uniform(0.3, 0.7) if contrast is None else contrast
    return ink / 2 + 0.5


def _mixed(ink: Array, noise: float, seed_0: int = 0) -> Array:
    """Return the brighter of ink and the noise that belongs to it."""
    seed = seed_0 + hash(tuple(ink.flatten())) % (2**31 - 1)
    field = noise_field(len(ink), seed)
    field = noise * (2 * field - 1)
    field = field / 2 + 0.5
    ink[ink <= 0.5] = -np.inf
    return np.clip(np.max((ink, field), axis=0), 0.0, 1.0)


def small_scene(
    digit: Array,
    index: int,
    std: float = 15,
    furthest: float = 25,
    contrast: float | None = None,
    noise: float = 0.75,
) -> Tensor:
    """Return a scene (1, 28, 28), float32, of a digit of uint8."""
    _stream.seed(index)
    down, right = (int(min(max(_stream.randn() * std, -furthest), furthest)) for _ in range(2))
    picture = _shifted(np.array(digit), down, right).astype(np.uint8)
    scene = _mixed(_strengthened(picture, contrast), noise)
    bytes_ = (scene * 255).astype(np.uint8)
    return torch.from_numpy(bytes_)[None].to(torch.get_default_dtype()).div(255)


def large_scene(
    digit: Array,
    index: int,
    std: float = 30,
    furthest: float = 40,
    contrast: float = 0.7,
    noise: float = 0.75,
    size: int = 128,
) -> Array:
    """Return a scene (128, 128), float64, of a digit of uint8."""
    picture = np.ones((size, size)) * 0.0
    first, side = size // 2 - len(digit) // 2, len(digit)
    picture[first : first + side, first : first + side] = np.array(digit)
    _stream.seed(index)
    turn = _stream.rand() * 2 * np.pi
    radius = min(np.abs(_stream.randn()) * std, furthest)
    picture = _shifted(picture, int(radius * np.cos(turn)), int(radius * np.sin(turn)))
    return _masked(_mixed(_strengthened(picture, contrast), noise))


def _masked(scene: Array) -> Array:
    """Return the scene stretched to [0, 1], grey outside the disc."""
    scene = (scene - scene.min()) / (scene.max() - scene.min())
    scene -= 0.5
    x, y = np.mgrid[-1 : 1 : 1j * len(scene), -1 : 1 : 1j * len(scene)]
    scene *= 1.0 * (np.sqrt(x**2 + y**2) < 1)
    return scene + 0.5


# --- filters -------------------------------------------------------------------------------------


class FourierPlane:
    """Filters of a square image by its whole spectrum, frequency 0 in the middle."""

    def __init__(self, size: int) -> None:
        half = size // 2
        rows, columns = np.mgrid[-half : size - half, -half : size - half]
        self.rows, self.columns = rows * 1.0 / size, columns * 1.0 / size
        squared = self.rows**2 + self.columns**2
        squared[half, half] = 1e-12
        self.radius = np.sqrt(squared)
        self.angle = np.arctan2(self.columns, self.rows)
        below = (1 - np.exp((self.radius - 0.5) / (0.5 * 0.07))) * (self.radius < 0.5)
        self.mask = below * (1 - np.exp(-0.5 * self.radius**2 / (0.5 / size) ** 2))
        self.bands: dict[str, Array] = {}
        self.orientations: dict[str, Array] = {}

    def whitening(self) -> Array:
        """Return the gain of each frequency."""
        power = self.radius**-2.8
        power /= np.mean(power)
        gain = power**-0.5
        gain *= np.exp(-((self.radius / 0.4) ** 4))
        return gain / np.mean(gain)

    def filtered(self, image: Array, gain: Array) -> Array:
        """Return a filtered image."""
        return self.inverse(np.fft.fftshift(np.fft.fft2(image)) * gain)

    def inverse(self, spectrum: Array) -> Array:
        """Return the image of a spectrum."""
        return np.fft.ifft2(np.fft.ifftshift(spectrum)).real

    def band(self, sf_0: float, b_sf: float) -> Array:
        """Return the envelope of frequency."""
        name = f"{sf_0}_{b_sf}"
        if name not in self.bands:
            octaves = np.log(self.radius / sf_0) ** 2
            self.bands[name] = 1.0 / self.radius * np.exp(-0.5 * octaves / b_sf**2)
        return self.bands[name]

    def orientation(self, theta: float, b_theta: float) -> Array:
        """Return the envelope of orientation."""
        name = f"{theta}_{b_theta}"
        if name not in self.orientations:
            self.orientations[name] = np.exp(np.cos(self.angle - theta) / b_theta**2)
        return self.orientations[name]

    def log_gabor(
        self,
        centre: tuple[float, float],
        sf_0: float,
        b_sf: float,
        theta: float,
        b_theta: float,
        phase: float,
    ) -> Array:
        """Return one filter, whose median is 0 and whose largest magnitude is 1."""
        spectrum = self.band(sf_0, b_sf) * self.orientation(theta, b_theta)
        shift = centre[0] * self.rows + centre[1] * self.columns
        spectrum = spectrum.astype(np.complex128) * np.exp(-1j * 2 * np.pi * shift)
        spectrum *= self.mask
        spectrum /= np.sqrt((np.abs(spectrum) ** 2).mean())
        spectrum *= np.sqrt(2.0)
        values = self.inverse(spectrum * np.exp(-1j * phase))
        values -= np.median(values)
        return values / np.max(np.abs(values))


class Retina:
    """Whitening and 2880 filters."""

    n_theta, n_azimuth, n_ecc, n_phase = 6, 24, 10, 2

    def __init__(self, size: int = 128) -> None:
        self.size = size
        self.plane = FourierPlane(size)
        self.gain = self.plane.whitening()

    def local_filter(self, theta: int, azimuth: int, ecc: int, phase: int) -> Array:
        """Return one filter, flat."""
        fraction = 0.8 * (1 / 1.41) ** (self.n_ecc - ecc)
        radius = np.sqrt(2 * self.size**2) / 2 * fraction
        psi = (azimuth + (ecc % 2) * 0.5) * np.pi * 2 / self.n_azimuth
        centre = self.size / 2 + radius * np.cos(psi), self.size / 2 + radius * np.sin(psi)
        return self.plane.log_gabor(
            centre,
            sf_0=float(min(0.5 * 0.03 / fraction, 0.45)),
            b_sf=0.4,
            theta=theta * np.pi / self.n_theta + psi,
            b_theta=np.pi / self.n_theta / 2,
            phase=phase * np.pi / 2,
        ).ravel()

    def build(self) -> Array:
        """Return all filters (6, 24, 10, 2, 16384), one after the other."""
        shape = (self.n_theta, self.n_azimuth, self.n_ecc, self.n_phase)
        bank = np.zeros((*shape, self.size**2))
        for theta in range(self.n_theta):
            for azimuth in range(self.n_azimuth):
                for ecc in range(self.n_ecc):
                    for phase in range(self.n_phase):
                        values = self.local_filter(theta, azimuth, ecc, phase)
                        bank[theta, azimuth, ecc, phase, :] = values
        return bank

    def whitened(self, scene: Array) -> Array:
        """Return the whitened scene about 0.5, clipped."""
        return np.clip(self.plane.filtered(scene, self.gain) + 0.5, 0, 1)

    def features(self, scene: Array, bank: Array) -> Array:
        """Return what the filters (2880, 16384) answer to the whitened scene."""
        return bank @ np.ravel(self.whitened(scene))


def collicular_kernels(bank: Array) -> Array:
    """Return the kernels (24, 10, 16384) of the map of places that belongs to a bank."""
    kernels = (bank**2).sum(axis=(0, 3))
    kernels /= kernels.sum(axis=-1)[:, :, None]
    return kernels


class Polo:
    """A pyramid, the centre of each level seen through one bank."""

    n_theta = 8

    def __init__(self, width: int = 32, n_levels: int = 3, n_sub: int = 2, n_azimuth: int = 16):
        self.width, self.n_levels, self.n_sub, self.n_azimuth = width, n_levels, n_sub, n_azimuth
        self.bank = torch.from_numpy(self.build())

    def build(self) -> Array:
        """Return all filters (width, width, sub-level, azimuth, orientation, 1), one by one."""
        plane, width = FourierPlane(self.width), self.width
        bank = np.zeros((width, width, self.n_sub, self.n_azimuth, self.n_theta, 1))
        inner, outer = width / 4, width / 2
        b = np.log(2) / (outer - inner)
        a = (outer - inner) / (np.exp(b * (outer - inner)) - 1)
        for sub in range(self.n_sub):
            growth = np.exp(b * sub * (outer - inner) / self.n_sub)
            radius, sf_0 = a * growth + inner - a, 1 / (4 * width / 32 * a * b * growth)
            for azimuth in range(self.n_azimuth):
                psi = (azimuth + (sub % 2) / 2) * 2 * np.pi / self.n_azimuth
                centre = width // 2 + radius * np.cos(psi), width // 2 + radius * np.sin(psi)
                for theta in range(self.n_theta):
                    tilt = theta * np.pi / self.n_theta + psi
                    bank[..., sub, azimuth, theta, 0] = plane.log_gabor(
                        centre, sf_0, np.inf, tilt, np.pi / 12, 0.0
                    )
        return bank

    def pyramid(self, image: Tensor) -> Tensor:
        """Return the centres (1, level, width, width) of the levels of an image (1, 1, S, S)."""
        levels = torch.zeros(
            1, self.n_levels, 1, self.width, self.width, dtype=image.dtype
        )  # the colour is an axis of its own
        down = image.clone()
        for level in range(self.n_levels - 1):
            here = down.clone()
            down = functional.interpolate(down, scale_factor=1 / 2, mode="bilinear")
            up = functional.interpolate(down, size=here.shape[-2:], mode="bilinear")
            part = self._middle(here)
            levels[:, level] = here[..., part, part] - up[..., part, part]
        part = self._middle(down)
        levels[:, -1] = down[..., part, part]
        return levels.squeeze(2)

    def _middle(self, image: Tensor) -> slice:
        first = image.shape[-1] // 2 - self.width // 2
        return slice(first, first + self.width)

    def features(self, scene: Array) -> Tensor:
        """Return the features (orientation, level, sub-level, azimuth) of a scene."""
        levels = self.pyramid(torch.from_numpy(scene)[None, None])
        answers = torch.tensordot(levels, self.bank, dims=2)[0, ..., 0]
        return answers.permute(3, 0, 1, 2).contiguous()
