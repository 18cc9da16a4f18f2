import numpy as np
import pytest

from attnsci.errors import InvalidInput
from attnsci.scanpaths import similarity

TDE, STDE = "time_delay_embedding", "scaled_time_delay_embedding"


def windows_apart(h, s, norm):
    steps = np.hypot(*(h - s).T)
    return (np.sqrt((steps**2).sum()) if norm == "frobenius" else steps.sum()) / len(h)


def reference(human, simulated, k, norm, mode="mean"):
    if min(len(human), len(simulated)) < k:
        return np.nan
    nearest = [
        min(
            windows_apart(human[i : i + k], simulated[j : j + k], norm)
            for i in range(len(human) - k + 1)
        )
        for j in range(len(simulated) - k + 1)
    ]
    return np.mean(nearest) if mode == "mean" else np.max(nearest)


def scaled_reference(human, simulated, side, norm):
    shorter = min(len(human), len(simulated))
    found = [
        np.exp(-reference(human / side, simulated / side, k, norm)) for k in range(1, shorter + 1)
    ]
    return np.mean(found)


@pytest.mark.parametrize(
    ("k", "norm", "human_a", "human_b"),
    [
        (1, "frobenius", 77.88854381999832, 22.360679774997898),
        (2, "frobenius", 110.68382667897261, 70.74889842785608),
        (3, "frobenius", 162.23180603494885, 148.04118601578463),
        (1, "sum", 77.88854381999832, 22.360679774997898),
        (2, "sum", 140.29481580267355, 78.7264210702314),
        (3, "sum", 215.19745480451977, 195.15757976631403),
    ],
)
def test_toys(toys, all_pairs, k, norm, human_a, human_b):
    found = all_pairs(toys, TDE, k=k, norm=norm)
    np.testing.assert_allclose([found[0, 1], found[1, 0]], [human_a, human_b], rtol=1e-13)


@pytest.mark.parametrize(
    ("k", "expected"), [(1, 300), (2, 230.4886114323222), (3, 190.61304607327727)]
)
def test_toys_hausdorff(toys, all_pairs, k, expected):
    found = all_pairs(toys, TDE, k=k, mode="hausdorff")
    np.testing.assert_allclose(found[0, 1], expected, rtol=1e-13)


def test_toys_scaled(toys, all_pairs):
    frobenius, summed = (all_pairs(toys, STDE, norm=norm) for norm in ("frobenius", "sum"))
    np.testing.assert_allclose(frobenius[0, 1], 0.8497326545627317, rtol=1e-13)
    np.testing.assert_allclose(frobenius[1, 0], 0.8917688877302808, rtol=1e-13)
    np.testing.assert_allclose(summed[0, 1], 0.8096256728418281, rtol=1e-13)
    np.testing.assert_allclose(summed[1, 0], 0.8609909760493559, rtol=1e-13)


@pytest.mark.data
@pytest.mark.parametrize(
    ("image", "metric", "settings", "human_a", "human_b"),
    [
        ("1009", TDE, {}, 31.467667503402442, 41.2203767088983),
        ("1420", TDE, {}, 94.45588965553961, 112.8741555154715),
        ("1009", STDE, {}, 0.9651251434112696, 0.9523866456387537),
        ("1420", STDE, {}, 0.8942043956775989, 0.8855429257675524),
        ("1009", STDE, {"norm": "sum"}, 0.9432376136656282, 0.919629185842959),
        ("1420", STDE, {"norm": "sum"}, 0.8012714386107345, 0.7845433961400515),
    ],
)
def test_osie(osie_pairs, all_pairs, image, metric, settings, human_a, human_b):
    found = all_pairs(osie_pairs[image], metric, **settings)
    np.testing.assert_allclose([found[0, 1], found[1, 0]], [human_a, human_b], rtol=1e-12)


@pytest.mark.parametrize("norm", ["frobenius", "sum"])
def test_equals_loops_over_windows(ragged, scanpath_set, all_pairs, norm):
    scanpaths = scanpath_set(ragged)
    places = [array[:, :2] for array in ragged]
    for chunk in (1, 7, 1024):
        for k in (1, 2, 4, 9):
            for mode in ("mean", "hausdorff"):
                expected = [[reference(h, s, k, norm, mode) for s in places] for h in places]
                found = all_pairs(scanpaths, TDE, chunk, k=k, norm=norm, mode=mode)
                np.testing.assert_allclose(found, expected, rtol=1e-12)
        expected = [[scaled_reference(h, s, 800, norm) for s in places] for h in places]
        np.testing.assert_allclose(
            all_pairs(scanpaths, STDE, chunk, norm=norm), expected, rtol=1e-12
        )


def test_the_longer_side_scales(all_pairs, scanpath_set):
    tall = [np.array([[10.0, 20], [30, 500]]), np.array([[60.0, 20], [30, 410]])]
    found = all_pairs(scanpath_set(tall, 100, 600), STDE)
    np.testing.assert_allclose(found[0, 1], scaled_reference(*tall, 600, "frobenius"), rtol=1e-13)


def test_shorter_than_the_window_has_no_value(scanpath_set):
    paths = scanpath_set([[[1, 1], [2, 2]], [[1, 1], [2, 2], [3, 3]]])
    with pytest.warns(UserWarning, match="3 of 4 pairs"):
        found = similarity(paths, metric=TDE)
    assert found.attrs["n_undefined"] == 3
    assert found.values[1, 1] == 0


@pytest.mark.parametrize(
    ("metric", "settings"),
    [(TDE, {"k": 0}), (TDE, {"norm": "max"}), (TDE, {"mode": "min"}), (STDE, {"norm": "max"})],
)
def test_settings_are_checked(toys, metric, settings):
    with pytest.raises(InvalidInput, match=next(iter(settings))):
        similarity(toys, metric=metric, **settings)
