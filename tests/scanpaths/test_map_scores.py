import numpy as np
import pytest

from attnsci.errors import InvalidInput
from attnsci.scanpaths.ceiling import observer_ceiling
from attnsci.scanpaths.comparison import compare
from attnsci.scanpaths.edit import select
from attnsci.scanpaths.maps import FixationMaps
from attnsci.scanpaths.saliency_fixations import auc, information_gain, nss

# Durations of the crowd are noise, and MultiMatch's say so.
pytestmark = pytest.mark.filterwarnings("ignore:m.* duration hardly tell")

QUICK = {"n_permutations": 19, "n_bootstrap": 19}


def by_hand(human, candidate, image, left_out, uniform=0.01, mix=0.05):
    """Return NSS, AUC and IG of one path on the map of all but one observer."""
    maps = FixationMaps(human)
    density = maps.density(image, leave_out=left_out)
    bias = maps.centre_bias(image, uniform)
    x, y = (candidate[name].to_numpy()[: int(candidate["n_fixations"])] for name in "xy")
    mixed = (1 - mix) * density + mix * bias
    return (
        nss(density, x, y).mean(),
        np.mean(auc(density, x, y)),
        information_gain(mixed, bias, x, y).mean(),
    )


def assert_scores(found, wanted):
    """Where a map is the difference of two, rounding breaks ties far from every fixation."""
    assert found.values[[0, 2]] == pytest.approx(np.array(wanted)[[0, 2]], abs=1e-9)
    assert found.values[1] == pytest.approx(wanted[1], abs=1e-5)


def test_people_and_a_model_by_hand(crowd):
    human = crowd(n_images=3, n_observers=4, noise=40.0)
    model = crowd(n_images=3, n_observers=1, noise=80.0, seed=7, names="model")
    result = compare(model, human, ["nss", "auc", "ig"], **QUICK)
    for image in ("image 0", "image 2"):
        people = select(human, image=image)
        wanted = [by_hand(human, people.isel(scanpath=o), image, f"observer {o}") for o in range(4)]
        found = result["score"].sel(image=image, source="human")
        assert_scores(found, np.mean(wanted, 0))
        path = select(model, image=image).isel(scanpath=0)
        wanted = [by_hand(human, path, image, f"observer {o}") for o in range(4)]
        found = result["score"].sel(image=image, source="model")
        assert_scores(found, np.mean(wanted, 0))
        each = result["observer_score"].sel(image=image, source="model", observer="observer 1")
        assert_scores(each, wanted[1])


def test_order_is_nothing_to_a_map_and_chance_is_zero(crowd):
    result = compare(None, crowd(n_images=6), ["nss", "auc"], **QUICK)["mean"]
    assert result.sel(source="shuffled").values == pytest.approx(
        result.sel(source="human").values, abs=1e-12
    )
    assert result.sel(metric="auc", source="human") > 0.95
    assert result.sel(metric="auc", source="uniform") == pytest.approx(0.5, abs=0.1)
    assert result.sel(metric="nss", source="uniform") == pytest.approx(0, abs=0.6)


def test_a_path_outside_the_image_has_no_value_and_is_counted(crowd):
    human = crowd(n_images=3, n_observers=3)
    model = crowd(n_images=3, n_observers=1, seed=2, names="model")
    model["x"] = model["x"] + np.array([[2000.0], [0], [0]])
    with pytest.warns(UserWarning, match="'model': 3"):
        result = compare(model, human, ["nss"], **QUICK)
    assert np.isnan(result["score"].sel(image="image 0", source="model")).all()
    assert np.isfinite(result["mean"]).all()


def test_settings_are_checked(crowd):
    with pytest.raises(InvalidInput, match=r"'sigma'.*sigma_px, mix, uniform"):
        compare(None, crowd(), {"nss": ("nss", {"sigma": 3})})
    with pytest.raises(InvalidInput, match="sigma_px"):
        compare(None, crowd(), {"nss": ("nss", {"sigma_px": -3})})
    unknown = crowd()
    unknown.attrs["viewing"] = unknown.attrs["viewing"].replace("24", "null")
    with pytest.raises(InvalidInput, match="px_per_deg"):
        compare(None, unknown, ["nss"])
    assert "nss" not in compare(None, unknown, **QUICK)["metric"]


@pytest.mark.data
def test_people_are_scored_as_in_the_ceiling(osie):
    human = select(osie, image=sorted(set(osie["image"].values))[:12])
    found = compare(None, human, ["nss", "auc"], **QUICK)
    ceiling = observer_ceiling(human, metrics=["nss", "auc"])
    # The same maps; here the mean is over a person's fixations first, then over people.
    wanted = (
        ceiling["scanpath_value"].sel(predictor="observers").groupby("scanpath_image").mean()
    ).rename(scanpath_image="image")
    people = found["score"].sel(source="human")
    assert people.sel(metric="nss").values == pytest.approx(wanted.sel(metric="nss"), abs=1e-9)
    assert people.sel(metric="auc").values == pytest.approx(wanted.sel(metric="auc"), abs=1e-5)
    assert found["mean"].sel(metric="nss", source="cross-image") < 0.8
