"""Arrays that do not belong together are refused, never cut."""

import pytest
import xarray as xr

from attnsci.analysis.alignment import align_exact
from attnsci.errors import InvalidInput

A = xr.DataArray([1, 2, 3], {"stimulus": [0, 1, 2]}, "stimulus")


def test_equal_and_unlabelled_arrays_pass():
    assert [part.values.tolist() for part in align_exact(a=A, b=A * 2)] == [[1, 2, 3], [2, 4, 6]]
    other = xr.DataArray([1, 2], dims="model")
    assert align_exact(a=A, b=other)[1].identical(other)


@pytest.mark.parametrize(
    "other", [A.assign_coords(stimulus=[0, 1, 3]), A[:2], A[::-1], A[:2].drop_vars("stimulus")]
)
def test_others_are_refused_by_name(other):
    with pytest.raises(InvalidInput, match="gain and improved must be of the same stimuli"):
        align_exact(gain=A, improved=other)
