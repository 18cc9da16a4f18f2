"""What an experimenter may change in a run: each does what it says, and only that."""

import pytest
import torch

from attnsci.errors import InvalidInput
from attnsci.families.object_attention.config import ObjectAttentionConfig
from attnsci.families.object_attention.network import ObjectAttention

CONFIG = ObjectAttentionConfig(channels=(1, 3, 4), height=14, width=17, n_classes=3)
LEVEL_SHAPES = [(1, 14, 17), (3, 5, 7)]


@pytest.fixture(scope="module")
def model():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = ObjectAttention(CONFIG)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.5)
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def images():
    return torch.rand(6, 1, 14, 17, generator=torch.Generator().manual_seed(0))


def test_without_inhibition_the_second_phase_is_the_first(model, images):
    run = model.run(images, inhibition=False)
    assert torch.equal(run.logits[:, 0], run.logits[:, 1])
    assert torch.equal(run.masked_input[:, 0], run.masked_input[:, 1])
    assert not any(mask.any() for mask in run.ior)
    normal = model.run(images)
    assert torch.equal(run.logits[:, 0], normal.logits[:, 0])
    assert not torch.equal(run.logits[:, 1], normal.logits[:, 1])


def test_inhibition_of_one_level_leaves_the_other_free(model, images):
    run = model.run(images, inhibition=(False, True))
    assert not run.ior[0].any()
    assert run.ior[1][:, 0].any()
    assert (run.gates[1][:, 1][run.ior[1][:, 0]] == 1).all()
    only_pixels = model.run(images, inhibition=[True, False])
    assert only_pixels.ior[0].any()
    assert not only_pixels.ior[1].any()


@pytest.mark.parametrize("level", [1, 2])
def test_a_gate_that_is_off_is_zero_and_still_feeds_the_level_below(model, images, level):
    run = model.run(images, gates_off=(level,))
    assert not run.gates[level - 1].any()
    other = run.gates[2 - level][:, 0]
    assert other.abs().max() > 0.1
    if level == 2:
        # The signal through level 2 is as alive as ever after the first forward.
        early = model.run(images, n_steps=2, gates_off=(2,))
        normal = model.run(images, n_steps=2)
        torch.testing.assert_close(early.gates[0][:, 0], normal.gates[0][:, 0])
    else:
        assert torch.equal(run.masked_input, images[:, None].expand(-1, 2, -1, -1, -1))


def test_lesioned_channels_are_silent_and_others_work(model, images):
    run = model.run(images, lesions=[(1, 2), (2, 0), (2, 3)], keep_activations=True)
    assert run.activations is not None
    first, second = run.activations
    assert not first[:, :, 2].any()
    assert not second[:, :, [0, 3]].any()
    assert first[:, :, :2].any()
    assert second[:, :, 1:3].any()
    normal = model.run(images, keep_activations=True)
    assert normal.activations is not None
    assert normal.activations[0][:, :, 2].any()


def test_frozen_gates_hold_in_every_forward(model, images):
    held = torch.full((3, 1, 1), -0.25)
    run = model.run(images, frozen_gates=(None, held), keep_steps=True)
    assert run.gate_steps is not None
    assert (run.gate_steps[1] == -0.25).all()
    assert run.gates[1].shape == (6, 2, *LEVEL_SHAPES[1])
    assert len(run.gates[0].unique()) > 100
    taken = model.run(images, frozen_gates=(model.run(images).gates[0][:, 0], None))
    torch.testing.assert_close(taken.gates[0][:, 1], taken.gates[0][:, 0])


def test_freezing_at_rest_is_no_gating_at_all(model, images):
    rest = torch.zeros(1)
    frozen = model.run(images, frozen_gates=(rest, rest))
    off = model.run(images, gates_off=(1, 2))
    plain = model.run(images, n_steps=1)
    torch.testing.assert_close(frozen.logits, off.logits)
    torch.testing.assert_close(frozen.logits[:, :, -1], plain.logits[:, :, -1])


