"""Regions that people look at: mean-shift clusters of the fixations on each image.

The sequence score reads a scanpath as the sequence of these clusters. Clusters belong to an
image, and are fitted to people: `fit_clusters` returns them by image, and the metric takes them
as its setting, so that a model's fixations are read by the people's clusters.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from attnsci.checks import check_finite, check_not_empty, check_positive
from attnsci.errors import InvalidInput
from attnsci.gaze import validate

if TYPE_CHECKING:
    import xarray as xr

NEIGHBOURS = 0.3
"""Share of the fixations of an image that one bandwidth reaches, before it is multiplied."""
FACTORS = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
"""Bandwidths tried, as multiples of that reach."""
MAX_STEPS = 300
TOLERANCE = 1e-3
"""A step below this share of the bandwidth is the last."""
_BLOCK = 2**22


def cluster_fixations(
    x: np.ndarray, y: np.ndarray, bandwidth_px: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean-shift clusters of fixations.

    Every fixation climbs to the mean of the fixations within `bandwidth_px` until it rests. Of
    resting places nearer than that to each other the one with the most fixations stays, and
    each fixation belongs to the nearest that stays. Nothing is random.

    Parameters
    ----------
    x, y : array-like (n,)
        Pixels.
    bandwidth_px : float
        Radius of the flat kernel.

    Returns
    -------
    labels : ndarray (n,), int64
        Cluster of each fixation; 0 is the cluster with the most fixations round its centre.
    centres : ndarray (C, 2)
        x and y of the clusters' centres.

    Raises
    ------
    InvalidInput
        If there are no fixations, coordinates are not finite, or the bandwidth is not above 0.

    Notes
    -----
    Comaniciu & Meer 2002, IEEE Trans. Pattern Anal. Mach. Intell. 24:603; Santella & DeCarlo
    2004, ETRA, for fixations.

    Examples
    --------
    >>> labels, centres = cluster_fixations([10, 12, 60, 11], [5, 5, 50, 5], bandwidth_px=20)
    >>> labels.tolist(), centres.tolist()
    ([0, 0, 1, 0], [[11.0, 5.0], [60.0, 50.0]])
    """
    points = np.stack([np.asarray(x, float), np.asarray(y, float)], 1)
    check_not_empty("x", points)
    check_finite("x and y", points)
    check_positive("bandwidth_px", bandwidth_px)
    centres = _mean_shift(points, bandwidth_px)
    return nearest_cluster(points, centres), centres


