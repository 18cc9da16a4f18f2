"""Models of scanpaths: each fixation against the map that was predicted for it.

The map of fixation i may depend on the image and on the fixations before it. The first fixation
is forced, or follows a cross in the centre; it is history only and never scored.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from attnsci.checks import check_dims, check_fraction, check_not_empty, check_option
from attnsci.errors import InvalidInput
from attnsci.gaze import validate
from attnsci.scanpaths.maps import FixationMaps
from attnsci.scanpaths.saliency_fixations import gain, share_below, standardised
from attnsci.scanpaths.saliency_maps import as_density
from attnsci.scanpaths.saliency_scores import baseline_of, image_places, sized
from attnsci.statistics.groups import group_means

if TYPE_CHECKING:
    import xarray as xr

METRICS = {
    "cll": "log likelihood, bits a fixation over uniform",
    "cig": "information gain over the baseline, bits a fixation",
    "cnss": "normalised scanpath saliency, in standard deviations",
    "cauc": "area under the ROC curve, all pixels as negatives",
}
"""What each metric is, on the map predicted for the fixation."""


def conditional_saliency(
    maps: Any,
    scanpaths: "xr.Dataset",
    metrics: Sequence[str] = ("cll", "cig", "cnss", "cauc"),
    *,
    baseline: Any = "centre_bias",
    reference: "xr.Dataset | None" = None,
    sigma_px: float | None = None,
    uniform: float = 0.0,
    ddof: int = 0,
) -> "xr.Dataset":
    """Return how well each fixation is predicted from the image and the fixations before it.

    Parameters
    ----------
    maps : callable or xarray.DataArray
        ``maps(image, x, y)`` gets the image's name and the fixations so far (in pixels, the
        first included) and returns the map (H, W) of the next; it is called once a fixation. Or
        an array of dims ``scanpath`` or ``image``, ``fixation``, ``y``, ``x``: entry i of
        ``fixation`` predicts fixation i, so that entry 0 is not used; along ``scanpath`` it is
        in the order of `scanpaths`, along ``image`` it goes by name and is one for all
        observers. "cll" and "cig" take maps as densities, divided by their sums.
    scanpaths : xarray.Dataset
        The container. Fixations outside their image are not scored, and counted; they remain
        part of the history.
    metrics : sequence of {"cll", "cig", "cnss", "cauc"}
        See `METRICS`.
    baseline, reference, sigma_px, uniform, ddof
        As in `attnsci.scanpaths.saliency`; the baseline's maps are by image.

    Returns
    -------
    xarray.Dataset
        - ``scanpath_value`` (scanpath, metric): mean over the scored fixations of one scanpath,
          NaN where there are none.
        - ``value`` (image, metric): mean over all of an image's scored fixations.
        - ``mean`` (over, metric): over fixations, and over images.
        - ``n_fixations``, ``n_outside`` (image): scored, and outside their image.

    Raises
    ------
    InvalidInput
        If a map is missing, of the wrong size or cannot be used, the baseline is 0 at a
        fixation, or no fixation can be scored.

    References
    ----------
    Kümmerer & Bethge 2021, "State-of-the-art in human scanpath prediction", arXiv 2102.12239.

    Examples
    --------
    >>> from attnsci.scanpaths import Viewing, from_dict
    >>> paths = from_dict({"a": [[40, 30], [10, 5], [70, 5]]}, Viewing(80, 60))
    >>> def left_first(image, x, y):
    ...     side = 1 - len(x) % 2
    ...     return np.repeat([[1 - side, side]], [40, 40], axis=1).repeat(60, axis=0)
    >>> result = conditional_saliency(left_first, paths, ("cll", "cauc"))
    >>> result["mean"].sel(over="fixations").values.tolist()
    [1.0, 0.75]
    """
    import xarray as xr

    for metric in check_not_empty("metrics", metrics):
        check_option("metrics", metric, METRICS)
    check_option("ddof", ddof, (0, 1))
    check_fraction("uniform", uniform)
    biased = "cig" in metrics and isinstance(baseline, str) and baseline == "centre_bias"
    # The width matters for the centre bias only, and a set without px_per_deg has none.
    own = FixationMaps(validate(scanpaths), sigma_px if biased or sigma_px is not None else 1.0)
    pool = own
    if reference is not None:
        pool = FixationMaps(validate(reference), own.sigma_px)
    map_of = _by_fixation(maps, scanpaths, own)
    base_of = baseline_of(baseline, pool, uniform, own)

    scored = own.index > 0
    if not scored.any():
        raise InvalidInput("No scanpath has a second fixation inside its image: nothing to score.")
    values = np.empty((len(scored), len(metrics)))
    for image in own.images:
        x, y, _ = own.pixels(image)
        later = np.flatnonzero(scored[own.fixations(image)])
        at = y * own.shape(image)[1] + x
        base = None
        if "cig" in metrics and len(later):
            base = as_density("baseline", base_of(image)).ravel()
        for place in later:
            entry = own.fixations(image)[place]
            found = map_of(image, own.row[entry], own.index[entry])
            found = sized("conditional map", found, image, own.shape(image)).ravel()
            values[entry] = _scores(metrics, found, at[place], base, ddof)

    n, rows = len(own.images), scanpaths.sizes["scanpath"]
    used, code = values[scored], own.code[scored]
    by_image = group_means(used, code, n)
    overall = [used.mean(0), by_image[~np.isnan(by_image).any(1)].mean(0)]
    return xr.Dataset(
        {
            "value": (("image", "metric"), by_image),
            "scanpath_value": (("scanpath", "metric"), group_means(used, own.row[scored], rows)),
            "mean": (("over", "metric"), np.stack(overall)),
            "n_fixations": ("image", np.bincount(code, minlength=n)),
            "n_outside": ("image", own.n_outside),
        },
        coords={
            "image": own.images,
            "metric": list(metrics),
            "over": ["fixations", "images"],
            "scanpath_image": ("scanpath", scanpaths["image"].to_numpy()),
            "observer": ("scanpath", scanpaths["observer"].to_numpy()),
        },
        attrs={
            "baseline": baseline if isinstance(baseline, str) else "given",
            "sigma_px": own.sigma_px if biased else np.nan,
            "uniform": uniform,
            "ddof": ddof,
        },
    )


def _by_fixation(
    maps: Any, scanpaths: "xr.Dataset", own: FixationMaps
) -> Callable[[str, int, int], Any]:
    """Return a function of image, scanpath and place in it that gives the fixation's map."""
    import xarray as xr

    if not isinstance(maps, xr.DataArray):
        if not callable(maps):
            raise InvalidInput(
                "maps must be a function maps(image, x, y) of the fixations so far, or a "
                f"DataArray with a dimension fixation; got {type(maps).__name__}."
            )
        x, y = scanpaths["x"].to_numpy(), scanpaths["y"].to_numpy()
        return lambda image, row, place: maps(image, x[row, :place], y[row, :place])

    first = "scanpath" if "scanpath" in maps.dims else "image"
    check_dims("maps", maps, (first, "fixation", "y", "x"))
    array = maps.transpose(first, "fixation", "y", "x")
    longest = int(own.index.max(initial=0)) + 1
    if array.sizes["fixation"] < longest:
        raise InvalidInput(
            f"maps predict {array.sizes['fixation']} fixations and the longest scanpath has "
            f"{longest}. Cut the scanpaths: crop(scanpaths, max_fixations="
            f"{array.sizes['fixation']})."
        )
    if first == "scanpath":
        n = scanpaths.sizes["scanpath"]
        if array.sizes["scanpath"] != n:
            raise InvalidInput(f"maps are of {array.sizes['scanpath']} scanpaths; there are {n}.")
        return lambda image, row, place: array[row, place].to_numpy()
    at = image_places(array, own.images)
    return lambda image, row, place: array[at[image], place].to_numpy()


def _scores(
    metrics: Sequence[str], flat: np.ndarray, at: int, base: np.ndarray | None, ddof: int
) -> list[float]:
    """Return the scores of one fixation, at pixel `at` of its raveled map."""
    here = flat[at : at + 1]
    score: dict[str, float] = {}
    if {"cll", "cig"} & set(metrics):
        likely = as_density("conditional map", flat[None])[:, at]
        with np.errstate(divide="ignore"):  # −inf is the likelihood of what cannot be
            score["cll"] = float((np.log2(likely) + np.log2(flat.size))[0])
        if base is not None:
            score["cig"] = float(gain(likely, base[at : at + 1])[0])
    if "cnss" in metrics:
        score["cnss"] = float(standardised(flat, here, ddof)[0])
    if "cauc" in metrics:
        score["cauc"] = float(share_below(flat, here)[0])
    return [score[metric] for metric in metrics]