def test_strength_by_level_equals_strength_for_all_only_if_equal(model, images):
    assert torch.equal(
        model.run(images, strength=0.5).logits, model.run(images, strength=(0.5, 0.5)).logits
    )
    run = model.run(images, strength=[0.0, 0.9])
    assert torch.equal(run.masked_input, images[:, None].expand(-1, 2, -1, -1, -1))
    assert not torch.equal(run.logits, model.run(images, strength=0).logits)


def test_the_threshold_sets_how_much_is_inhibited(model, images):
    runs = [model.run(images, threshold=value) for value in (-2.0, 0.0, 0.9, 2.0)]
    coverage = [float(run.ior[0][:, 0].float().mean()) for run in runs]
    assert coverage[0] == 0
    assert coverage[-1] == 1
    assert coverage == sorted(coverage)
    assert torch.equal(runs[1].ior[1][:, 0], runs[1].gates[1][:, 0] < 0)


def test_a_cue_starts_phase_one_and_no_other(model, images):
    cue = torch.full((1, 14, 17), 0.5)
    run = model.run(images, initial_gates=(cue, None), keep_steps=True)
    assert run.gate_steps is not None
    assert (run.gate_steps[0][:, 0, 0] == 0.5).all()
    assert not run.gate_steps[0][:, 1, 0].any()
    normal = model.run(images)
    assert not torch.equal(run.logits[:, 0, 0], normal.logits[:, 0, 0])
    torch.testing.assert_close(run.logits[:, 1, 0], normal.logits[:, 0, 0])
    full = model.run(images, initial_gates=(cue, None), every_call=True)
    torch.testing.assert_close(run.logits, full.logits)


def test_inhibition_handed_over_continues_a_run(model, images):
    run = model.run(images, n_phases=3)
    later = model.run(images, n_phases=2, initial_ior=[mask[:, 0] for mask in run.ior])
    torch.testing.assert_close(later.logits, run.logits[:, 1:])
    torch.testing.assert_close(later.gates[1], run.gates[1][:, 1:])
    assert all(torch.equal(a, b[:, 1:]) for a, b in zip(later.ior, run.ior, strict=True))
    everything = model.run(images, initial_ior=(torch.ones(1, dtype=torch.bool), None))
    assert (everything.gates[0] == 1).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"gates_off": (0,)}, "gates_off names level 0; levels run from 1 to 2"),
        ({"gates_off": (3,)}, "gates_off names level 3"),
        ({"lesions": [(3, 0)]}, "lesions names level 3"),
        ({"lesions": [(1, 3)]}, "Level 1 has no channel 3"),
        ({"lesions": [(2, -1)]}, "Level 2 has no channel -1"),
        ({"strength": (0.1, 0.2, 0.3)}, "strength needs one value or 2; got 3"),
        ({"strength": -0.1}, "strength.*-0.1"),
        ({"strength": float("nan")}, "strength.*nan"),
        ({"strength": (0.1, 7.0)}, "strength.*7.0"),
        ({"inhibition": (True,)}, "inhibition needs one value or 2; got 1"),
        ({"threshold": float("nan")}, "threshold.*nan"),
        ({"n_steps": 0}, "n_steps"),
        ({"n_steps": -1}, "n_steps"),
        ({"frozen_gates": (None,)}, "frozen_gates needs one entry for each of 2 levels; got 1"),
        ({"frozen_gates": ()}, "frozen_gates needs one entry"),
        ({"initial_gates": (torch.zeros(1, 14, 16), None)}, "initial_gates of level 1.*14, 16"),
        ({"frozen_gates": (None, torch.zeros(1, 14, 17))}, "frozen_gates of level 2"),
        ({"frozen_gates": (torch.ones(1, dtype=torch.int64), None)}, "floating-point"),
        ({"initial_gates": (torch.full((1,), torch.nan), None)}, "NaN"),
        ({"initial_ior": (torch.zeros(1, 14, 17), None)}, "boolean mask; got torch.float32"),
        ({"initial_ior": (None, None, None)}, "initial_ior needs one entry.*got 3"),
    ],
)
def test_what_cannot_be_is_refused_with_its_name_and_value(model, images, arguments, message):
    with pytest.raises(InvalidInput, match=message):
        model.run(images, **arguments)
