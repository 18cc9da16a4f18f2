"""People by people: brute force on a small set, the reference table on OSIE."""

import numpy as np
import pytest

from attnsci.errors import InvalidInput
from attnsci.scanpaths import Viewing, from_arrays, from_dict, select
from attnsci.scanpaths import saliency_fixations as sf
from attnsci.scanpaths.ceiling import METRICS, observer_ceiling
from attnsci.scanpaths.maps import centre_bias, fixation_density

VIEWING = Viewing(80, 60, px_per_deg=3)
# Pixels that mirror each other round one fixation tie exactly; taking maps from their sum, as the
# ceiling does, parts such ties by rounding: a pixel or two of 4800.
CLOSE = np.array([1e-8, 3 / 4800, 1e-8, 1e-8, 1e-8])


def assert_close(got, expected):
    assert (np.abs(np.asarray(got) - expected) < CLOSE).all()


def people(seed=0):
    rng = np.random.default_rng(seed)
    return from_dict(
        {
            f"i{i}": {
                f"s{s}": rng.normal((20 + 10 * i, 30), 9, (3 + s + 10 * (i == 0), 2))
                for s in range(4)
            }
            for i in range(3)
        },
        VIEWING,
    )


def test_ceiling_equals_making_every_map():
    paths = people()
    result = observer_ceiling(paths, mix=0.1, uniform=0.05)
    bias = centre_bias(paths, uniform=0.05)
    outside = ((paths.x < 0) | (paths.x >= 80) | (paths.y < 0) | (paths.y >= 60)).values
    inside = ~outside & ~np.isnan(paths.x.values)
    scored = {"observers": [], "centre_bias": []}
    for s in range(paths.sizes["scanpath"]):
        image, observer = str(paths.image.values[s]), str(paths.observer.values[s])
        x, y = (paths[name].values[s, inside[s]] for name in ("x", "y"))
        elsewhere = inside & (paths.image.values != image)[:, None]
        others = paths.x.values[elsewhere], paths.y.values[elsewhere]
        density = fixation_density(paths, images=[image], leave_out=observer)[0].values
        base = bias.sel(image=image).values
        for name, one, mixed in (
            ("observers", density, 0.9 * density + 0.1 * base),
            ("centre_bias", base, base),
        ):
            values = [
                sf.nss(one, x, y),
                sf.auc(one, x, y),
                sf.auc(one, x, y, "shuffled", others),
                sf.information_gain(mixed, base, x, y),
                sf.log_likelihood(mixed, x, y),
            ]
            scored[name].append(np.stack(values, 1))
            assert_close(result["scanpath_value"].sel(predictor=name)[s], np.mean(values, 1))
    assert list(result.metric.values) == list(METRICS)
    names = paths.image.values
    for name, rows in scored.items():
        value, mean = (result[what].sel(predictor=name) for what in ("value", "mean"))
        by_image = [
            np.concatenate([r for r, n in zip(rows, names, strict=True) if n == image]).mean(0)
            for image in ("i0", "i1", "i2")
        ]
        assert_close(value, by_image)
        assert_close(mean.sel(over="images"), np.mean(by_image, 0))
        assert_close(mean.sel(over="fixations"), np.concatenate(rows).mean(0))
    assert result.n_outside.sum() == outside.sum() and result.n_fixations.sum() == inside.sum()


def test_a_larger_set_gives_negatives_and_centre_bias():
    paths = people()
    whole = observer_ceiling(paths, uniform=0.1)
    part = observer_ceiling(select(paths, image="i1"), uniform=0.1, reference=paths)
    np.testing.assert_allclose(part["value"], whole["value"].sel(image=["i1"]), atol=1e-12)


def test_metrics_may_be_chosen():
    whole = observer_ceiling(people(), uniform=0.1)
    some = observer_ceiling(people(), metrics=("auc", "nss"), uniform=0.1)
    np.testing.assert_array_equal(some["value"], whole["value"].sel(metric=["auc", "nss"]))


def test_an_observer_alone_on_an_image_does_not_count():
    paths = from_dict(
        {
            "a": {"s1": [[10, 10], [20, 20]], "s2": [[10, 12]]},
            "b": {"s1": [[40, 30]]},
            "c": {"s1": [[30, 30]], "s2": [[90, 30]]},
        },
        VIEWING,
    )
    result = observer_ceiling(paths, uniform=0.5)
    assert result.n_fixations.values.tolist() == [3, 0, 0]
    assert result.n_alone.values.tolist() == [0, 1, 1]
    assert result.n_outside.values.tolist() == [0, 0, 1]
    assert np.isnan(result["value"].sel(image=["b", "c"])).all()
    np.testing.assert_array_equal(
        result["mean"].sel(over="images"), result["value"].sel(image="a").drop_vars("image")
    )
    with pytest.raises(InvalidInput, match="two observers"):
        observer_ceiling(select(paths, image=["b", "c"]), uniform=0.5)


def test_all_scanpaths_of_an_observer_are_left_out_together():
    paths = from_arrays(
        [[10], [10], [60]], [[10], [10], [40]], image="a", observer=["s1", "s1", "s2"],
        sample=["1", "2", "1"], viewing=VIEWING,
    )  # fmt: skip
    result = observer_ceiling(paths, metrics=("auc",), uniform=1)
    # With the twin's fixation in the map the first two would be at its peak.
    assert (result["scanpath_value"].sel(predictor="observers") < 0.5).all()


def test_what_cannot_be_is_an_error():
    far = from_dict(
        {i: {"s1": [p], "s2": [p]} for i, p in (("a", [5, 5]), ("b", [70, 50]))}, VIEWING
    )
    with pytest.raises(InvalidInput, match=r"baseline is 0 at 2 of 2 fixations.*uniform=0.01"):
        observer_ceiling(far)
    assert observer_ceiling(far, metrics=("nss",))["mean"].notnull().all()
    with pytest.raises(InvalidInput, match="reference"):
        observer_ceiling(select(far, image="a"))
    with pytest.raises(InvalidInput, match="metrics must be one of 'nss'"):
        observer_ceiling(far, metrics=("cc",))
    with pytest.raises(InvalidInput, match="mix"):
        observer_ceiling(far, mix=2)


@pytest.mark.data
@pytest.mark.slow
def test_osie_reference(osie):
    first = select(osie, image=sorted(set(osie.image.values))[:100])
    ceiling = observer_ceiling(first, reference=osie)
    mean = ceiling["mean"].transpose("predictor", "metric", "over")
    expected = {
        ("observers", "nss"): (3.603, 3.625),
        ("observers", "auc"): (0.9284, 0.9286),
        ("observers", "sauc"): (0.8830, 0.8833),
        ("observers", "ig"): (2.036, 2.042),
        ("centre_bias", "nss"): (0.898, 0.901),
        ("centre_bias", "auc"): (0.7467, 0.7473),
        ("centre_bias", "ll"): (0.602, 0.605),
    }
    for (predictor, metric), values in expected.items():
        places = 4 if "auc" in metric else 3
        got = mean.sel(predictor=predictor, metric=metric).values
        np.testing.assert_allclose(got, values, atol=0.51 * 10.0**-places, err_msg=metric)
    assert ceiling.n_fixations.sum() == 13785 and ceiling.n_outside.sum() == 0
