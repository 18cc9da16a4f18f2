"""Looking as people do: where they look on other images, and one of them on this one."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from attnsci.checks import nearest
from attnsci.errors import InvalidInput
from attnsci.gaze import frame_sizes, validate
from attnsci.geometry import Viewing
from attnsci.models.looking.base import ImageLooker, Looker, stream, to_look_at
from attnsci.provenance import array_hash

if TYPE_CHECKING:
    import xarray as xr


class CentreBiasLooker(ImageLooker):
    """Fixates where people fixated on other images: independent draws, without their order.

    Positions are taken relative to the image's sides. Fixations outside their image are left out.

    Parameters
    ----------
    scanpaths : xarray.Dataset
        Of people, the container of `attnsci.gaze`. Those on the image that is shown, by name, are
        left out of its draws.

    Raises
    ------
    InvalidInput
        If `scanpaths` is no such container.

    Examples
    --------
    >>> import torch
    >>> from attnsci.gaze import from_dict
    >>> people = from_dict({"a": {"s1": [[10, 5]]}, "b": {"s1": [[70, 50]]}}, Viewing(80, 60))
    >>> paths = CentreBiasLooker(people).look(torch.zeros(2, 1, 60, 80), 1, image=["a", "b"])
    >>> paths["x"].values.tolist()
    [[70.0], [10.0]]
    """

    name = "centre bias"

    def __init__(self, scanpaths: "xr.Dataset") -> None:
        validate(scanpaths)
        xy, frame = _positions(scanpaths)
        inside = ((xy >= 0) & (xy < frame)).all(-1)  # NaN is neither
        row = np.nonzero(inside)[0]
        self._xy, self._frame = xy[inside], frame[row, 0]
        self._image = scanpaths["image"].to_numpy()[row]

    def provenance(self) -> dict[str, Any]:
        """Return what is needed to look in the same way again."""
        return {"model": "CentreBiasLooker", "fixations": array_hash(self._xy, self._frame)}

    def _path(
        self,
        picture: Tensor,
        name: str,
        n_fixations: int,
        viewing: Viewing,
        rng: np.random.Generator,
    ) -> np.ndarray:
        elsewhere = np.flatnonzero(self._image != name)
        if len(elsewhere) == 0:
            raise InvalidInput(
                f"The people's scanpaths hold no fixation on any image but {name!r}, so there is "
                "no centre bias to draw from. Give scanpaths on several images."
            )
        drawn = rng.choice(elsewhere, n_fixations)
        # The ratio comes first: in a frame of the same size it is 1, and positions are untouched.
        return self._xy[drawn] * ([viewing.width_px, viewing.height_px] / self._frame[drawn])


class HumanLooker(Looker):
    """One person's own scanpath on each image: the human ceiling, one against the rest.

    Observers keep their names, and scanpaths their durations, so that a comparison can leave the
    person out of the people that the scanpath is compared with. (Left in, it would be compared
    with itself.)

    Parameters
    ----------
    scanpaths : xarray.Dataset
        Of people, the container of `attnsci.gaze`.

    Raises
    ------
    InvalidInput
        If `scanpaths` is no such container.

    Examples
    --------
    >>> import torch
    >>> from attnsci.gaze import from_dict
    >>> people = from_dict({"a": {"s1": [[10, 5], [20, 9]], "s2": [[7, 5]]}}, Viewing(80, 60))
    >>> path = HumanLooker(people).look(torch.zeros(1, 1, 60, 80), 2, image=["a"], seed=1)
    >>> path["observer"].item() in ("s1", "s2")
    True
    """

    name = "human"

    def __init__(self, scanpaths: "xr.Dataset") -> None:
        self._people = validate(scanpaths)
        self._xy, self._frame = _positions(scanpaths)
        self._image = scanpaths["image"].to_numpy()

    def provenance(self) -> dict[str, Any]:
        """Return what is needed to look in the same way again."""
        return {"model": "HumanLooker", "fixations": array_hash(self._xy, self._frame)}

    def look(
        self,
        images: Tensor,
        n_fixations: int = 10,
        *,
        image: Sequence[str] | None = None,
        seed: int = 0,
        viewing: Viewing | None = None,
    ) -> "xr.Dataset":
        """Return the scanpath of one person an image, drawn by lot.

        Parameters
        ----------
        images : Tensor, shape (N, C, H, W), float in [0, 1]
            Only their size counts: positions are scaled to it.
        n_fixations : int
            Scanpaths are cut to this length; shorter ones stay as they are.
        image : sequence of str, length N, optional
            Names, as the people's scanpaths have them.
        seed : int
        viewing : Viewing, optional
            Geometry, in pixels of `images`.

        Returns
        -------
        xarray.Dataset
            The container of `attnsci.gaze`.

        Raises
        ------
        InvalidInput
            If nobody saw an image; the message names it. See also `Looker.look`.
        """
        names, seen = to_look_at(images, n_fixations, image, viewing)
        rows = self._rows(names, seed)
        xy = self._fixations(images, names, n_fixations, seen, seed)
        duration = self._people["duration"].to_numpy()[rows, :n_fixations]
        observer = self._people["observer"].to_numpy()[rows].tolist()
        return self._scanpaths(xy, names, seen, seed, duration, observer)

    def _fixations(
        self, images: Tensor, names: list[str], n_fixations: int, viewing: Viewing, seed: int
    ) -> np.ndarray:
        rows = self._rows(names, seed)
        scale = [viewing.width_px, viewing.height_px] / self._frame[rows]
        return self._xy[rows, :n_fixations] * scale

    def _rows(self, names: list[str], seed: int) -> np.ndarray:
        return np.array([self._row(name, seed) for name in names])

    def _row(self, name: str, seed: int) -> int:
        """Return the scanpath drawn for an image."""
        rows = np.flatnonzero(self._image == name)
        if len(rows) == 0:
            known = np.unique(self._image).tolist()
            raise InvalidInput(
                f"Nobody's scanpath is known on image {name!r}; the people saw e.g. "
                f"{nearest(name, known, 3)}. Images are matched by name."
            )
        return int(stream(self.name, seed, name).choice(rows))


def _positions(scanpaths: "xr.Dataset") -> tuple[np.ndarray, np.ndarray]:
    """Return x and y (scanpath, fixation, 2), and width and height (scanpath, 1, 2)."""
    xy = np.stack([scanpaths["x"].to_numpy(), scanpaths["y"].to_numpy()], -1)
    return xy, np.stack(frame_sizes(scanpaths), -1)[:, None]
