"""The published numbers that figures and tables of What/Where stand beside."""

import numpy as np
import pytest

from attnsci.data.noisy_stimuli import CONTRASTS, RADII_PX
from attnsci.experiments.benchmark import LEAD, POOLED
from attnsci.experiments.offsets import PROFILE
from attnsci.experiments.same_scenes import ACCURACY
from attnsci.families.what_where.figures import published_maps, published_numbers


@pytest.fixture(scope="module")
def curves():
    table = published_numbers(ACCURACY)
    return table[table["model"] != ""]


def test_published_numbers(curves):
    assert len(curves) == 10 * 27
    assert sorted(curves["contrast"].unique(), reverse=True) == list(CONTRASTS)
    np.testing.assert_allclose(np.unique(curves["eccentricity"]), RADII_PX, rtol=1e-5)
    eyes = curves["model"].str.startswith("What")
    assert curves[eyes]["source"].unique().tolist() == ["noise 1, 1,000 digits"]
    assert curves[~eyes]["source"].unique().tolist() == ["noise 0.75, 10,000 digits"]


def test_pooled_numbers_are_means_of_the_published_curves(curves):
    means = curves.groupby(["model", "contrast"])["estimate"].mean()
    pooled = published_numbers(POOLED).set_index(["model", "contrast"])["estimate"]
    assert len(pooled) == 9 * 3
    for key, value in pooled.items():
        assert value == pytest.approx(means[key], abs=5.1e-4)
    leads = published_numbers(LEAD).set_index(["model", "contrast"])["estimate"]
    assert len(leads) == 5 * 3
    for (model, contrast), value in leads.items():
        gap = means["What/Where, 1 saccade", contrast] - means[model, contrast]
        assert value == pytest.approx(gap, abs=5.1e-4)


@pytest.mark.data
def test_profiles_are_those_of_the_published_maps(data_root):
    profiles = published_numbers(PROFILE)
    for architecture, field in published_maps().items():
        away = np.hypot(field["x"].values, field["y"].values[:, None])
        rings = profiles[profiles["architecture"] == architecture]
        assert len(rings) == 14
        for middle, value in zip(rings["eccentricity"], rings["estimate"], strict=True):
            ring = (away >= middle - 1) & (away < middle + 1)
            assert field.values[ring].mean() == pytest.approx(value, abs=5e-4)
