"""What showing scenes and bars keeps: by brute force, by rule, and as published."""

import dataclasses

import numpy as np
import pytest
import torch
import xarray as xr

from attnsci.analysis.gain import built_in_gain
from attnsci.analysis.selection import order_bias, scene_scores
from attnsci.data.bars import BarScenes
from attnsci.data.digit_scenes import DigitScenes
from attnsci.data.stimuli import ObjectScenes
from attnsci.errors import InvalidInput
from attnsci.families.object_attention.config import ObjectAttentionConfig
from attnsci.families.object_attention.measure import REGIONS, show_bars, show_scenes
from attnsci.families.object_attention.network import ObjectAttention
from attnsci.families.object_attention.trajectory import Trajectory


class Scripted(torch.nn.Module):
    """Answers every batch with the next of the trajectories it was given."""

    def __init__(self, *trajectories, strength=0.2):
        super().__init__()
        self.config = ObjectAttentionConfig(strength=strength)
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.trajectories = list(trajectories)

    def run(self, images, **interventions):
        return self.trajectories.pop(0)


def random_batch(n, n_objects=2, n_phases=2, seed=0):
    """Return small scenes and a trajectory of noise, exact thirds of cells being forced."""
    generator = torch.Generator().manual_seed(seed)

    def noise(*shape):
        return torch.rand(shape, generator=generator)

    objects = noise(n, n_objects, 1, 6, 8) * (noise(n, n_objects, 1, 6, 8) < 0.4)
    labels = torch.randint(0, 10, (n, n_objects), generator=generator)
    image = objects.sum(1).clamp(max=1)
    image = torch.where(image > 0, image, 0.3 * noise(n, 1, 6, 8))
    scenes = ObjectScenes(image, {"index": torch.arange(n)}, objects, labels)
    trajectory = Trajectory(
        logits=noise(n, n_phases, 5, 10),
        gates=(2 * noise(n, n_phases, 1, 6, 8) - 1, noise(n, n_phases, 3, 2, 4)),
        masked_input=image[:, None] * (1 - 0.2 * noise(n, n_phases, 1, 6, 8)),
        ior=(noise(n, n_phases, 1, 6, 8) < 0.3, noise(n, n_phases, 3, 2, 4) < 0.6),
    )
    return scenes, trajectory


def mean_where(values, region):
    return values[region].mean() if region.any() else np.nan


@pytest.mark.parametrize(("n_objects", "n_phases"), [(2, 2), (3, 3), (1, 2), (3, 2)])
def test_every_number_by_brute_force_over_scenes_phases_and_objects(n_objects, n_phases):
    scenes, trajectory = random_batch(7, n_objects, n_phases)
    shown = show_scenes(Scripted(trajectory), [scenes])
    strength = 0.2
    for i in range(7):
        image, objects = scenes.image[i, 0].numpy(), scenes.objects[i, :, 0].numpy()
        targets = (1 - strength) * image + strength * objects
        inked = objects > 0
        chosen, published = [], []
        for p in range(n_phases):
            at = shown.isel(stimulus=i, phase=p)
            gate = trajectory.gates[0][i, p, 0].numpy()
            errors = ((trajectory.masked_input[i, p, 0].numpy() - targets) ** 2).sum((1, 2))
            np.testing.assert_allclose(at["squared_error"], errors, rtol=1e-4)
            assert at["nearest"] == errors.argmin()
            # Once every object was chosen, all are free again.
            free = [o for o in range(n_objects) if o not in chosen] or range(n_objects)
            choice = min(free, key=lambda o: errors[o])
            assert at["attended"] == choice
            chosen.append(choice)
            selected = inked[choice]
            other = inked.any(0) & ~selected
            background = ~inked.any(0)
            forced = trajectory.ior[0][i, p - 1, 0].numpy() if p else np.zeros_like(selected)
            regions = {
                "selected": selected,
                "other": other,
                "background": background,
                "inhibited": forced,
                "other_free": other & ~forced,
                "background_free": background & ~forced,
            }
            assert tuple(regions) == REGIONS
            for name, region in regions.items():
                np.testing.assert_allclose(
                    at["gate"].sel(region=name), mean_where(gate, region), rtol=1e-5
                )
            dimmed = ((image - targets[choice] + 1e-6) / (image + 1e-6)) / strength > 0.5
            published.append([mean_where(gate, ~dimmed), mean_where(gate, dimmed)])
            for o in range(n_objects):
                overlap, union = (gate < 0.5) & inked[o], (gate < 0.5) | inked[o]
                assert at["iou"][o] == pytest.approx(overlap.sum() / union.sum())
            for level, mask in enumerate(trajectory.ior):
                assert at["coverage"][level] == pytest.approx(float(mask[i, p].float().mean()))
            logits = np.sort(trajectory.logits[i, p, -1].numpy())
            assert at["margin"] == pytest.approx(logits[-1] - logits[-2], rel=1e-4)
            assert at["prediction"] == int(trajectory.logits[i, p, -1].argmax())
        np.testing.assert_allclose(
            shown["gate_published"][i], np.nanmean(published, axis=0), rtol=1e-5
        )
    np.testing.assert_array_equal(shown["label"], scenes.labels)


