import json
import warnings

import numpy as np
import pytest

from attnsci.errors import InvalidInput, UnknownName
from attnsci.gaze import from_arrays
from attnsci.geometry import Viewing
from attnsci.scanpaths.comparison import HEADLINE, compare, comparison_table
from attnsci.scanpaths.edit import rescale, select
from attnsci.scanpaths.protocols import PROTOCOLS

# Durations of the crowd are noise, and MultiMatch's say so.
pytestmark = pytest.mark.filterwarnings("ignore:m.* duration hardly tell")

QUICK = {"n_permutations": 199, "n_bootstrap": 199}


def test_a_model_that_is_a_person_reaches_the_ceiling_and_a_blind_one_does_not(crowd):
    human = crowd(n_images=12)
    good = crowd(n_images=12, n_observers=1, seed=8, names="good")
    rng = np.random.default_rng(0)
    blind = from_arrays(
        rng.uniform(0, 800, (12, 7)),
        rng.uniform(0, 600, (12, 7)),
        image=[f"image {i}" for i in range(12)],
        observer="blind",
        viewing=Viewing(800, 600, px_per_deg=24),
    )
    one = compare(good, human, ["scanmatch", "dtw"], **QUICK)
    assert one["normalised"].values == pytest.approx([1, 1], abs=0.1)
    assert (one["normalised_low"] <= one["normalised"]).all()
    assert (one["p_holm"].sel(against="cross-image") < 0.02).all()
    other = compare(blind, human, ["scanmatch", "dtw"], **QUICK)
    assert (np.abs(other["normalised"]) < 0.3).all()
    assert (other["p_holm"].sel(against="human") < 0.02).all()
    # A person scores more than baselines do; for a distance, less.
    means = one["mean"].sel(metric="scanmatch")
    assert (means.sel(source="human") > means.drop_sel(source=["human", "model"])).all()
    distances = one["mean"].sel(metric="dtw")
    assert (distances.sel(source="human") < distances.drop_sel(source=["human", "model"])).all()


def test_shuffling_matters_to_order_and_not_to_places(crowd):
    result = compare(None, crowd(), ["scanmatch", "hausdorff"], **QUICK)
    human, shuffled = (result["mean"].sel(source=name) for name in ("human", "shuffled"))
    assert shuffled.sel(metric="hausdorff") == pytest.approx(human.sel(metric="hausdorff").item())
    assert shuffled.sel(metric="scanmatch") < human.sel(metric="scanmatch") - 0.2


def test_the_same_seed_gives_the_same_result_for_any_chunk_and_order(crowd):
    human = crowd()
    model = crowd(n_observers=1, seed=3, names="model")
    one = compare(model, human, ["scanmatch", "multimatch"], **QUICK)
    rng = np.random.default_rng(0)
    mixed = human.isel(scanpath=rng.permutation(human.sizes["scanpath"]))
    two = compare(model, human, ["scanmatch", "multimatch"], chunk=7, **QUICK)
    assert one.identical(two)
    three = compare(model, mixed, ["scanmatch", "multimatch"], **QUICK)
    for source in ("model", "human"):  # baselines draw by row
        a, b = (r["mean"].sel(source=source).values for r in (one, three))
        assert a == pytest.approx(b, abs=1e-12)


def test_several_models_share_people_and_baselines(crowd):
    human = crowd(n_images=6)
    near = crowd(n_images=6, n_observers=1, seed=8, names="near")
    far = crowd(n_images=6, n_observers=1, seed=9, noise=200.0, names="far")
    both = compare({"near": near, "far": far}, human, ["scanmatch", "dtw"], **QUICK)
    assert both["source"].values.tolist()[:3] == ["near", "far", "human"]
    for name, model in (("near", near), ("far", far)):
        alone = compare(model, human, ["scanmatch", "dtw"], **QUICK)
        for value in ("normalised", "difference", "p_holm", "difference_high"):
            assert both[value].sel(model=name).values == pytest.approx(alone[value].values)
        assert both["mean"].sel(source=name).values == pytest.approx(
            alone["mean"].sel(source="model").values
        )
    with pytest.raises(InvalidInput, match="same images"):
        compare({"near": near, "far": select(far, image=["image 0", "image 1"])}, human, ["dtw"])
    with pytest.raises(InvalidInput, match="names of their own"):
        compare({"human": near}, human, ["dtw"])


def test_components_and_labels_become_metrics(crowd):
    result = compare(
        None, crowd(), {"mm": ("multimatch", {}), "coarse": ("edit_distance", {"grid": 3})}, **QUICK
    )
    assert result["metric"].values.tolist() == [
        "mm vector", "mm direction", "mm length", "mm position", "mm duration", "coarse",
    ]  # fmt: skip
    table = comparison_table(result)
    assert list(table.index) == result["metric"].values.tolist()
    assert "normalised" not in table and "human best observer" in table


def test_images_that_the_model_did_not_see_serve_the_baselines_only(crowd):
    human = crowd(n_images=6)
    model = select(crowd(n_images=6, n_observers=1, seed=4), image=["image 1", "image 4"])
    result = compare(model, human, ["scanmatch"], **QUICK)
    assert result["image"].values.tolist() == ["image 1", "image 4"]
    assert result["n_pairs"].sel(source="model") == 12
    assert result["n_pairs"].sel(source="human") == 60


