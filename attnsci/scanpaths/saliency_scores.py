"""Models' maps against people's fixations, image by image, with every metric by name."""

import functools
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from attnsci.checks import check_dims, check_fraction, check_not_empty, check_option, nearest
from attnsci.errors import InvalidInput
from attnsci.gaze import as_text, validate
from attnsci.scanpaths import saliency_fixations as on_one
from attnsci.scanpaths import saliency_maps as of_two
from attnsci.scanpaths.maps import FixationMaps

if TYPE_CHECKING:
    import xarray as xr

METRICS = {
    "nss": "normalised scanpath saliency, in standard deviations",
    "auc": "area under the ROC curve, all pixels as negatives",
    "auc_unfixated": "area under the ROC curve, pixels without a fixation as negatives",
    "auc_judd": "area under the ROC curve as the MATLAB function AUC_Judd, without jitter",
    "sauc": "area under the ROC curve, fixations on all other images as negatives",
    "ll": "log likelihood, bits a fixation over uniform",
    "ig": "information gain over the baseline, bits a fixation",
    "cc": "Pearson's correlation with the empirical map",
    "sim": "overlap with the empirical map",
    "kl": "Kullback-Leibler divergence from the empirical map, nats",
}
"""What each metric is; the last three compare with the Gaussian map of the fixations."""


def saliency(
    maps: Any,
    scanpaths: "xr.Dataset",
    metrics: Sequence[str] = ("nss", "auc", "sauc", "ig"),
    *,
    baseline: Any = "centre_bias",
    reference: "xr.Dataset | None" = None,
    sigma_px: float | None = None,
    uniform: float = 0.0,
    ddof: int = 0,
    range_normalise: bool = False,
    eps: float = of_two.MATLAB_EPS,
    outside: str = "drop",
) -> "xr.Dataset":
    """Return how well maps predict fixations, for every image and metric.

    Parameters
    ----------
    maps : xarray.DataArray, mapping or callable
        Dims ``image``, ``y``, ``x``; or image name to an array (H, W); or a function of the
        image's name that returns one, called once an image. Each of its image's size. "ll" and
        "ig" take them as densities, divided by their sums; the others take any scale.
    scanpaths : xarray.Dataset
        The container. All fixations count, the first included: ``crop(scanpaths,
        drop_first=1)`` leaves it out.
    metrics : sequence of str
        Of `METRICS`.
    baseline : {"centre_bias", "uniform"}, or as `maps`
        What "ig" is over. The centre bias is the density of the fixations on all other images.
    reference : xarray.Dataset, optional
        A larger set which gives the centre bias and the negatives of "sauc"; images are told
        apart by name. `scanpaths` itself if not given.
    sigma_px : float, optional
        Standard deviation of the Gaussian of centre bias and empirical map; one degree if not
        given.
    uniform : float
        Share of the uniform density in the centre bias; small sets need some.
    ddof : {0, 1}
        Of the SD in "nss"; 1 as in MATLAB.
    range_normalise : bool
        Bring maps to [0, 1] before "sim", as in MATLAB.
    eps : float
        In "kl".
    outside : {"drop", "clip"}
        What becomes of fixations outside their image (x = width is outside).

    Returns
    -------
    xarray.Dataset
        ``value`` (image, metric): mean over the image's fixations; NaN, with a warning, where
        it has none inside, and for "cc" where the map is constant. ``n_fixations`` and
        ``n_outside`` (image) count what was used and what lay outside. The mean over images is
        ``value.mean("image")``, that over fixations
        ``value.weighted(n_fixations).mean("image")``.

    Raises
    ------
    InvalidInput
        If the images of maps and scanpaths are not the same, a map has not its image's size or
        cannot be used, or a baseline is 0 at a fixation.

    Examples
    --------
    >>> from attnsci.scanpaths import Viewing, from_dict
    >>> paths = from_dict({"a": [[10, 5], [40, 30]], "b": [[60, 10]]}, Viewing(80, 60))
    >>> flat = np.ones((60, 80))
    >>> result = saliency({"a": flat, "b": flat}, paths, metrics=("nss", "auc"))
    >>> result["value"].sel(image="a").values.tolist()
    [0.0, 0.5]
    """
    import xarray as xr

    for metric in check_not_empty("metrics", metrics):
        check_option("metrics", metric, METRICS)
    check_fraction("uniform", uniform)
    blurs = {"cc", "sim", "kl"} & set(metrics) or ("ig" in metrics and _is(baseline, "centre_bias"))
    # No map is blurred without these, and a set without px_per_deg needs no width then.
    sigma = sigma_px if blurs or sigma_px is not None else 1.0
    own = FixationMaps(validate(scanpaths), sigma, outside)
    pool = own
    if reference is not None:
        pool = FixationMaps(validate(reference), own.sigma_px, outside)
    map_of = by_image(maps, own.images)
    base_of = baseline_of(baseline, pool, uniform, own)

    settings = {"ddof": ddof, "range_normalise": range_normalise, "eps": eps}
    values = np.full((len(own.images), len(metrics)), np.nan)
    for index, image in enumerate(own.images):
        values_map = sized("map", map_of(image), image, own.shape(image))
        if own.n_fixations[index]:
            values[index] = _scores(metrics, image, values_map, own, pool, base_of, settings)
    undefined = np.isnan(values).any(1)
    if undefined.any():
        names = [own.images[index] for index in np.flatnonzero(undefined)]
        warnings.warn(
            f"{len(names)} images lack a score (NaN), having no fixation inside or, for 'cc', a "
            f"constant map: {', '.join(names[:5])}. Averages skip them.",
            stacklevel=2,
        )
    return xr.Dataset(
        {
            "value": (("image", "metric"), values),
            "n_fixations": ("image", own.n_fixations),
            "n_outside": ("image", own.n_outside),
        },
        coords={"image": own.images, "metric": list(metrics)},
        attrs={
            **settings,
            "range_normalise": int(range_normalise),  # NetCDF has no truth values
            "sigma_px": own.sigma_px if blurs else np.nan,
            "baseline": baseline if isinstance(baseline, str) else "given",
            "uniform": uniform,
            "outside": outside,
        },
    )


