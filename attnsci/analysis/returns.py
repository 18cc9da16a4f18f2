"""Returns of the eyes: by lag and radius, as return fixations, and as runs on one place.

Lag 1 is staying (a refixation), lag 2 the one-back return (leave and come back), lag 3 the
two-back return. What Wilming et al. and Smith & Henderson call "1-back" is lag 2 here.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from attnsci.analysis.baselines import get_baseline
from attnsci.analysis.expectations import expectation, near_counts, near_pairs, pair_counts
from attnsci.analysis.saccades import ROUNDING, radii_in_px, tracks_of
from attnsci.checks import check_positive, check_shape
from attnsci.errors import InvalidInput
from attnsci.gaze import viewing_of
from attnsci.scanpaths import crop

LAG_NAMES = {1: "stay", 2: "one-back return", 3: "two-back return"}

Radius = float | Sequence[float] | None


def check_lags(lags: Sequence[int], length: np.ndarray) -> list[int]:
    """Return the lags if each is whole, above 0 and within a scanpath."""
    found = [int(check_positive("lag", lag, integer=True)) for lag in lags]
    if not found or len(set(found)) < len(found):
        raise InvalidInput(f"lags must be different whole numbers, at least one; got {found}.")
    longest = int(length.max(initial=0)) - 1
    if max(found) > longest:
        raise InvalidInput(
            f"No scanpath has two fixations {max(found)} apart; give lags up to {longest}."
        )
    return found


def radius_coords(
    scanpaths: xr.Dataset, radii_px: np.ndarray, patch_px: float | None
) -> dict[str, Any]:
    """Return the coordinates of a dim `radius`: pixels, degrees where known, glimpse patches."""
    coords: dict[str, Any] = {"radius": radii_px, "radius_px": ("radius", radii_px)}
    per_degree = viewing_of(scanpaths).px_per_deg
    if per_degree is not None:
        coords["radius"] = radii_px / per_degree
        coords["radius_deg"] = ("radius", radii_px / per_degree)
    if patch_px is not None:
        check_positive("patch_px", patch_px)
        coords["radius_patch"] = ("radius", radii_px / patch_px)
    return coords


def return_probability(
    scanpaths: xr.Dataset,
    lags: Sequence[int] = range(1, 9),
    radius_deg: Radius = 1.0,
    *,
    radius_px: Radius = None,
    patch_px: float | None = None,
    baseline: str | None = None,
    n_permutations: int = 1000,
    n_walks: int = 20,
    seed: int = 0,
) -> xr.Dataset:
    """Return how often eyes are back, `lag` fixations later, within a radius.

    Parameters
    ----------
    scanpaths : xarray.Dataset
        The container; the first fixation is in (`attnsci.scanpaths.crop` takes it out).
    lags : sequence of int
        1 is staying, 2 the one-back return.
    radius_deg, radius_px : float or sequence of float
        A pair is near where its distance is below this; pixels win over degrees.
    patch_px : float, optional
        Side of a model's glimpse; the radius is then also given in patches.
    baseline : str, optional
        What that baseline expects in the place of what was seen; see
        `attnsci.analysis.baselines.BASELINES`.
    n_permutations, n_walks : int
        Draws of the baselines without a formula: B4 and B5, B6 and B7.
    seed : int
        Of those draws.

    Returns
    -------
    xarray.Dataset
        ``probability`` (lag, radius), all pairs pooled; ``near`` (scanpath, lag, radius) and
        ``pairs`` (scanpath, lag), whose sums' quotient it is. ``radius`` is in degrees, or in
        pixels where the Viewing has no px_per_deg.

    Raises
    ------
    InvalidInput
        If a lag is longer than every scanpath, or a baseline needs viewers or images that are
        not there.

    Examples
    --------
    >>> from attnsci.gaze import from_arrays
    >>> from attnsci.geometry import Viewing
    >>> back_and_forth = from_arrays([[0, 9, 0, 9]], [[5, 5, 5, 5]], image="a", observer="m",
    ...                              viewing=Viewing(10, 10, px_per_deg=1))
    >>> return_probability(back_and_forth, [1, 2, 3]).probability.values.ravel()
    array([0., 1., 0.])
    """
    radii = radii_in_px(scanpaths, radius_deg, radius_px)
    tracks = tracks_of(scanpaths, radii)
    chosen = check_lags(lags, tracks.length)
    attrs: dict[str, Any] = {"first_fixation": "kept", "steps": scanpaths.attrs.get("steps", "[]")}
    if baseline is None:
        near = near_counts(tracks.x, tracks.y, chosen, radii)
        pairs = pair_counts(tracks.length, chosen)
    else:
        what = get_baseline(baseline)
        found = expectation(
            tracks, what, chosen, radii, n_permutations=n_permutations, n_walks=n_walks, seed=seed
        )
        near, pairs = found.expected, found.chances
        attrs |= {"baseline": what.name, "preserves": what.preserves, "asks": what.asks}
    return xr.Dataset(
        {
            "probability": (("lag", "radius"), near.sum(0) / pairs.sum(0)[:, None]),
            "near": (("scanpath", "lag", "radius"), near),
            "pairs": (("scanpath", "lag"), pairs),
        },
        coords={
            "lag": chosen,
            **radius_coords(scanpaths, radii, patch_px),
            **{name: scanpaths[name] for name in ("image", "observer")},
        },
        attrs=attrs,
    )


def return_fixations(
    scanpaths: xr.Dataset,
    radius_deg: float | None = 1.0,
    *,
    radius_px: float | None = None,
    drop_first: bool = True,
    target_px: Any = None,
    target_radius_px: float | None = None,
) -> xr.Dataset:
    """Find the fixations that return to a place visited two or more fixations before.

    Parameters
    ----------
    scanpaths : xarray.Dataset
        The container.
    radius_deg, radius_px : float
        A place is visited again at this distance or below; pixels win over degrees.
    drop_first : bool
        Leave the first fixation out of scanpaths that have more than one: it was forced.
    target_px : array-like (N, 2), optional
        Centre of each scanpath's search target: returns to it are counted apart.
    target_radius_px : float, optional
        The target's radius.

    Returns
    -------
    xarray.Dataset
        Over (scanpath, fixation): ``offset``, fixations since the latest earlier visit, 0 for no
        return, and ``triple``, whether there were two or more. Over scanpath: ``count`` and
        ``n_fixations`` (what is left). The number ``proportion`` is sum(count) / sum(N - 1),
        N of `n_fixations`. With a target also ``to_target`` (scanpath), ``target_proportion``
        and ``other_proportion``.

    Raises
    ------
    InvalidInput
        If no scanpath has two fixations, or only one of the two target arguments is given.

    References
    ----------
    Zhang M et al. (2022). Look twice: a generalist computational model predicts return fixations
    across tasks and species. PLoS Computational Biology 18(11).

    Examples
    --------
    >>> from attnsci.gaze import from_arrays
    >>> from attnsci.geometry import Viewing
    >>> paths = from_arrays([[0, 9, 0, 9]], [[5, 5, 5, 5]], image="a", observer="m",
    ...                     viewing=Viewing(10, 10, px_per_deg=1))
    >>> return_fixations(paths, drop_first=False).offset.values
    array([[0, 0, 2, 2]])
    """
    if (target_px is None) != (target_radius_px is None):
        raise InvalidInput("Give both target_px and target_radius_px, or neither.")
    radius = float(radii_in_px(scanpaths, radius_deg, radius_px)[0])
    x, y = scanpaths["x"].to_numpy(), scanpaths["y"].to_numpy()
    length = scanpaths["n_fixations"].to_numpy()
    if drop_first:
        one = (length == 1)[:, None]
        shifted = crop(scanpaths, drop_first=1)
        width = max(shifted.sizes["fixation"], 1)
        x, y = (
            np.where(one, v[:, :width], np.pad(v[:, 1:], ((0, 0), (0, 1)))[:, :width])
            for v in (x, y)
        )
        length = np.maximum(length - 1, np.minimum(length, 1))
    x = np.where(np.arange(x.shape[1]) < length[:, None], x, np.nan)
    chances = int(np.maximum(length - 1, 0).sum())
    if chances == 0:
        raise InvalidInput("No scanpath has two fixations to look for returns among.")
    offset, visits = np.zeros(x.shape, np.int64), np.zeros(x.shape, np.int64)
    # From far to near, so that the latest visit is what stays.
    for lag in range(x.shape[1] - 1, 1, -1):
        dx, dy = x[:, lag:] - x[:, :-lag], y[:, lag:] - y[:, :-lag]
        near = dx * dx + dy * dy <= radius**2 * (1 + ROUNDING)
        offset[:, lag:][near] = lag
        visits[:, lag:] += near
    returned = offset > 0
    both = ("scanpath", "fixation")
    out = xr.Dataset(
        {
            "offset": (both, offset),
            "triple": (both, visits >= 2),
            "count": ("scanpath", returned.sum(1)),
            "proportion": ((), returned.sum() / chances),
        },
        coords={
            **{name: scanpaths[name] for name in ("image", "observer")},
            "n_fixations": ("scanpath", length),
        },
        attrs={
            "radius_px": radius,
            "first_fixation": "dropped" if drop_first else "kept",
            "denominator": "fixations less one of each scanpath",
        },
    )
    if target_px is None or target_radius_px is None:
        return out
    target = check_shape("target_px", np.asarray(target_px, float), (len(x), 2))
    place = np.maximum(np.arange(x.shape[1]) - offset, 0)
    away = np.hypot(
        np.take_along_axis(x, place, 1) - target[:, :1],
        np.take_along_axis(y, place, 1) - target[:, 1:],
    )
    found = (returned & (away <= target_radius_px)).sum(1)
    other = out["count"].to_numpy() - found
    return out.assign(
        to_target=("scanpath", found),
        target_proportion=((), found.sum() / (found + 1).sum()),
        other_proportion=((), other.sum() / max(int((length - found - 1).sum()), 1)),
    )


def run_lengths(
    scanpaths: xr.Dataset, radius_deg: float | None = 1.0, *, radius_px: float | None = None
) -> xr.DataArray:
    """Count the runs of fixations that each stay within a radius of the last, by their length.

    For models without durations the length of a run stands for how long they stay; it is a
    proxy, and no duration.

    Parameters
    ----------
    scanpaths : xarray.Dataset
        The container.
    radius_deg, radius_px : float
        A fixation closer than this to the one before it goes on with the run.

    Returns
    -------
    xarray.DataArray, (scanpath, run_length), int64

    Examples
    --------
    >>> from attnsci.gaze import from_arrays
    >>> from attnsci.geometry import Viewing
    >>> paths = from_arrays([[0, 0.1, 0.2, 9]], [[5, 5, 5, 5]], image="a", observer="m",
    ...                     viewing=Viewing(10, 10, px_per_deg=1))
    >>> run_lengths(paths).values
    array([[1, 0, 1, 0]])
    """
    radii = radii_in_px(scanpaths, radius_deg, radius_px)
    tracks = tracks_of(scanpaths, radii)
    begins = tracks.inside.copy()
    begins[:, 1:] &= ~near_pairs(tracks.x, tracks.y, 1, radii[:1])[0]
    rows, columns = np.nonzero(begins)
    last = np.append(rows[1:] != rows[:-1], True)
    ends = np.where(last, tracks.length[rows], np.append(columns[1:], 0))
    longest = begins.shape[1]
    counts = np.bincount(
        rows * longest + ends - columns - 1, minlength=len(begins) * longest
    ).reshape(begins.shape)
    return xr.DataArray(
        counts,
        coords={"run_length": np.arange(1, longest + 1), "image": scanpaths["image"]},
        dims=("scanpath", "run_length"),
        attrs={"radius_px": float(radii[0])},
    )
