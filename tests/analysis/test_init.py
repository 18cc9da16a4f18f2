"""The room's front door: lazy, complete, and without torch."""

import subprocess
import sys

import pytest

from attnsci import analysis


def test_every_name_resolves():
    assert set(analysis.__all__) <= set(dir(analysis))
    for name in analysis.__all__:
        found = getattr(analysis, name)
        # A module, something that one of them defines, or one of their constants.
        home = getattr(found, "__module__", None) or getattr(found, "__name__", "")
        assert name.isupper() or home.startswith("attnsci.analysis"), name
    assert analysis.tuning.tuning_curves is analysis.tuning_curves


def test_unknown_name():
    with pytest.raises(AttributeError):
        _ = analysis.no_such_analysis


def test_no_torch_and_nothing_heavy_before_it_is_needed():
    code = (
        "import sys, attnsci.analysis; early = set(sys.modules);"
        "[getattr(attnsci.analysis, n) for n in attnsci.analysis.__all__];"
        "heavy = {'torch', 'matplotlib', 'seaborn'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules);"
        "assert not {'numpy', 'xarray'} & early;"
        "assert not {'scipy.stats', 'statsmodels', 'dask.array'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