def test_a_metric_that_does_not_tell_images_apart_is_named(crowd):
    human = crowd(noise=400.0)
    with pytest.warns(UserWarning, match="scanmatch hardly tell"):
        result = compare(None, human, ["scanmatch"], **QUICK)
    assert json.loads(result.attrs["weak"]) == ["scanmatch"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compare(None, crowd(), ["scanmatch"], **QUICK)


def test_without_durations_the_metrics_of_time_are_left_out(crowd):
    human = crowd()
    model = crowd(n_observers=1, seed=2)
    model["duration"] = model["duration"] * np.nan
    with pytest.warns(UserWarning):  # the duration of MultiMatch has no value
        result = compare(model, human, **QUICK)
    assert "scanmatch 50 ms" in HEADLINE and "scanmatch 50 ms" not in result["metric"]
    assert np.isnan(result["mean"].sel(metric="multimatch duration", source="model"))
    assert np.isfinite(result["mean"].sel(metric="multimatch duration", source="human"))


def test_what_cannot_be_compared_is_refused(crowd):
    human, model = crowd(), crowd(n_observers=1, seed=2)
    with pytest.raises(InvalidInput, match=r"320×240.*rescale"):
        compare(rescale(model, 320, 240), human, ["dtw"])
    renamed = model.assign_coords(image=("scanpath", [f"picture {i}" for i in range(5)]))
    with pytest.raises(InvalidInput, match=r"5 of the model's images.*'picture 0'.*image 0"):
        compare(renamed, human, ["dtw"])
    with pytest.raises(InvalidInput, match="two images"):
        compare(None, select(human, image="image 0"), ["dtw"])
    with pytest.raises(InvalidInput, match="'image 0' was seen by 1 observer"):
        compare(None, crowd(n_observers=1), ["dtw"])
    with pytest.raises(UnknownName, match="scanmatch"):
        compare(None, human, ["scanmach"])
    with pytest.raises(InvalidInput, match=r"no setting 'bins'.*grid"):
        compare(None, human, {"sed": ("edit_distance", {"bins": 4})})
    with pytest.raises(InvalidInput, match="No metric"):
        compare(None, human, [])


# Spec, 3.4: mean over 14,700 ordered pairs, best, standard deviation over pairs.
OSIE_TEST_SPLIT = {
    "multimatch vector": (0.94143849, None, 0.0270),
    "multimatch direction": (0.69464744, None, 0.1435),
    "multimatch length": (0.93063038, None, 0.0393),
    "multimatch position": (0.85064724, None, 0.0942),
    "multimatch duration": (0.62109683, None, 0.1283),
    "scanmatch": (0.39022310838, None, 0.1073),
    "scanmatch 50 ms": (0.38584803794, None, 0.1112),
    "edit_distance": (7.485986, 5.000952, None),
    "stde sum": (0.8438423784, 0.9064061558, None),
    "stde frobenius": (0.9089457272, 0.9425403980, None),
}


@pytest.mark.data
def test_people_on_the_published_test_split_of_osie(osie, test_split):
    protocol = PROTOCOLS["chen2021"]
    human = rescale(select(osie, image=test_split), *protocol.frame)
    with pytest.warns(UserWarning, match="multimatch vector"):
        result = compare(None, human, protocol.metrics, **QUICK).sel(source="human")
    assert result["n_pairs"] == 14_700
    assert (result["n_undefined"] == 0).all()
    for metric, (mean, best, sd) in OSIE_TEST_SPLIT.items():
        row = result.sel(metric=metric)
        assert row["mean"].item() == pytest.approx(mean, abs=1e-6), metric
        if best is not None:
            assert row["reached_mean"].item() == pytest.approx(best, abs=1e-6), metric
        if sd is not None:
            assert row["pair_sd"].item() == pytest.approx(sd, abs=1e-4), metric


# Spec, 3.7: the five MultiMatch values, ScanMatch, with 50 ms, STDE.
DISCRIMINATION = {
    "human": (0.9397, 0.6996, 0.9279, 0.8513, 0.6238, 0.3890, 0.3905, 0.9089),
    "cross-image": (0.9310, 0.6506, 0.9167, 0.7800, 0.6144, 0.1977, 0.1892, 0.8773),
    "shuffled": (0.9082, 0.6762, 0.8831, 0.8214, 0.6137, 0.3576, 0.3611, 0.9011),
    "centre": (0.8897, 0.6570, 0.8614, 0.7784, 0.6126, 0.2126, 0.1889, 0.8747),
    "uniform": (0.8459, 0.6458, 0.7859, 0.7149, 0.6125, 0.1527, 0.1453, 0.8417),
}


@pytest.mark.data
@pytest.mark.filterwarnings("ignore:multimatch vector")
def test_the_discrimination_table_of_osie(osie):
    human = select(osie, image=sorted(set(osie["image"].values))[:100])
    chosen = {name: HEADLINE[name] for name in list(HEADLINE)[:4]}
    result = compare(None, human, chosen, **QUICK)
    for source, row in DISCRIMINATION.items():
        # The spec's centre bias includes the image itself, one in a hundred.
        tolerance = {"human": 1e-4, "centre": 5e-3}.get(source, 3.5e-3)
        found = result["mean"].sel(source=source).values
        assert found == pytest.approx(row, abs=tolerance), source
    assert (result["separation"].sel(metric=["scanmatch", "scanmatch 50 ms"]) > 1.5).all()


def test_an_image_whose_name_is_written_in_two_ways_is_named(crowd):
    human, model = crowd(), crowd(n_observers=1, seed=3, names="model")
    renamed = [
        np.where(each["image"] == "image 1", name, each["image"]).astype(str)
        for each, name in ((human, "caf\u00e9"), (model, "cafe\u0301"))
    ]
    human, model = (
        each.assign_coords(image=("scanpath", names))
        for each, names in zip((human, model), renamed, strict=True)
    )
    with pytest.raises(InvalidInput, match=r"image 'caf\\xe9' and the model's 'cafe\\u0301' look"):
        compare(model, human, ["scanmatch"], **QUICK)
