import numpy as np
import pytest

from attnsci.errors import InvalidInput
from attnsci.scanpaths import similarity


def reference(a, b):
    d = np.linalg.norm(a[:, None] - b[None], axis=2)
    return (d.min(0).sum() + d.min(1).sum()) / max(len(a), len(b))


def test_toys(toys, all_pairs):
    np.testing.assert_allclose(all_pairs(toys, "eyenalysis")[0, 1], 95.77708763999662, rtol=1e-14)


@pytest.mark.data
@pytest.mark.parametrize(
    ("image", "expected"), [("1009", 67.30215609096534), ("1420", 111.60782660500081)]
)
def test_osie(osie_pairs, all_pairs, image, expected):
    np.testing.assert_allclose(
        all_pairs(osie_pairs[image], "eyenalysis")[0, 1], expected, rtol=1e-13
    )


@pytest.mark.parametrize("px_per_s", [0.0, 300.0])
def test_equals_one_by_one(ragged, scanpath_set, all_pairs, px_per_s):
    weighted = [array * [1, 1, px_per_s] for array in ragged]
    expected = [[reference(a, b) for b in weighted] for a in weighted]
    for chunk in (1, 7, 1024):
        found = all_pairs(scanpath_set(ragged), "eyenalysis", chunk, px_per_s=px_per_s)
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_durations_that_are_missing(scanpath_set):
    paths = scanpath_set([[[1, 1, 0.2]], [[2, 2, np.nan]]])
    with pytest.raises(InvalidInput, match="1 of 2 scanpaths have none, the first in row 1"):
        similarity(paths, metric="eyenalysis", px_per_s=100)


@pytest.mark.parametrize("px_per_s", [-1.0, np.nan, np.inf])
def test_settings_are_checked(toys, px_per_s):
    with pytest.raises(InvalidInput, match="px_per_s"):
        similarity(toys, metric="eyenalysis", px_per_s=px_per_s)
