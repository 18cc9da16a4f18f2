"""Maps of where people looked: fixation density, leave-one-out density, centre bias.

Fixations are brought to the pixel they lie in by floor; those outside their image are dropped
(or moved to its nearest pixel) and counted. The kernel is a Gaussian cut at four standard
deviations, with zeros beyond the image's border and no correction for it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from attnsci.checks import check_fraction, check_known, check_option
from attnsci.errors import InvalidInput
from attnsci.gaze import as_text, frame_sizes
from attnsci.scanpaths.blur import TRUNCATE, blur, default_sigma, without

if TYPE_CHECKING:
    import xarray as xr

KEPT_SIZES = 8
"""Image sizes whose summed maps are kept; a set of photographs has few."""


class FixationMaps:
    """The density maps of a scanpath set, one image at a time and in bounded memory.

    Parameters
    ----------
    scanpaths : xarray.Dataset
        The container of `attnsci.gaze`; its images may differ in size.
    sigma_px : float, optional
        Standard deviation of the Gaussian; one degree of the set's `Viewing` if not given.
    outside : {"drop", "clip"}
        What becomes of fixations outside their image (x = width is outside).

    Attributes
    ----------
    images : list of str
        In order of first appearance.
    sigma_px : float
    row, index, code : ndarray (F,), int64
        Scanpath, place in it, and image (its place in `images`) of every fixation that counts.
    n_fixations, n_outside : ndarray (images,)
        Fixations that count, and those outside their image: dropped, or moved and counted.

    Raises
    ------
    InvalidInput
        If no width is given and none can be known, or an image's size is no whole number or
        differs between scanpaths.

    Examples
    --------
    >>> from attnsci.scanpaths import Viewing, from_dict
    >>> paths = from_dict({"a": {"s1": [[10, 5]], "s2": [[40, 30], [90, 9]]}}, Viewing(80, 60))
    >>> maps = FixationMaps(paths, sigma_px=4)
    >>> maps.density("a").shape, maps.n_outside.tolist()
    ((60, 80), [1])
    """

    def __init__(
        self, scanpaths: "xr.Dataset", sigma_px: float | None = None, outside: str = "drop"
    ) -> None:
        check_option("outside", outside, ("drop", "clip"))
        self.sigma_px = default_sigma(scanpaths, sigma_px)
        names = scanpaths["image"].to_numpy()
        found, first, code = np.unique(names, return_index=True, return_inverse=True)
        order = np.argsort(first)
        self.images: list[str] = found[order].tolist()
        code = np.argsort(order)[code]
        self._code_of = {name: index for index, name in enumerate(self.images)}
        self._sizes = _sizes(scanpaths, self.images, code, first[order])

        inside = (
            np.arange(scanpaths.sizes["fixation"]) < scanpaths["n_fixations"].to_numpy()[:, None]
        )
        self.row, self.index = np.nonzero(inside)
        x, y = (scanpaths[name].to_numpy()[inside] for name in ("x", "y"))
        self.code = code[self.row]
        height, width = self._sizes[self.code].T
        out = (x < 0) | (x >= width) | (y < 0) | (y >= height)
        n = len(self.images)
        self.n_outside = np.bincount(self.code[out], minlength=n)
        if outside == "clip":
            x, y = np.clip(x, 0, width - 0.5), np.clip(y, 0, height - 0.5)
            out = np.zeros_like(out)
        self._x, self._y = x[~out], y[~out]
        self.row, self.index, self.code = self.row[~out], self.index[~out], self.code[~out]
        self.n_fixations = np.bincount(self.code, minlength=n)
        self._observer = scanpaths["observer"].to_numpy()[self.row]
        self._observers = set(scanpaths["observer"].to_numpy().tolist())
        # Fixations of one image lie together, so that each is found without a search.
        by_image = np.argsort(self.code, kind="stable")
        self._of_image = np.split(by_image, np.cumsum(self.n_fixations)[:-1])
        self._totals: dict[tuple[int, int], tuple[np.ndarray, ...]] = {}

    def shape(self, image: str) -> tuple[int, int]:
        """Return height and width of an image in pixels."""
        height, width = self._sizes[self._at(image)]
        return int(height), int(width)

    def fixations(self, image: str) -> np.ndarray:
        """Return the entries of `row`, `index` and `code` that are on an image."""
        return self._of_image[self._at(image)]

    def pixels(self, image: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return column, row (int64) and observer (text) of the fixations (F,) on an image."""
        own = self.fixations(image)
        x, y = (np.floor(values[own]).astype(np.int64) for values in (self._x, self._y))
        return x, y, self._observer[own]

    def density(self, image: str, leave_out: str | None = None) -> np.ndarray:
        """Return the density (H, W), summing to 1, of an image's fixations.

        Parameters
        ----------
        image : str
            Name.
        leave_out : str, optional
            Observer whose fixations do not count.

        Raises
        ------
        UnknownName
            If there is no such image or observer.
        InvalidInput
            If no fixation is left.
        """
        x, y, observer = self.pixels(image)
        if leave_out is not None:
            check_known("observer", leave_out, self._observers)
            kept = observer != leave_out
            x, y = x[kept], y[kept]
        if len(x) == 0:
            without = f" without observer {leave_out!r}" if leave_out is not None else ""
            raise InvalidInput(f"No fixation lies inside image {image!r}{without}.")
        blurred = blur(x, y, self.shape(image), self.sigma_px)
        return blurred / blurred.sum()

    def others(self, image: str, shape: tuple[int, int] | None = None) -> np.ndarray:
        """Return the pixels (M,) of the fixations on all other images, brought to one's size.

        Parameters
        ----------
        image : str
            Name; one that the set does not have leaves nothing out.
        shape : tuple of int, optional
            Height and width, where the set does not have the image.

        Returns
        -------
        ndarray (M,), int64
            Indices into the raveled map, ascending.

        Raises
        ------
        InvalidInput
            If there are none.
        """
        flat, code, _ = self._total(shape or self.shape(image))
        found = flat[code != self._code_of.get(image, -1)]
        if len(found) == 0:
            raise InvalidInput(
                f"There are no fixations on images other than {image!r}, which the shuffled AUC "
                "takes as negatives. Give a larger set (reference=...), or leave 'sauc' out."
            )
        return found

    def centre_bias(
        self, image: str, uniform: float = 0.0, shape: tuple[int, int] | None = None
    ) -> np.ndarray:
        """Return the density (H, W) of the fixations on all other images.

        Parameters
        ----------
        image, shape
            As in `others`.
        uniform : float
            Share of the uniform density mixed in, so that no pixel is 0.

        Raises
        ------
        InvalidInput
            If there are no fixations on other images.
        """
        check_fraction("uniform", uniform)
        shape = shape or self.shape(image)
        if uniform == 1:
            return np.full(shape, 1 / (shape[0] * shape[1]))
        _, _, total = self._total(shape)
        blurred = total
        if image in self._code_of:
            own = self.fixations(image)
            x, y = self._scaled(shape, own)
            blurred = without(total, blur(x, y, shape, self.sigma_px), self.sigma_px)
        mass = blurred.sum()
        if mass == 0:
            raise InvalidInput(
                f"There are no fixations on images other than {image!r}, so there is no centre "
                "bias. Give a larger set (reference=...), or uniform=1, the uniform density."
            )
        return (1 - uniform) * blurred / mass + uniform / blurred.size

    def _at(self, image: str) -> int:
        check_known("image", image, self._code_of)
        return self._code_of[image]

    def _scaled(self, shape: tuple[int, int], which: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return the columns and rows of fixations in the frame of an image of another size."""
        pixels = []
        for side, values, length in ((1, self._x, shape[1]), (0, self._y, shape[0])):
            ratio = length / self._sizes[self.code[which], side]
            scaled = np.floor(values[which] * ratio).astype(np.int64)
            pixels.append(np.minimum(scaled, length - 1))  # the product may round up to the border
        return pixels[0], pixels[1]

    def _total(self, shape: tuple[int, int]) -> tuple[np.ndarray, ...]:
        """Return pixels and image codes of all fixations by pixel, and their blurred sum."""
        if shape not in self._totals:
            if len(self._totals) >= KEPT_SIZES:
                self._totals.clear()
            x, y = self._scaled(shape, slice(None))
            flat = y * shape[1] + x
            order = np.argsort(flat, kind="stable")  # neighbours in memory are read together
            blurred = blur(x, y, shape, self.sigma_px)
            self._totals[shape] = flat[order], self.code[order], blurred
        return self._totals[shape]


def fixation_density(
    scanpaths: "xr.Dataset",
    sigma_px: float | None = None,
    *,
    images: Sequence[Any] | None = None,
    leave_out: str | None = None,
    outside: str = "drop",
) -> "xr.DataArray":
    """Return the density of the fixations on each image (the empirical map).

    Parameters
    ----------
    scanpaths : xarray.Dataset
        The container.
    sigma_px : float, optional
        Standard deviation of the Gaussian; one degree if not given.
    images : sequence of str, optional
        Only these. `FixationMaps` gives one at a time where all do not fit in memory.
    leave_out : str, optional
        Observer whose fixations do not count.
    outside : {"drop", "clip"}
        What becomes of fixations outside their image.

    Returns
    -------
    xarray.DataArray
        Dims ``image``, ``y``, ``x`` (pixel centres), each map summing to 1; coordinates
        ``n_fixations`` and ``n_outside`` on ``image`` count all observers.

    Raises
    ------
    InvalidInput
        If images differ in size, or one has no fixation inside.

    Examples
    --------
    >>> from attnsci.scanpaths import Viewing, from_dict
    >>> paths = from_dict({"a": [[10, 5], [40, 30]]}, Viewing(80, 60, px_per_deg=4))
    >>> float(fixation_density(paths).sum().round(12))
    1.0
    """
    maps = FixationMaps(scanpaths, sigma_px, outside)
    return _stacked(maps, images, lambda image: maps.density(image, leave_out))


def centre_bias(
    scanpaths: "xr.Dataset",
    sigma_px: float | None = None,
    *,
    images: Sequence[Any] | None = None,
    uniform: float = 0.0,
    outside: str = "drop",
) -> "xr.DataArray":
    """Return, for each image, the density of the fixations on all other images.

    Parameters
    ----------
    scanpaths : xarray.Dataset
        The container.
    sigma_px, images, outside
        As in `fixation_density`; all images of the set count, whichever are asked for.
    uniform : float
        Share of the uniform density mixed in, so that no pixel is 0.

    Returns
    -------
    xarray.DataArray
        As `fixation_density`.

    Raises
    ------
    InvalidInput
        If images differ in size, or there is only one.

    Examples
    --------
    >>> from attnsci.scanpaths import Viewing, from_dict
    >>> paths = from_dict({"a": [[10, 5]], "b": [[40, 30]]}, Viewing(80, 60, px_per_deg=4))
    >>> centre_bias(paths).sel(image="a").argmax(...)["x"].item()
    40
    """
    maps = FixationMaps(scanpaths, sigma_px, outside)
    return _stacked(maps, images, lambda image: maps.centre_bias(image, uniform))


def _sizes(
    scanpaths: "xr.Dataset", images: list[str], code: np.ndarray, first: np.ndarray
) -> np.ndarray:
    """Return height and width (images, 2) in whole pixels."""
    width, height = frame_sizes(scanpaths)
    given = np.stack([height, width], axis=1)
    sizes = given[first]
    for what, bad in (
        ("not a whole number of pixels", (given != np.round(given)).any(1)),
        ("not the same for all of its scanpaths", (given != sizes[code]).any(1)),
    ):
        if bad.any():
            row = int(np.argmax(bad))
            raise InvalidInput(
                f"The size of image {images[code[row]]!r} is {what}: {width[row]:g}×"
                f"{height[row]:g}. Maps need one; rescale(scanpaths, width_px, height_px) sets it."
            )
    return sizes.astype(np.int64)


def _stacked(maps: FixationMaps, images: Sequence[Any] | None, make: Any) -> "xr.DataArray":
    import xarray as xr

    names = maps.images if images is None else as_text(np.asarray(list(images))).tolist()
    at = [maps.images.index(check_known("image", name, maps.images)) for name in names]
    shapes = {maps.shape(name) for name in names}
    if len(shapes) != 1:
        raise InvalidInput(
            f"The images have {len(shapes)} different sizes; one array needs one. Bring them to "
            "one by rescale(scanpaths, width_px, height_px), or take FixationMaps, one at a time."
        )
    height, width = shapes.pop()
    values = np.empty((len(names), height, width))
    for index, name in enumerate(names):
        values[index] = make(name)
    return xr.DataArray(
        values,
        dims=("image", "y", "x"),
        coords={
            "image": names,
            "y": np.arange(height) + 0.5,
            "x": np.arange(width) + 0.5,
            "n_fixations": ("image", maps.n_fixations[at]),
            "n_outside": ("image", maps.n_outside[at]),
        },
        name="density",
        attrs={"sigma_px": maps.sigma_px, "truncate": TRUNCATE},
    )
