"""The best that people's fixations tell of other people's: width and mixture by likelihood."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from attnsci.checks import check_not_empty
from attnsci.errors import InvalidInput
from attnsci.gaze import validate
from attnsci.scanpaths.blur import default_sigma, kernel_at
from attnsci.scanpaths.maps import FixationMaps

if TYPE_CHECKING:
    import xarray as xr

DEGREES = (0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0)
"""Widths tried unless others are given."""
TOLERANCE = 1e-9
ITERATIONS = 10_000


def gold_standard(
    scanpaths: "xr.Dataset",
    sigmas_px: Sequence[float] | None = None,
    *,
    reference: "xr.Dataset | None" = None,
    outside: str = "drop",
) -> dict[str, Any]:
    """Return the settings of `observer_ceiling` under which people predict people best.

    Each fixation is predicted by a mixture of three densities: the Gaussian density of the other
    observers' fixations on the image, the centre bias of all other images, and the uniform one.
    The weights maximise the mean log likelihood for every width; the width with the greatest is
    taken. No fixation ever predicts itself or its observer's others.

    Parameters
    ----------
    scanpaths : xarray.Dataset
        The container, with several observers an image.
    sigmas_px : sequence of float, optional
        Widths to try; ¼ to 2 degrees if not given.
    reference : xarray.Dataset, optional
        A larger set which gives the centre bias.
    outside : {"drop", "clip"}
        What becomes of fixations outside their image.

    Returns
    -------
    dict
        ``sigma_px``, ``mix`` (share of centre bias and uniform together) and ``uniform`` (share
        of the uniform density in these), fit for ``observer_ceiling(scanpaths, **settings)``,
        whose "ll" of the observers is then the greatest.

    Raises
    ------
    InvalidInput
        If no image has two observers, or there are no other images.

    References
    ----------
    Kümmerer, Wallis & Bethge 2015, PNAS 112, 16054.

    Examples
    --------
    >>> from attnsci.scanpaths import Viewing, from_dict
    >>> left, right = [[20, 30], [22, 28]], [[60, 30], [58, 31]]
    >>> paths = from_dict({"a": {"s1": left, "s2": left}, "b": {"s1": right, "s2": right}},
    ...                   Viewing(80, 60, px_per_deg=4))
    >>> gold_standard(paths)["sigma_px"]
    1.0
    """
    if sigmas_px is None:
        sigmas_px = [default_sigma(scanpaths, None) * degrees for degrees in DEGREES]
    check_not_empty("sigmas_px", sigmas_px)
    validate(scanpaths)
    best = -np.inf
    for sigma in sigmas_px:
        maps = FixationMaps(scanpaths, sigma, outside)
        others = maps
        if reference is not None:
            others = FixationMaps(validate(reference), sigma, outside)
        likely = np.concatenate([_densities(maps, others, image) for image in maps.images])
        if len(likely) == 0:
            raise InvalidInput(
                "No image has fixations of two observers: there is nobody to predict."
            )
        weights = mixture_weights(likely)
        score = float(np.log2(likely @ weights).mean())
        if score > best:
            rest = float(weights[1:].sum())
            share = float(weights[2] / rest) if rest else 0.0
            best, found = score, {"sigma_px": float(sigma), "mix": rest, "uniform": share}
    return found


def mixture_weights(likelihoods: np.ndarray) -> np.ndarray:
    """Return the weights (K,) of the mixture of K densities that fits N points best.

    Expectation maximisation, until no weight moves by more than 1e-9 or 10,000 steps are done; the
    likelihood is concave in the weights, so there is one maximum.

    Parameters
    ----------
    likelihoods : ndarray (N, K)
        Of each point under each density; every point must have one above 0.

    Examples
    --------
    >>> mixture_weights(np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])).tolist()
    [0.75, 0.25]
    """
    weights = np.full(likelihoods.shape[1], 1 / likelihoods.shape[1])
    for _ in range(ITERATIONS):
        # Weights and gradient: the change of a weight is its share of the responsibility.
        updated = weights * (likelihoods / (likelihoods @ weights)[:, None]).mean(0)
        if np.abs(updated - weights).max() < TOLERANCE:
            return updated
        weights = updated
    return weights


def _densities(maps: FixationMaps, others: FixationMaps, image: str) -> np.ndarray:
    """Return the three densities (F, 3) at the fixations of one image that others predict."""
    shape = maps.shape(image)
    x, y, observer = maps.pixels(image)
    across, down = (kernel_at(p, n, maps.sigma_px) for p, n in ((x, shape[1]), (y, shape[0])))
    reached = across[:, x] * down[:, y]
    mass = across.sum(1) * down.sum(1)  # what of each kernel lies in the image
    other = observer[:, None] != observer
    predicted = other.any(1)
    if not predicted.any():
        return np.empty((0, 3))
    density = (reached * other).sum(1)[predicted] / (other @ mass)[predicted]
    bias = others.centre_bias(image, shape=shape)[y, x][predicted]
    return np.stack([density, bias, np.full(len(bias), 1 / (shape[0] * shape[1]))], axis=1)
