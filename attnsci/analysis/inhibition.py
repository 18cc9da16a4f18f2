"""Inhibition of return beside all of its baselines.

The index (observed - expected) / (observed + expected) is negative where eyes return less than a
baseline expects. Its sign depends on the baseline: each asks another question, so none is shown
without its name.
"""

import json
from collections.abc import Sequence

import numpy as np
import xarray as xr

from attnsci.analysis.baselines import BASELINES, get_baseline
from attnsci.analysis.expectations import Expectation, expectation
from attnsci.analysis.returns import Radius, check_lags, radius_coords
from attnsci.analysis.saccades import Tracks, radii_in_px, tracks_of
from attnsci.checks import check_positive
from attnsci.errors import InvalidInput
from attnsci.seeds import numpy_generator
from attnsci.statistics.estimates import check_confidence, count_draws, split_blocks
from attnsci.statistics.significance import adjust

IMAGE_STREAM, VIEWER_STREAM = 101, 102


def all_baselines(
    scanpaths: xr.Dataset,
    lags: Sequence[int] = range(1, 9),
    radius_deg: Radius = 1.0,
    *,
    radius_px: Radius = None,
    patch_px: float | None = None,
    baselines: Sequence[str] = tuple(BASELINES),
    n_permutations: int = 1000,
    n_walks: int = 20,
    n_resamples: int = 1000,
    confidence: float = 0.95,
    seed: int,
) -> xr.Dataset:
    """Return the index of inhibition by lag and radius against each of the nine baselines.

    Parameters
    ----------
    scanpaths : xarray.Dataset
        The container, of people or of a model; the first fixation is in.
    lags : sequence of int
        1 is staying, 2 the one-back return.
    radius_deg, radius_px : float or sequence of float
        A return lands closer than this; pixels win over degrees.
    patch_px : float, optional
        Side of a model's glimpse; the radius is then also given in patches.
    baselines : sequence of str
        Names or numbers (``"b1"``); leave those out that the data does not allow.
    n_permutations : int
        Of B4 and B5. B1, B2 and B3 are summed over all permutations or donors.
    n_walks : int
        Draws of the generators B6 and B7, each as many scanpaths as there are.
    n_resamples, confidence
        Of the bootstrap.
    seed : int

    Returns
    -------
    xarray.Dataset
        Over (baseline, lag, radius): ``observed`` and ``expected`` probabilities over the pairs
        that the baseline can judge, ``index`` with its interval ``low`` to ``high``, and, where
        the baseline is a permutation (B1 to B5), ``z``, the two-sided ``p`` and ``p_holm``,
        corrected over the lags and radii of its baseline; NaN for the others. Coordinates of
        `baseline` say its number, how it is made, what it preserves and which question it asks.
        The index is NaN where nothing was near, neither seen nor expected;
        ``attrs["undefined"]`` counts these cells.

    Notes
    -----
    The bootstrap draws images and viewers, both with replacement, and weighs a scanpath by the
    product (Owen 2007); it is conservative where neither makes a difference. Where all scanpaths
    have one image or one viewer, only the other is drawn; where both, scanpaths are. What a
    baseline expects of a scanpath is drawn along with it and not made anew.

    At lag 1, B4, B5 and B9 expect what is seen by construction: they keep the amplitudes.

    Raises
    ------
    InvalidInput
        If a baseline needs viewers or images that are not there; the message says which.

    References
    ----------
    Owen AB (2007). The pigeonhole bootstrap. Annals of Applied Statistics 1(2).

    Examples
    --------
    >>> from attnsci.gaze import from_arrays
    >>> from attnsci.geometry import Viewing
    >>> rng = np.random.default_rng(0)
    >>> paths = from_arrays(*rng.uniform(0, 10, (2, 40, 8)), image=[f"{i}" for i in range(40)],
    ...                     observer="m", viewing=Viewing(10, 10, px_per_deg=1))
    >>> found = all_baselines(paths, [2], baselines=["order"], seed=0)
    >>> bool(found.low.item() < 0 < found.high.item())
    True
    """
    radii = radii_in_px(scanpaths, radius_deg, radius_px)
    tracks = tracks_of(scanpaths, radii)
    chosen = check_lags(lags, tracks.length)
    check_positive("n_permutations", n_permutations, integer=True)
    check_positive("n_walks", n_walks, integer=True)
    check_positive("n_resamples", n_resamples, integer=True)
    check_confidence(confidence)
    kinds = [get_baseline(name) for name in baselines]
    found: list[Expectation] = []
    for kind in kinds:
        try:
            found.append(
                expectation(
                    tracks,
                    kind,
                    chosen,
                    radii,
                    n_permutations=n_permutations,
                    n_walks=n_walks,
                    seed=seed,
                )
            )
        except InvalidInput as error:
            names = [other.name for other in kinds if other is not kind]
            raise InvalidInput(
                f"Baseline {kind.name!r}: {error} To go on without it: baselines={names}."
            ) from error
    totals = [np.stack(_weighted(one, np.ones((1, len(tracks.x)))))[:, 0] for one in found]
    seen, expected = np.stack(totals, axis=1)
    index = _index(seen, expected)
    interval, clusters = _intervals(tracks, found, n_resamples, confidence, seed)
    nothing = np.full(index.shape[1:], np.nan)
    z = np.stack([nothing if one.z is None else one.z for one in found])
    p = np.stack([nothing if one.p is None else one.p for one in found])
    holm = np.stack([_holm(part) for part in p])
    dims = ("baseline", "lag", "radius")
    arrays = {
        "observed": seen,
        "expected": expected,
        "index": index,
        "low": interval[0],
        "high": interval[1],
        "z": z,
        "p": p,
        "p_holm": holm,
    }
    said = {name: [getattr(kind, name) for kind in kinds] for name in ("how", "preserves", "asks")}
    return xr.Dataset(
        {name: (dims, values) for name, values in arrays.items()},
        coords={
            "baseline": [kind.name for kind in kinds],
            "number": ("baseline", [kind.number for kind in kinds]),
            **{name: ("baseline", texts) for name, texts in said.items()},
            "lag": chosen,
            **radius_coords(scanpaths, radii, patch_px),
        },
        attrs={
            "baselines": json.dumps(
                {k.name: {"how": k.how, "preserves": k.preserves, "asks": k.asks} for k in kinds}
            ),
            "n_scanpaths": len(tracks.x),
            "n_images": int(tracks.image.max()) + 1,
            "n_viewers": int(tracks.viewer.max()) + 1,
            "first_fixation": "kept",
            "steps": scanpaths.attrs.get("steps", "[]"),
            "unit_px": tracks.unit_px,
            "n_permutations": n_permutations,
            "n_walks": n_walks,
            "n_resamples": n_resamples,
            "confidence": confidence,
            "clusters": clusters,
            "correction": "Holm over lags and radii within a baseline; intervals are pointwise",
            "second_order": "jitter within bins, no border",
            "undefined": int(np.isnan(index).sum()),
            "seed": seed,
        },
    )