def test_batches_are_joined_in_order_and_named_by_their_index():
    scenes, trajectory = random_batch(6)
    whole = show_scenes(Scripted(trajectory), [scenes])

    def part(chosen):
        moved = {
            field.name: getattr(trajectory, field.name) for field in dataclasses.fields(Trajectory)
        }
        return (
            ObjectScenes(
                scenes.image[chosen],
                {"index": scenes.metadata["index"][chosen]},
                scenes.objects[chosen],
                scenes.labels[chosen],
            ),
            Trajectory(
                moved["logits"][chosen],
                tuple(g[chosen] for g in moved["gates"]),
                moved["masked_input"][chosen],
                tuple(m[chosen] for m in moved["ior"]),
            ),
        )

    (first, seen_first), (second, seen_second) = part(slice(0, 4)), part(slice(4, 6))
    parts = show_scenes(Scripted(seen_first, seen_second), [first, second])
    xr.testing.assert_allclose(parts, whole)
    assert parts["stimulus"].values.tolist() == list(range(6))


def test_no_scenes_and_no_bars_are_refused():
    model = ObjectAttention()
    with pytest.raises(InvalidInput, match="no scenes"):
        show_scenes(model, [])
    with pytest.raises(InvalidInput, match="no bars"):
        show_bars(model, [])


def test_scenes_of_another_size_are_refused():
    scenes, _ = random_batch(2)
    with pytest.raises(InvalidInput, match=r"images must have shape \(N, 1, 28, 42\)"):
        show_scenes(ObjectAttention(), [scenes])


def test_interventions_reach_the_network(bundled_test):
    model = ObjectAttention().eval()
    batch = [DigitScenes(bundled_test)[:3]]
    held = show_scenes(model, batch, gates_off=(1, 2))
    assert (held["gate"].sel(region="selected") == 0).all()
    off = show_scenes(model, batch, inhibition=False)
    assert (off["coverage"] == 0).all()
    assert off["gate"].sel(region="inhibited").isnull().all()
    np.testing.assert_array_equal(off["prediction"][:, 0], off["prediction"][:, 1])


@pytest.mark.parametrize(("side", "left"), [("right", 0.0), ("left", 1.0)])
def test_a_network_that_scans_sides_is_found_out_exactly(side_scanner, apart, side, left):
    shown = show_scenes(side_scanner(side), [apart])
    order = order_bias(shown)
    assert order["first"].tolist() == [left, 1 - left]
    assert (order["entropy_bits"] == 0).all()
    assert order["p_value"].max() < 1e-50
    assert (shown["attended"].values == ([0, 1] if side == "left" else [1, 0])).all()
    # The scan never comes back, and its class "side opened" is what it attended.
    assert not scene_scores(shown)["repeated"].any()
    np.testing.assert_array_equal(shown["prediction"], shown["attended"])


def test_a_network_that_picks_the_brighter_object_has_no_side(brightness_scanner, unequal):
    scenes, contrast = unequal
    shown = show_scenes(brightness_scanner, [scenes])
    np.testing.assert_array_equal(shown["attended"][:, 0], contrast.argmax(1))
    order = order_bias(shown)
    assert order["p_value"].min() > 0.05
    assert order["entropy_bits"][0] > 0.99
    # Mirrored, the choice follows the object to the other side.
    mirrored = dataclasses.replace(
        scenes, image=scenes.image.flip(-1), objects=scenes.objects.flip(-1).flip(1)
    )
    turned = show_scenes(brightness_scanner, [mirrored])
    np.testing.assert_array_equal(turned["attended"], 1 - shown["attended"])


