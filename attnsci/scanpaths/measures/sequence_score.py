"""Sequence score and longest common subsequence: the same regions in the same order.

A fixation is read as a label: a cell of a grid, a cluster of people's fixations on the image
(`attnsci.scanpaths.clusters.fit_clusters`), or a region of a segmentation (the semantic
sequence score). The score aligns the two sequences by Needleman–Wunsch with match 1, mismatch
and gap 0, which counts the longest common subsequence.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from attnsci.checks import check_positive, check_shape
from attnsci.errors import InvalidInput
from attnsci.scanpaths.clusters import label_by_image, nearest_cluster
from attnsci.scanpaths.measures.base import Metric, Paths, register
from attnsci.scanpaths.measures.pairwise import Prepared, equal_labels
from attnsci.scanpaths.measures.scanmatch import ScanMatchSettings, regions


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class SequenceSettings:
    """Settings of the metrics of label sequences.

    Attributes
    ----------
    n_columns, n_rows : int
        Of the grid, where neither clusters nor regions are given. Fixations outside the frame
        count as on its border.
    clusters : ndarray (C, 2) or mapping of str to ndarray (C, 2), optional
        x and y of the clusters' centres, for all scanpaths or by image. Clusters of different
        images have nothing in common: by image, pairs across images have no value.
    regions : ndarray (H, W), int, or mapping of str to such, optional
        Label of each pixel of the frame, for all scanpaths or by image. Labels must mean the
        same on every image.
    """

    n_columns: int = 12
    n_rows: int = 8
    clusters: Any = None
    regions: Any = None

    def __post_init__(self) -> None:
        check_positive("n_columns", self.n_columns, integer=True)
        check_positive("n_rows", self.n_rows, integer=True)
        if self.clusters is not None and self.regions is not None:
            raise InvalidInput("Give clusters or regions, not both.")
        for name, centres in _each(self.clusters):
            check_shape(f"clusters{name}", np.asarray(centres), ("C", 2))
            if not len(centres) or not np.isfinite(np.asarray(centres, float)).all():
                raise InvalidInput(f"clusters{name} must have one finite centre at least.")
        for name, labels in _each(self.regions):
            check_shape(f"regions{name}", np.asarray(labels), ("H", "W"))
            if np.asarray(labels).dtype.kind not in "iub":
                raise InvalidInput(f"regions{name} must be whole numbers.")

    def __repr__(self) -> str:
        shown: dict[str, Any] = {"n_columns": self.n_columns, "n_rows": self.n_rows}
        for name in ("clusters", "regions"):
            value = getattr(self, name)
            if isinstance(value, Mapping):
                shown[name] = f"those of {len(value)} images"
            else:
                shown[name] = None if value is None else np.shape(value)
        return f"SequenceSettings({', '.join(f'{name}={value}' for name, value in shown.items())})"


def _each(given: Any) -> list[tuple[str, Any]]:
    if given is None:
        return []
    if isinstance(given, Mapping):
        return [(f"[{name!r}]", value) for name, value in given.items()]
    return [("", given)]


def _prepare(paths: Paths, settings: SequenceSettings) -> Prepared:
    """Return labels (N, F), lengths (N,) and the number of what the labels belong to (N,)."""
    whole = np.zeros(len(paths.length), np.int64)
    if settings.clusters is not None:
        if not isinstance(settings.clusters, Mapping):
            points = np.stack([paths.x, paths.y], -1)[paths.inside]
            labels = np.full(paths.x.shape, -1, np.int64)
            labels[paths.inside] = nearest_cluster(points, np.asarray(settings.clusters, float))
            return labels, paths.length, whole
        image = _images(paths, "clusters")
        labels = label_by_image(paths.x, paths.y, image, settings.clusters)
        number = {name: i for i, name in enumerate(settings.clusters)}
        return labels, paths.length, np.array([number[name] for name in image], np.int64)
    if settings.regions is not None:
        return _labels(paths, settings.regions), paths.length, whole
    grid = ScanMatchSettings(settings.n_columns, settings.n_rows)
    return regions(paths, grid), paths.length, whole


def _images(paths: Paths, setting: str) -> np.ndarray:
    if paths.image is None or len(paths.image) != len(paths.length):
        raise InvalidInput(
            f"{setting} are given by image, and the scanpaths do not say which image they are on."
        )
    return paths.image


def _labels(paths: Paths, given: Any) -> np.ndarray:
    """Return the label (N, F) of the pixel under each fixation, those outside on the border."""
    x, y = (
        np.floor(np.clip(np.where(paths.inside, at, 0), 0, side - 1)).astype(np.int64)
        for at, side in ((paths.x, paths.width_px), (paths.y, paths.height_px))
    )
    if isinstance(given, Mapping):
        image = _images(paths, "regions")
    else:
        given, image = {"": given}, np.full(len(x), "")
    labels = np.zeros(x.shape, np.int64)
    for name in np.unique(image).tolist():
        if name not in given:
            raise InvalidInput(f"There are no regions of image {name!r}.")
        shown = np.asarray(given[name])
        if shown.shape != (paths.height_px, paths.width_px):
            raise InvalidInput(
                f"The regions are {shown.shape[1]}×{shown.shape[0]} pixels and the scanpaths' "
                f"frame {paths.width_px:g}×{paths.height_px:g}; they must agree."
            )
        rows = image == name
        labels[rows] = shown[y[rows], x[rows]]
    return labels


def _common(a: Prepared, b: Prepared, settings: SequenceSettings) -> np.ndarray:
    """Return the length (P,) of the longest common subsequence."""
    equal = equal_labels(a[0], b[0], a[1], b[1])
    best = np.zeros((equal.shape[1] + 1, equal.shape[2]), np.int32)
    for row in equal:
        # A row's gaps cost nothing: what a column reaches, all after it have.
        best[1:] = np.maximum(best[1:], best[:-1] + row)
        np.maximum.accumulate(best, axis=0, out=best)
    return np.where(a[2] == b[2], best[-1], np.nan)


def _score(a: Prepared, b: Prepared, settings: SequenceSettings) -> np.ndarray:
    return _common(a, b, settings) / np.maximum(a[1], b[1])


register(
    Metric(
        name="sequence_score",
        summary="Longest common subsequence of visited regions, over the longer length",
        source="Borji et al. 2013, ICCV; Yang et al. 2020, CVPR",
        settings=SequenceSettings,
        prepare=_prepare,
        score=_score,
        orientation="similarity",
        bounds=(0.0, 1.0),
    )
)
register(
    Metric(
        name="longest_common_subsequence",
        summary="Visits that the two sequences of regions share in order",
        source="Wagner & Fischer 1974, J. ACM 21:168",
        settings=SequenceSettings,
        prepare=_prepare,
        score=_common,
        orientation="similarity",
        bounds=(0.0, math.inf),
        unit="fixations",
    )
)
