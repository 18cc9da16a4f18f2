"""How well people predict people: each observer's fixations by those of all others.

The ceiling of every model of where people look, and beside it the centre bias, which knows no
image. Both are computed per fixation; scores are means over fixations, or over images.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from attnsci.checks import check_fraction, check_not_empty, check_option
from attnsci.errors import InvalidInput
from attnsci.gaze import validate
from attnsci.scanpaths.blur import blur, without
from attnsci.scanpaths.maps import FixationMaps
from attnsci.scanpaths.saliency_fixations import gain, share_below, standardised
from attnsci.statistics.groups import group_means

if TYPE_CHECKING:
    import xarray as xr

METRICS = ("nss", "auc", "sauc", "ig", "ll")
PREDICTORS = ("observers", "centre_bias")


def observer_ceiling(
    scanpaths: "xr.Dataset",
    sigma_px: float | None = None,
    *,
    metrics: Sequence[str] = METRICS,
    mix: float = 0.05,
    uniform: float = 0.0,
    reference: "xr.Dataset | None" = None,
    outside: str = "drop",
) -> "xr.Dataset":
    """Return how well the other observers, and the centre bias, predict each observer.

    For every image and observer the map is the Gaussian density of all other observers'
    fixations. NSS, AUC (all pixels are negatives) and sAUC (the fixations on all other images
    are) are taken on it; likelihood and information gain over the centre bias on
    (1 − mix) · density + mix · centre bias. The centre bias is the density of the fixations on
    all other images. All fixations count, the first included: ``crop(scanpaths, drop_first=1)``
    leaves it out.

    Parameters
    ----------
    scanpaths : xarray.Dataset
        The container, with several observers an image.
    sigma_px : float, optional
        Standard deviation of the Gaussian; one degree of the set's `Viewing` if not given.
    metrics : sequence of {"nss", "auc", "sauc", "ig", "ll"}
        "ig" in bits a fixation over the centre bias, "ll" in bits over uniform.
    mix : float
        Share of the centre bias in the density.
    uniform : float
        Share of the uniform density in the centre bias: small sets need some, or it is 0 at
        fixations and the gain over it infinite.
    reference : xarray.Dataset, optional
        A larger set which gives the centre bias and the negatives of sAUC; images are told apart
        by name. `scanpaths` itself if not given.
    outside : {"drop", "clip"}
        What becomes of fixations outside their image.

    Returns
    -------
    xarray.Dataset
        - ``value`` (predictor, image, metric): mean over the image's fixations, NaN where an
          image has none that count.
        - ``scanpath_value`` (predictor, scanpath, metric): mean over one scanpath.
        - ``mean`` (predictor, over, metric): over all fixations, and over images.
        - ``n_fixations``, ``n_outside``, ``n_alone`` (image): fixations that count; fixations
          outside their image; fixations with no other observer's on the image, which do not
          count.

        ``predictor`` is "observers" or "centre_bias".

    Raises
    ------
    InvalidInput
        If no image has two observers, or the centre bias is empty or 0 at a fixation.

    References
    ----------
    Kümmerer, Wallis & Bethge 2015, PNAS 112, 16054; Wilming et al. 2011, PLoS ONE 6, e24038.

    Examples
    --------
    >>> from attnsci.scanpaths import Viewing, from_dict
    >>> left, right = [[20, 30], [22, 28]], [[60, 30], [58, 31]]
    >>> paths = from_dict({"a": {"s1": left, "s2": left}, "b": {"s1": right, "s2": right}},
    ...                   Viewing(80, 60, px_per_deg=4))
    >>> ceiling = observer_ceiling(paths, uniform=0.1)
    >>> bool(ceiling["mean"].sel(predictor="observers", over="images", metric="auc") > 0.99)
    True
    """
    import xarray as xr

    for metric in check_not_empty("metrics", metrics):
        check_option("metrics", metric, METRICS)
    check_fraction("mix", mix)
    maps = FixationMaps(validate(scanpaths), sigma_px, outside)
    others = maps
    if reference is not None:
        others = FixationMaps(validate(reference), maps.sigma_px, outside)

    n, rows = len(maps.images), scanpaths.sizes["scanpath"]
    found = np.full((len(maps.row), len(PREDICTORS), len(metrics)), np.nan)
    for image in maps.images:
        if len(maps.fixations(image)):
            found[maps.fixations(image)] = _image(maps, others, image, metrics, mix, uniform)
    counts = ~np.isnan(found).any((1, 2))
    if not counts.any():
        raise InvalidInput(
            "No image has fixations of two observers, so nobody can be predicted by others. "
            f"There are {rows} scanpaths on {n} images; are the observers named?"
        )
    code, used = maps.code, found[counts]
    by_image = group_means(used, code[counts], n)
    with_value = ~np.isnan(by_image).any((1, 2))
    overall = np.stack([used.mean(0), by_image[with_value].mean(0)], axis=1)
    return xr.Dataset(
        {
            "value": (("image", "predictor", "metric"), by_image),
            "scanpath_value": (
                ("scanpath", "predictor", "metric"),
                group_means(used, maps.row[counts], rows),
            ),
            "mean": (("predictor", "over", "metric"), overall),
            "n_fixations": ("image", np.bincount(code[counts], minlength=n)),
            "n_outside": ("image", maps.n_outside),
            "n_alone": ("image", np.bincount(code[~counts], minlength=n)),
        },
        coords={
            "image": maps.images,
            "predictor": list(PREDICTORS),
            "metric": list(metrics),
            "over": ["fixations", "images"],
            "scanpath_image": ("scanpath", scanpaths["image"].to_numpy()),
            "observer": ("scanpath", scanpaths["observer"].to_numpy()),
        },
        attrs={"sigma_px": maps.sigma_px, "mix": mix, "uniform": uniform, "outside": outside},
    ).transpose("predictor", "over", "image", "scanpath", "metric")


def _image(
    maps: FixationMaps,
    others: FixationMaps,
    image: str,
    metrics: Sequence[str],
    mix: float,
    uniform: float,
) -> np.ndarray:
    """Return the scores (F, predictors, metrics) of one image's fixations."""
    shape = maps.shape(image)
    x, y, observer = maps.pixels(image)
    at = y * shape[1] + x
    bias = others.centre_bias(image, uniform, shape).ravel()
    elsewhere = others.others(image, shape) if "sauc" in metrics else at[:0]
    total = blur(x, y, shape, maps.sigma_px)
    out = np.full((len(x), len(PREDICTORS), len(metrics)), np.nan)
    out[:, 1] = _scores(metrics, bias, bias, mix, at, elsewhere)
    for name in np.unique(observer):
        own = observer == name
        if own.all():
            continue
        part = blur(x[own], y[own], shape, maps.sigma_px)
        density = without(total, part, maps.sigma_px).ravel()
        density /= density.sum()
        out[own, 0] = _scores(metrics, density, bias, mix, at[own], elsewhere)
    return out


def _scores(
    metrics: Sequence[str],
    density: np.ndarray,
    bias: np.ndarray,
    mix: float,
    at: np.ndarray,
    elsewhere: np.ndarray,
) -> np.ndarray:
    """Return the scores (F, metrics) of one raveled density at the pixels `at`."""
    found = density[at]
    likely = (1 - mix) * found + mix * bias[at]
    score = {
        "nss": lambda: standardised(density, found),
        "auc": lambda: share_below(density, found),
        "sauc": lambda: share_below(density[elsewhere], found),
        "ig": lambda: gain(likely, bias[at]),
        "ll": lambda: np.log2(likely) + np.log2(len(density)),
    }
    with np.errstate(divide="ignore"):  # −inf is the likelihood of what cannot be
        return np.stack([score[metric]() for metric in metrics], axis=1)