@pytest.mark.parametrize("strength", [0.2, 0.5])
def test_an_ideal_gate_gives_the_target_and_the_gain_that_is_built_in(bundled_test, strength):
    scenes = DigitScenes(bundled_test, slots=((0, 0), (0, 28)))[:20]
    model = ObjectAttention(ObjectAttentionConfig(width=56, strength=strength)).eval()
    gated = []
    for chosen in (0, 1):
        ideal = (~scenes.masks[:, chosen]).float()
        trajectory = model.run(scenes.image, 1, frozen_gates=(ideal, None))
        gated.append(trajectory.masked_input[:, 0])
        target = scenes.targets(strength)[:, chosen]
        torch.testing.assert_close(gated[-1], target, rtol=0, atol=1.2e-7)
        shown = show_scenes(model, [scenes], n_phases=1, frozen_gates=(ideal, None))
        assert (shown["attended"] == chosen).all()
        assert float(shown["squared_error"].isel(object=chosen).max()) < 1e-10
        assert (shown["iou"].isel(object=chosen) == 1).all()
        gate = shown["gate"].isel(phase=0)
        assert (gate.sel(region="selected") == 0).all()
        assert (gate.sel(region=["other", "background"]) == 1).all()
    for chosen in (0, 1):
        on_object = scenes.masks[:, chosen]
        ratio = gated[chosen][on_object] / gated[1 - chosen][on_object]
        torch.testing.assert_close(ratio, torch.full_like(ratio, built_in_gain(strength)))


def bar_batches(n_orientations):
    distractor = np.zeros((28, 28), np.uint8)
    distractor[6:22, 12:16] = 255
    angles = tuple(np.arange(n_orientations) * 180 / n_orientations)
    return BarScenes(
        distractor,
        orientations_deg=angles,
        widths=(0.5, 2.0),
        row_shifts=(-2, 4),
        column_shifts=(0, 3, 1),
    )


def test_bars_keep_the_largest_and_the_mean_response_of_each_orientation():
    torch.manual_seed(3)
    model = ObjectAttention().eval()
    bars = bar_batches(3)
    shown = show_bars(model, bars.batches(5))
    assert shown["orientation_deg"].values.tolist() == [0, 60, 120]
    assert (shown["n"] == 12).all()
    every = {}
    for scenes in bars.batches(12):
        with torch.no_grad():
            trajectory = model.run(scenes.image, keep_activations=True)
        errors = (trajectory.masked_input[:, 0, None] - scenes.targets(0.2)).square()
        first = errors.flatten(2).sum(-1).argmin(1).numpy()
        orientation = float(scenes.metadata["orientation_deg"][0])
        every[orientation] = first, [a.numpy() for a in trajectory.activations]
    for orientation, (first, activations) in every.items():
        at = shown.sel(orientation_deg=orientation)
        assert at["bar_first"] == pytest.approx((first == 0).mean())
        for level, responses in enumerate(activations, start=1):
            rows = np.arange(12)
            # Object 0 is the bar: attended in phase 1 where it came first, else in phase 2.
            split = {"attended": responses[rows, first], "unattended": responses[rows, 1 - first]}
            for attention, values in split.items():
                kept = at[f"level_{level}"].sel(attention=attention)
                np.testing.assert_allclose(kept.sel(statistic="max"), values.max(0), atol=1e-5)
                np.testing.assert_allclose(kept.sel(statistic="mean"), values.mean(0), atol=1e-5)
            np.testing.assert_allclose(at[f"level_{level}_by_phase"], responses.mean(0), atol=1e-5)
    assert 0 < float(shown["bar_first"].mean()) < 1, "both orders are to be seen"