def by_image(maps: Any, images: Sequence[str], exact: bool = True) -> Callable[[str], Any]:
    """Return a function of the image's name that gives its map.

    Parameters
    ----------
    maps
        As in `saliency`.
    images : sequence of str
        Those that have fixations.
    exact : bool
        Whether a map without fixations is an error too.

    Raises
    ------
    InvalidInput
        If the images are not the same.
    """
    import xarray as xr

    if isinstance(maps, xr.DataArray):
        array = check_dims("maps", maps, ("image", "y", "x")).transpose("image", "y", "x")
        at = image_places(array, images, exact)
        return lambda image: array[at[image]].to_numpy()
    if isinstance(maps, Mapping):
        named = {str(name): values for name, values in maps.items()}
        _same_images(list(named), images, exact)
        return named.__getitem__
    if callable(maps):
        return maps
    raise InvalidInput(
        "maps must be a DataArray (image, y, x), a mapping of image name to array, or a function "
        f"of the image's name; got {type(maps).__name__}."
    )


def image_places(maps: "xr.DataArray", images: Sequence[str], exact: bool = True) -> dict[str, int]:
    """Return where along the dimension ``image`` the map of each image is.

    Raises
    ------
    InvalidInput
        If the dimension has no names, or they are not those of `images`.
    """
    if "image" not in maps.coords:
        raise InvalidInput("maps has no coordinate 'image' that names the image of each map.")
    names = as_text(maps["image"].to_numpy()).tolist()
    if len(set(names)) != len(names):
        raise InvalidInput("maps has two maps of one image.")
    _same_images(names, images, exact)
    return {name: index for index, name in enumerate(names)}


def sized(what: str, values: Any, image: str, shape: tuple[int, int]) -> np.ndarray:
    """Return a map as float64 (H, W) if it has its image's size.

    Raises
    ------
    InvalidInput
        If it is no finite map, or of another size.
    """
    found = of_two.as_map(f"The {what} of image {image!r}", values)
    if found.shape != shape:
        raise InvalidInput(
            f"The {what} of image {image!r} has {found.shape[1]}×{found.shape[0]} pixels and the "
            f"image {shape[1]}×{shape[0]}. Resize the map, skimage.transform.resize(map, {shape}), "
            "or bring the fixations into the map's frame, rescale(scanpaths, "
            f"{found.shape[1]}, {found.shape[0]})."
        )
    return found


def _scores(
    metrics: Sequence[str],
    image: str,
    values: np.ndarray,
    own: FixationMaps,
    pool: FixationMaps,
    base_of: Callable[[str], np.ndarray],
    settings: Mapping[str, Any],
) -> list[float]:
    """Return the score of one image's map by each metric."""
    x, y, _ = own.pixels(image)

    def negatives() -> tuple[np.ndarray, np.ndarray]:
        row, column = np.divmod(pool.others(image, values.shape), values.shape[1])
        return column, row

    @functools.cache
    def empirical() -> np.ndarray:
        return own.density(image)

    found = {
        "nss": lambda: on_one.nss(values, x, y, settings["ddof"]).mean(),
        "auc": lambda: on_one.auc(values, x, y).mean(),
        "auc_unfixated": lambda: on_one.auc(values, x, y, "unfixated").mean(),
        "auc_judd": lambda: on_one.auc_judd(values, x, y),
        "sauc": lambda: on_one.auc(values, x, y, "shuffled", negatives()).mean(),
        "ll": lambda: on_one.log_likelihood(values, x, y).mean(),
        "ig": lambda: on_one.information_gain(values, base_of(image), x, y).mean(),
        "cc": lambda: of_two.cc(values, empirical()),
        "sim": lambda: of_two.sim(values, empirical(), settings["range_normalise"]),
        "kl": lambda: of_two.kl(values, empirical(), settings["eps"]),
    }
    return [float(found[metric]()) for metric in metrics]


def _is(baseline: Any, name: str) -> bool:
    return isinstance(baseline, str) and baseline == name


def baseline_of(
    baseline: Any, pool: FixationMaps, uniform: float, own: FixationMaps
) -> Callable[[str], np.ndarray]:
    """Return a function of the image's name that gives the map of the baseline."""
    if isinstance(baseline, str):
        check_option("baseline", baseline, ("centre_bias", "uniform"))
        share = uniform if baseline == "centre_bias" else 1.0
        return lambda image: pool.centre_bias(image, share, own.shape(image))
    base_of = by_image(baseline, own.images, exact=False)
    return lambda image: sized("baseline", base_of(image), image, own.shape(image))


def _same_images(named: list[str], images: Sequence[str], exact: bool) -> None:
    have = set(named)
    missing = [image for image in images if image not in have]
    if missing:
        close = nearest(missing[0], named, 3)
        raise InvalidInput(
            f"{len(missing)} of {len(images)} images of the scanpaths have no map, the first "
            f"{missing[0]!r} (nearest names: {', '.join(map(repr, close)) or 'none'}). Rename the "
            "maps, or leave the scanpaths out: select(scanpaths, image=[...])."
        )
    known = set(images)
    extra = [name for name in named if name not in known]
    if extra and exact:
        raise InvalidInput(
            f"{len(extra)} of {len(named)} maps are of images without scanpaths, the first "
            f"{extra[0]!r}. Leave them out, for example by maps.sel(image=[...])."
        )