def inhibition_index(
    scanpaths: xr.Dataset,
    baseline: str,
    lags: Sequence[int] = range(1, 9),
    radius_deg: Radius = 1.0,
    *,
    radius_px: Radius = None,
    n_permutations: int = 1000,
    n_walks: int = 20,
    n_resamples: int = 1000,
    confidence: float = 0.95,
    seed: int,
) -> xr.Dataset:
    """Return the index of inhibition (lag, radius) against one baseline; see `all_baselines`."""
    found = all_baselines(
        scanpaths,
        lags,
        radius_deg,
        radius_px=radius_px,
        baselines=[baseline],
        n_permutations=n_permutations,
        n_walks=n_walks,
        n_resamples=n_resamples,
        confidence=confidence,
        seed=seed,
    )
    return found.isel(baseline=0)


def _weighted(one: Expectation, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the observed and the expected probability (B, K, R) under weights (B, N)."""

    def share(near: np.ndarray, pairs: np.ndarray) -> np.ndarray:
        n = len(near)
        top = (weights @ near.reshape(n, -1)).reshape(-1, *near.shape[1:])
        under = (weights @ pairs)[:, :, None]
        out = np.full(top.shape, np.nan)
        np.divide(top, under, out=out, where=under > 0)
        return out

    return share(one.observed, one.pairs), share(one.expected, one.chances)


def _index(observed: np.ndarray, expected: np.ndarray) -> np.ndarray:
    out = np.full(observed.shape, np.nan)
    total = observed + expected
    np.divide(observed - expected, total, out=out, where=total > 0)
    return out


def _intervals(
    tracks: Tracks, found: Sequence[Expectation], n_resamples: int, confidence: float, seed: int
) -> tuple[np.ndarray, str]:
    """Return the ends of the intervals (2, baseline, K, R) and what was drawn."""
    levels = {"image": (tracks.image, IMAGE_STREAM), "viewer": (tracks.viewer, VIEWER_STREAM)}
    drawn = {name: level for name, level in levels.items() if level[0].max() > 0}
    if not drawn:
        drawn = {"scanpath": (np.arange(len(tracks.x)), IMAGE_STREAM)}
    if len(tracks.x) < 2:
        raise InvalidInput("An interval needs at least two scanpaths; there is one.")
    rngs = {name: numpy_generator(seed, stream) for name, (_, stream) in drawn.items()}
    parts = []
    for block in split_blocks(n_resamples, len(tracks.x)):
        weights = np.ones((block, len(tracks.x)))
        for name, (codes, _) in drawn.items():
            weights *= count_draws(rngs[name], block, int(codes.max()) + 1)[:, codes]
        parts.append(np.stack([_index(*_weighted(one, weights)) for one in found], axis=1))
    draws = np.concatenate(parts)
    tail = (1 - confidence) / 2
    # A resample may hold no return at all; a cell that none of them has stays NaN.
    ends = np.full((2, *draws.shape[1:]), np.nan)
    known = np.isfinite(draws).any(0)
    if known.any():
        ends[:, known] = np.nanquantile(draws[:, known], [tail, 1 - tail], axis=0)
    return ends, " and ".join(f"{name}s" for name in drawn)


def _holm(p: np.ndarray) -> np.ndarray:
    return p if np.isnan(p).all() else adjust(p.ravel(), "holm").reshape(p.shape)