@pytest.mark.data
def test_published_network_accuracy_order_and_gates(published_shown):
    """Section 3.3 of the specification, here on every tenth scene of seed 0."""
    shown = published_shown
    scores = scene_scores(shown)
    assert float(scores["correct"].mean()) == pytest.approx(0.98035, abs=0.006)
    order = order_bias(shown)
    assert order["first"].tolist() == [0, 1]
    assert order["entropy_bits"].tolist() == [0, 0]
    assert not scores["repeated"].any()
    published_gate = shown["gate_published"].mean("stimulus")
    assert published_gate.sel(attention="unattended") == pytest.approx(0.9070, abs=0.001)
    assert published_gate.sel(attention="attended") == pytest.approx(0.1116, abs=0.001)
    spread = shown["gate_published"].std("stimulus")
    assert spread.sel(attention="unattended") == pytest.approx(0.01117, abs=0.001)
    assert spread.sel(attention="attended") == pytest.approx(0.02927, abs=0.002)


@pytest.mark.data
def test_published_network_regions_overlap_and_coverage(published_shown):
    mean = published_shown.mean("stimulus")
    gate = mean["gate"]
    np.testing.assert_allclose(gate.sel(region="selected"), [0.1184, 0.1139], atol=0.003)
    np.testing.assert_allclose(gate.sel(region="other"), [0.9640, 0.9917], atol=0.003)
    np.testing.assert_allclose(gate.sel(region="background"), [0.8999, 0.8914], atol=0.002)
    assert gate.sel(region="other_free", phase=2) == pytest.approx(0.819, abs=0.02)
    assert gate.sel(region="inhibited", phase=2) == 1
    np.testing.assert_allclose(
        scene_scores(published_shown)["iou_selected"].mean("stimulus"), [0.7566, 0.7480], atol=0.004
    )
    np.testing.assert_allclose(
        scene_scores(published_shown)["iou_other"].mean("stimulus"), [0.012, 0.008], atol=0.002
    )
    np.testing.assert_allclose(mean["coverage"].sel(level=1), [0.154, 0.310], atol=0.002)
    np.testing.assert_allclose(mean["coverage"].sel(level=2), [0.501, 0.713], atol=0.004)
    error = published_shown["squared_error"].min("object").mean("stimulus") / (28 * 42)
    np.testing.assert_allclose(error, [1.2e-4, 1.5e-4], atol=1e-5)


@pytest.fixture(scope="module")
def reference_units(data_root):
    with np.load(data_root / "object-attention" / "reference_tuning_units.npz") as arrays:
        return dict(arrays)


POSITIONS = {1: (12, 8), 2: (4, 3)}


@pytest.mark.data
def test_tuning_of_the_published_units_at_three_orientations(
    published, distractor, reference_units
):
    bars = BarScenes(distractor, orientations_deg=(0.0, 45.0, 117.0))
    shown = show_bars(published, bars.batches(66))
    assert (shown["n"] == 396).all()
    # The bar stands on the left, where this network looks last.
    assert (shown["bar_first"] == 0).all()
    columns = np.searchsorted(reference_units["deg"], shown["orientation_deg"])
    for level, (y, x) in POSITIONS.items():
        for attention, prefix in (("attended", "att"), ("unattended", "un")):
            curves = shown[f"level_{level}"].sel(statistic="max", attention=attention)
            curves = curves.isel({f"y_{level}": y, f"x_{level}": x})
            expected = reference_units[f"{prefix}_conv{level}"][:, columns]
            np.testing.assert_allclose(curves.T, expected, atol=1e-4)


@pytest.mark.data
@pytest.mark.slow
def test_tuning_of_all_units_at_all_orientations(published_bars, reference_units):
    """Sums of section 3.4 of the specification, 180° being 0° once more."""
    sums = {1: (247904.0147, 224560.2102), 2: (83981.2102, 36102.1034)}
    assert (published_bars["bar_first"] == 0).all()
    assert int(published_bars["n"].sum()) == 7920
    for level, expected in sums.items():
        curves = published_bars[f"level_{level}"].sel(statistic="max").astype(np.float64)
        curves = curves.isel(orientation_deg=[*range(20), 0])
        cells = [dim for dim in curves.dims if dim != "attention"]
        np.testing.assert_allclose(curves.sum(cells), expected, rtol=1e-6)
        y, x = POSITIONS[level]
        units = curves.isel({f"y_{level}": y, f"x_{level}": x})
        for attention, prefix in (("attended", "att"), ("unattended", "un")):
            expected_curves = reference_units[f"{prefix}_conv{level}"]
            np.testing.assert_allclose(units.sel(attention=attention).T, expected_curves, atol=1e-4)