def nearest_cluster(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return the number (n,) of the centre (C, 2) that is nearest to each point (n, 2)."""
    from scipy.spatial.distance import cdist

    return cdist(points, centres).argmin(1)


def interaction_rate(labels: np.ndarray, scanpath: np.ndarray) -> float:
    """Return saccades between clusters less those within them, over the number of clusters.

    Parameters
    ----------
    labels : ndarray (n,), int
        Cluster of each fixation, scanpath after scanpath.
    scanpath : ndarray (n,)
        The scanpath of each fixation.

    Notes
    -----
    Borji et al. 2013, ICCV. The formula is that of the code which the authors of COCO-Search18
    gave with their scores (cvlab-stonybrook/Scanpath_Prediction, issue 24).

    Examples
    --------
    >>> interaction_rate(np.array([0, 1, 1, 0]), np.array([1, 1, 1, 2]))
    0.0
    """
    labels, scanpath = np.asarray(labels), np.asarray(scanpath)
    saccade = scanpath[1:] == scanpath[:-1]
    between = (labels[1:] != labels[:-1])[saccade]
    return float((2 * between.sum() - len(between)) / len(np.unique(labels)))


def best_clusters(x: np.ndarray, y: np.ndarray, scanpath: np.ndarray) -> np.ndarray:
    """Return the centres (C, 2) at the bandwidth that maximises the interaction rate.

    Parameters
    ----------
    x, y : ndarray (n,)
        Pixels, scanpath after scanpath.
    scanpath : ndarray (n,)
        The scanpath of each fixation.

    Notes
    -----
    The bandwidths tried are `FACTORS` times the mean distance of a fixation to the farthest of
    the nearest 30 % of all; the smallest of the best wins. That is the search of the published
    code, but which factors were used for the published scores is not recorded.
    """
    reach = _reach(np.stack([x, y], 1))
    tried = [cluster_fixations(x, y, factor * reach) for factor in FACTORS]
    rates = [interaction_rate(labels, scanpath) for labels, _ in tried]
    return tried[int(np.argmax(rates))][1]


def fit_clusters(
    scanpaths: "xr.Dataset", bandwidth_px: float | None = None
) -> dict[str, np.ndarray]:
    """Return the clusters of the fixations on each image.

    Parameters
    ----------
    scanpaths : xarray.Dataset
        Of people.
    bandwidth_px : float, optional
        Radius of the mean shift. Default: for each image the one that maximises the interaction
        rate; see `best_clusters`.

    Returns
    -------
    dict of str to ndarray (C, 2)
        Centres by image: the setting ``clusters`` of the metrics "sequence_score" and
        "longest_common_subsequence".

    Raises
    ------
    InvalidInput
        If an image has no fixation, or the bandwidth is not above 0.

    Examples
    --------
    >>> from attnsci.scanpaths import Viewing, from_dict, similarity
    >>> people = from_dict({"a": {"s1": [[10, 5], [70, 50]], "s2": [[12, 5], [40, 9], [69, 52]]}},
    ...                    Viewing(80, 60))
    >>> clusters = fit_clusters(people, bandwidth_px=15)
    >>> score = similarity(people, metric="sequence_score", clusters=clusters)
    >>> score.round(2).values.tolist()
    [[1.0, 0.67], [0.67, 1.0]]
    """
    validate(scanpaths)
    if bandwidth_px is not None:
        check_positive("bandwidth_px", bandwidth_px)
    lengths = scanpaths["n_fixations"].to_numpy()
    inside = np.arange(scanpaths.sizes["fixation"]) < lengths[:, None]
    rows = np.repeat(np.arange(len(lengths)), lengths)
    x, y = scanpaths["x"].to_numpy()[inside], scanpaths["y"].to_numpy()[inside]
    images, number = np.unique(scanpaths["image"].to_numpy(), return_inverse=True)
    order = np.argsort(number[rows], kind="stable")
    ends = np.searchsorted(number[rows][order], np.arange(len(images) + 1))
    found = {}
    for image, start, stop in zip(images.tolist(), ends[:-1], ends[1:], strict=True):
        if start == stop:
            raise InvalidInput(f"Nobody has a fixation on image {image!r}: it has no clusters.")
        at = order[start:stop]
        if bandwidth_px is None:
            found[image] = best_clusters(x[at], y[at], rows[at])
        else:
            found[image] = cluster_fixations(x[at], y[at], bandwidth_px)[1]
    return found


def cluster_labels(scanpaths: "xr.Dataset", clusters: Mapping[str, np.ndarray]) -> "xr.DataArray":
    """Return the cluster of each fixation, -1 after a scanpath's end.

    Parameters
    ----------
    scanpaths : xarray.Dataset
        The container.
    clusters : mapping of str to ndarray (C, 2)
        From `fit_clusters`.

    Returns
    -------
    xarray.DataArray (scanpath, fixation), int64

    Raises
    ------
    InvalidInput
        If an image has no clusters.

    Examples
    --------
    >>> from attnsci.scanpaths import Viewing, from_dict
    >>> paths = from_dict({"a": [[10, 5], [70, 50]]}, Viewing(80, 60))
    >>> cluster_labels(paths, {"a": np.array([[69.0, 51.0], [11.0, 6.0]])}).values.tolist()
    [[1, 0]]
    """
    import xarray as xr

    labels = label_by_image(
        scanpaths["x"].to_numpy(),
        scanpaths["y"].to_numpy(),
        scanpaths["image"].to_numpy(),
        clusters,
    )
    keys = [name for name in scanpaths.coords if scanpaths[name].dims == ("scanpath",)]
    coords = {name: scanpaths[name] for name in keys}
    return xr.DataArray(labels, coords, ("scanpath", "fixation"), name="cluster")


def label_by_image(
    x: np.ndarray, y: np.ndarray, image: np.ndarray, clusters: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Return the cluster (N, F) of each fixation on `image` (N,), -1 where `x` is NaN.

    Raises
    ------
    InvalidInput
        If an image has no clusters.
    """
    labels = np.full(x.shape, -1, np.int64)
    for name in np.unique(image).tolist():
        if name not in clusters:
            raise InvalidInput(
                f"There are no clusters of image {name!r}; there are those of {len(clusters)} "
                "others. Fit them to people's fixations on it by fit_clusters()."
            )
        on_image = (image == name)[:, None] & ~np.isnan(x)
        centres = np.asarray(clusters[name], float)
        labels[on_image] = nearest_cluster(np.stack([x[on_image], y[on_image]], 1), centres)
    return labels


def _reach(points: np.ndarray) -> float:
    """Return the mean distance of a point to the farthest of the nearest 30 % of all."""
    from scipy.spatial import KDTree

    n_neighbours = min(max(2, int(len(points) * NEIGHBOURS)), len(points))
    distance, _ = KDTree(points).query(points, k=[n_neighbours])
    # One place alone has no reach and is one cluster at any bandwidth.
    return float(distance.mean()) or 1.0


def _mean_shift(points: np.ndarray, bandwidth: float) -> np.ndarray:
    """Return the centres (C, 2), the one with the most points round it first."""
    from scipy.spatial.distance import cdist

    at, count = points.copy(), np.zeros(len(points), np.int64)
    moving = np.arange(len(points))
    rows = max(1, _BLOCK // len(points))
    for _ in range(MAX_STEPS):
        moved = np.empty((len(moving), 2))
        for start in range(0, len(moving), rows):
            part = slice(start, start + rows)
            near = cdist(at[moving[part]], points) <= bandwidth
            count[moving[part]] = near.sum(1)
            moved[part] = near @ points / count[moving[part], None]
        step = np.linalg.norm(moved - at[moving], axis=1)
        at[moving] = moved
        moving = moving[step > TOLERANCE * bandwidth]
        if not len(moving):
            break
    ranked = np.unique(np.column_stack([count, at]), axis=0)[::-1, 1:]
    kept = []
    while len(ranked):
        kept.append(ranked[0])
        ranked = ranked[cdist(ranked[:1], ranked)[0] > bandwidth]
    return np.array(kept)
