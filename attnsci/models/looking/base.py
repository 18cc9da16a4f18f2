"""What every model that looks shares: checks, geometry, the container, who looked and how."""

import abc
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from attnsci.checks import check_positive
from attnsci.errors import InvalidInput
from attnsci.gaze import from_arrays
from attnsci.geometry import Viewing
from attnsci.models.images import check_images
from attnsci.provenance import stable_hash, to_json
from attnsci.seeds import numpy_generator

if TYPE_CHECKING:
    import xarray as xr


class Looker(abc.ABC):
    """Looks at images; what it returns says who looked and how."""

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """What the observer is called."""

    @abc.abstractmethod
    def provenance(self) -> dict[str, Any]:
        """Return what is needed to look in the same way again."""

    @abc.abstractmethod
    def _fixations(
        self, images: Tensor, names: list[str], n_fixations: int, viewing: Viewing, seed: int
    ) -> np.ndarray:
        """Return the fixations (N, n_fixations, 2) as x and y on images (N, C, H, W)."""

    def look(
        self,
        images: Tensor,
        n_fixations: int = 10,
        *,
        image: Sequence[str] | None = None,
        seed: int = 0,
        viewing: Viewing | None = None,
    ) -> "xr.Dataset":
        """Return a scanpath an image.

        Parameters
        ----------
        images : Tensor, shape (N, C, H, W), float in [0, 1]
            Grey (C = 1) or colour (C = 3).
        n_fixations : int
            Length of every scanpath.
        image : sequence of str, length N, optional
            Names; "0", "1", … if not given. Each names its own random stream, so a scanpath
            depends on the image, its name and the seed, and on nothing else in the batch.
        seed : int
        viewing : Viewing, optional
            Geometry, in pixels of `images`.

        Returns
        -------
        xarray.Dataset
            The container of `attnsci.gaze`, without durations; ``attrs["provenance"]`` is the
            model's settings as JSON, ``attrs["seed"]`` the seed.

        Raises
        ------
        InvalidInput
            If `n_fixations` is less than 1, an image is no picture, names are doubled, or the
            viewing is of another size; the message names the image.
        """
        names, seen = to_look_at(images, n_fixations, image, viewing)
        xy = self._fixations(images, names, n_fixations, seen, seed)
        return self._scanpaths(xy, names, seen, seed)

    def _scanpaths(
        self,
        xy: np.ndarray,
        names: list[str],
        viewing: Viewing,
        seed: int,
        duration: np.ndarray | None = None,
        observer: list[str] | None = None,
    ) -> "xr.Dataset":
        """Return fixations (N, T, 2) as the container, with who looked and how."""
        scanpaths = from_arrays(
            xy[..., 0], xy[..., 1], duration, image=names, observer=observer or self.name,
            viewing=viewing,
        )  # fmt: skip
        return scanpaths.assign_attrs(provenance=to_json(self.provenance()), seed=seed)


class ImageLooker(Looker):
    """Looks at one image after another, so that neighbours in a batch change nothing."""

    @abc.abstractmethod
    def _path(
        self,
        picture: Tensor,
        name: str,
        n_fixations: int,
        viewing: Viewing,
        rng: np.random.Generator,
    ) -> np.ndarray:
        """Return the fixations (n_fixations, 2) as x and y on a picture (C, H, W)."""

    def _fixations(
        self, images: Tensor, names: list[str], n_fixations: int, viewing: Viewing, seed: int
    ) -> np.ndarray:
        return np.stack([
            self._path(picture, name, n_fixations, viewing, stream(self.name, seed, name))
            for picture, name in zip(images, names, strict=True)
        ])  # fmt: skip


def to_look_at(
    images: Tensor, n_fixations: int, image: Sequence[str] | None, viewing: Viewing | None
) -> tuple[list[str], Viewing]:
    """Return the names of images (N, C, H, W) and their geometry; see `Looker.look`.

    Raises
    ------
    InvalidInput
        If these are no images, `n_fixations` is no number of fixations, or `viewing` is of
        another size.
    """
    check_positive("n_fixations", n_fixations, integer=True)
    return check_images(images, image), viewing_of_images(images, viewing)


def viewing_of_images(images: Tensor, viewing: Viewing | None) -> Viewing:
    """Return `viewing`, or the plain one of images (N, C, H, W).

    Raises
    ------
    InvalidInput
        If `viewing` is of another size.
    """
    height, width = images.shape[-2:]
    seen = viewing or Viewing(float(width), float(height))
    if (seen.width_px, seen.height_px) != (width, height):
        raise InvalidInput(
            f"viewing is of {seen.width_px:g}×{seen.height_px:g} pixels and the images are "
            f"{width}×{height}. Give viewing.resized({width}, {height})."
        )
    return seen


def stream(model: str, seed: int, image: str) -> np.random.Generator:
    """Return the generator of an image; no two models share theirs."""
    return numpy_generator(seed, int(stable_hash([model, image]), 16))
