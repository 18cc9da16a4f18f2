"""The gated network: published numbers, exact protocol, gradients, invariances, bad input."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from attnsci.data import DigitScenes, load_mnist
from attnsci.errors import InvalidInput
from attnsci.families.object_attention.config import ObjectAttentionConfig
from attnsci.families.object_attention.network import ObjectAttention
from attnsci.families.object_attention.objective import nearest_object
from attnsci.families.object_attention.reference import load_object_attention

TINY = ObjectAttentionConfig(channels=(1, 3, 4), height=14, width=17, n_classes=3)
COCO = ObjectAttentionConfig(
    channels=(3, 30, 60, 100, 20),
    height=100,
    width=100,
    n_classes=12,
    strength=0.3,
    upsampling="bicubic",
)


def tiny(seed: int = 0, dtype: torch.dtype = torch.float32, **changes) -> ObjectAttention:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = ObjectAttention(dataclasses.replace(TINY, **changes)).to(dtype)
        for parameter in model.parameters():
            # Default weights leave gates near 0; larger ones make both masks and signs appear.
            torch.nn.init.normal_(parameter, std=0.5)
    return model.eval()


def pictures(n: int, model: ObjectAttention, seed: int = 0) -> torch.Tensor:
    config = model.config
    generator = torch.Generator().manual_seed(seed)
    shape = (n, config.channels[0], config.height, config.width)
    return torch.rand(shape, generator=generator).to(model.readout.weight.dtype)


@pytest.fixture(scope="module")
def digits_model(data_root):
    return load_object_attention(data_root / "object-attention/paper_mnist_model.pt")


@pytest.fixture(scope="module")
def golden(data_root):
    return np.load(data_root / "object-attention/reference_golden.npz")


# Published numbers


@pytest.mark.parametrize(
    ("config", "parameters"),
    [
        (ObjectAttentionConfig(), 82_661),
        (COCO, 477_713),
        (dataclasses.replace(ObjectAttentionConfig(), width=56, n_phases=3), 82_661 + 600 * 21),
    ],
)
def test_the_published_networks_have_their_published_parameters(config, parameters):
    model = ObjectAttention(config)
    assert sum(p.numel() for p in model.parameters()) == parameters


def test_three_objects_read_two_thousand_two_hundred_features():
    model = ObjectAttention(ObjectAttentionConfig(width=56, n_phases=3))
    assert model.readout.in_features == 2200
    assert model.run(torch.rand(2, 1, 28, 56)).logits.shape == (2, 3, 5, 10)


@pytest.mark.data
@torch.no_grad()
def test_digit_weights_give_every_golden_array(digits_model, golden):
    run = digits_model.run(torch.from_numpy(golden["mnist_x"]))
    for phase in (0, 1):
        name = f"mnist_p{phase + 1}_"
        expected = golden[name + "logits"].transpose(1, 0, 2)
        np.testing.assert_allclose(run.logits[:, phase].numpy(), expected, atol=1e-4, rtol=0)
        np.testing.assert_allclose(
            run.masked_input[:, phase].numpy(), golden[name + "masked"], atol=1e-4, rtol=0
        )
        for level in (0, 1):
            place = f"conv{level + 1}_in"
            np.testing.assert_allclose(
                run.gates[level][:, phase].numpy(), golden[f"{name}hidden_{place}"], atol=1e-4
            )
            np.testing.assert_array_equal(
                run.ior[level][:, phase].numpy(), golden[f"{name}ior_{place}"]
            )
    assert [int(run.ior[k][:, p].sum()) for p in (0, 1) for k in (0, 1)] == [1243, 5519, 1573, 7118]


@pytest.mark.data
@torch.no_grad()
def test_a_pair_of_digits_is_read_right_digit_first(digits_model, golden):
    scene = torch.from_numpy(golden["pair_x"])
    run = digits_model.run(scene)
    assert scene.sum().item() == pytest.approx(185.50587, abs=1e-4)
    assert run.prediction.tolist() == [[2, 7]]
    for phase in (0, 1):
        np.testing.assert_allclose(
            run.logits[:, phase].numpy(),
            golden[f"pair_p{phase + 1}_logits"].transpose(1, 0, 2),
            atol=1e-4,
        )
        np.testing.assert_allclose(
            run.gates[0][:, phase].numpy(), golden[f"pair_p{phase + 1}_hidden"], atol=1e-4
        )
    np.testing.assert_allclose(
        run.masked_input.sum((0, 2, 3, 4)), [170.31293, 162.36966], atol=1e-3
    )
    assert run.ior[0].sum((0, 2, 3, 4)).tolist() == [189, 328]


@pytest.mark.data
@torch.no_grad()
def test_photograph_weights_give_the_golden_numbers(data_root, golden):
    model = load_object_attention(data_root / "object-attention/paper_coco_model.pt")
    sine = (0.5 + 0.5 * np.sin(0.01 * np.arange(60_000))).astype(np.float32)
    run = model.run(torch.from_numpy(sine.reshape(2, 3, 100, 100)), keep_activations=True)
    np.testing.assert_allclose(
        run.logits[:, 0].numpy(), golden["coco_p1_logits"].transpose(1, 0, 2), atol=1e-4
    )
    # A cell at 3e-6 from the threshold may flip on another processor, and its neighbourhood too.
    for phase, fraction in ((0, 1), (1, 0.99)):
        gap = run.gates[0][:, phase, 0].numpy() - golden[f"coco_p{phase + 1}_hidden_conv1_ch0"]
        assert (np.abs(gap) < 1e-4).mean() >= fraction
    means = [[float(gate[:, phase].mean()) for gate in run.gates] for phase in (0, 1)]
    np.testing.assert_allclose(means[0], [0.713858, 0.085158, -0.150609, 0.011919], atol=1e-5)
    np.testing.assert_allclose(means[1], [0.647729, 0.955449, 0.922107, 0.881660], atol=2e-3)
    masked = run.masked_input.mean((0, 2, 3, 4))
    np.testing.assert_allclose(masked, [0.394768, 0.404053], atol=5e-4)
    assert run.activations is not None
    np.testing.assert_allclose(
        [float(level[:, 0].mean()) for level in run.activations],
        [0.109522, 0.204354, 0.539370, 1.763896],
        atol=1e-5,
    )


# condition: accuracy, phase 1, phase 2, both right, multiset (spec: scenes 0-1499 of seed 0)
ABLATIONS = {
    "as published": ({}, 0.9760, 0.9727, 0.9793, 0.9527, 0.9527),
    "no IOR": ({"inhibition": False}, 0.5393, 0.9727, 0.1060, 0.1033, 0.1033),
    "pixels only": ({"inhibition": (True, False)}, 0.5400, 0.9727, 0.1073, 0.1047, 0.1047),
    "features only": ({"inhibition": (False, True)}, 0.9723, 0.9727, 0.9720, 0.9453, 0.9453),
    "feature gate off": ({"gates_off": (2,)}, 0.5413, 0.5700, 0.5127, 0.1860, 0.1973),
    "pixel gate off": ({"gates_off": (1,)}, 0.5527, 0.5553, 0.5500, 0.5367, 0.9473),
    "T = 1": ({"n_steps": 1}, 0.4943, 0.5620, 0.4267, 0.1027, 0.1027),
    "T = 2": ({"n_steps": 2}, 0.6180, 0.7653, 0.4707, 0.3653, 0.4447),
    "T = 3": ({"n_steps": 3}, 0.9610, 0.9593, 0.9627, 0.9233, 0.9240),
    "T = 4": ({"n_steps": 4}, 0.9737, 0.9707, 0.9767, 0.9480, 0.9480),
}
NOISE = {
    0.0: (0.9637, 0.9700, 0.9573, 0.9293, 0.9293),
    0.15: (0.9713, 0.9713, 0.9713, 0.9440, 0.9440),
    0.5: (0.9550, 0.9520, 0.9580, 0.9127, 0.9127),
}


@torch.no_grad()
def scores(model, scenes, n, **interventions):
    """Accuracy, by phase, both right, multiset; and how often the left object came first."""
    right, multiset, left_first = [], [], []
    for batch in (scenes[start : min(start + 128, n)] for start in range(0, n, 128)):
        run = model.run(batch.image, **interventions)
        taken = torch.zeros_like(batch.labels, dtype=torch.bool)
        columns = []
        for phase in range(2):
            chosen, _ = nearest_object(run.masked_input[:, phase], batch.targets(0.2), taken)
            taken = taken.scatter(1, chosen[:, None], True)
            label = batch.labels.gather(1, chosen[:, None])[:, 0]
            columns.append(run.prediction[:, phase] == label)
            if phase == 0:
                left_first.append(chosen == 0)
        right.append(torch.stack(columns, 1))
        multiset.append((run.prediction.sort(1).values == batch.labels.sort(1).values).all(1))
    every = torch.cat(right).double()
    numbers = [
        every.mean(),
        *every.mean(0),
        every.prod(1).mean(),
        torch.cat(multiset).double().mean(),
    ]
    return [float(number) for number in numbers], int(torch.cat(left_first).sum())


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("condition", ABLATIONS)
def test_ablations_of_the_published_weights(digits_model, data_root, condition):
    interventions, *expected = ABLATIONS[condition]
    scenes = DigitScenes(load_mnist("test", "full", data_root / "mnist"), seed=0)
    got, left_first = scores(digits_model, scenes, 1500, **interventions)
    np.testing.assert_allclose(got, expected, atol=5.1e-5)
    if condition == "as published":
        assert left_first == 0


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("noise", NOISE)
def test_the_published_weights_in_other_noise(digits_model, data_root, noise):
    digits = load_mnist("test", "full", data_root / "mnist").subset(np.arange(1500))
    got, _ = scores(digits_model, DigitScenes(digits, seed=0, noise=noise), 1500)
    np.testing.assert_allclose(got, NOISE[noise], atol=5.1e-5)


@pytest.mark.data
@pytest.mark.slow
def test_the_published_weights_on_all_test_digits(digits_model, data_root):
    scenes = DigitScenes(load_mnist("test", "full", data_root / "mnist"), seed=0)
    got, left_first = scores(digits_model, scenes, 10_000)
    np.testing.assert_allclose(got, [0.98035, 0.9797, 0.9810, 0.9613, 0.9613], atol=5.1e-5)
    assert left_first == 0


# Gradients


@pytest.mark.parametrize("upsampling", ["nearest", "bicubic"])
def test_gradients_of_a_phase_agree_with_finite_differences(upsampling):
    model = tiny(dtype=torch.float64, upsampling=upsampling)
    images = pictures(3, model)
    with torch.no_grad():
        ior = model.phase(images).ior
    labels = torch.tensor([0, 1, 2])

    def loss() -> torch.Tensor:
        phase = model.phase(images, ior)
        # tanh saturates where the masks are; a quarter of the image keeps the loss of order 1.
        error = functional.mse_loss(phase.masked_input, 0.9 * images)
        return functional.cross_entropy(phase.logits[:, -1], labels) + 100 * error

    loss().backward()
    generator = torch.Generator().manual_seed(1)
    step = 1e-6
    for name, parameter in model.named_parameters():
        direction = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        with torch.no_grad():
            parameter += step * direction
            above = loss()
            parameter -= 2 * step * direction
            below = loss()
            parameter += step * direction
        numeric = float((above - below) / (2 * step))
        exact = float((parameter.grad * direction).sum())
        assert exact == pytest.approx(numeric, rel=1e-5, abs=1e-7), name
        assert exact != 0, name


def test_gradients_reach_the_image_through_every_forward_of_a_run():
    model = tiny(dtype=torch.float64)
    images = pictures(1, model).requires_grad_()

    def answer(x: torch.Tensor) -> torch.Tensor:
        return model.run(x).logits[:, :, -1]

    assert torch.autograd.gradcheck(
        answer, (images,), eps=1e-7, atol=1e-4, fast_mode=True, check_undefined_grad=False
    )


# The protocol


@torch.no_grad()
def test_inhibition_only_grows_and_inhibited_cells_are_closed():
    model = tiny(n_phases=4)
    run = model.run(pictures(16, model), keep_steps=True)
    assert run.gate_steps is not None
    for gates, steps, ior in zip(run.gates, run.gate_steps, run.ior, strict=True):
        assert (ior[:, 1:] >= ior[:, :-1]).all()
        assert 0 < ior[:, 0].float().mean() < 1
        assert (gates[:, 1:][ior[:, :-1]] == 1).all()
        assert steps[:, :, 0].abs().max() == 0
        assert gates.abs().max() <= 1
        torch.testing.assert_close(steps[:, :, -1], gates, rtol=0, atol=0)
        new = ior[:, 1:] & ~ior[:, :-1]
        assert torch.equal(new, (gates[:, 1:] < 0.5))


@torch.no_grad()
def test_the_next_mask_is_made_of_the_gates_of_the_forward_before_the_last():
    model = tiny()
    images = pictures(8, model)
    longer = model.run(images, n_steps=6, keep_steps=True)
    run = model.run(images)
    assert longer.gate_steps is not None
    for level in (0, 1):
        # Step 5 of six forwards was formed by what four forwards left: traps 1 and 4 of a port.
        assert torch.equal(run.ior[level][:, 0], longer.gate_steps[level][:, 0, 4] < 0.5)
        assert not torch.equal(run.ior[level][:, 0], longer.ior[level][:, 0])


@torch.no_grad()
def test_the_first_forward_answers_alike_in_every_phase():
    model = tiny(n_phases=3)
    run = model.run(pictures(8, model), every_call=True)
    for phase in (1, 2):
        assert torch.equal(run.logits[:, 0, 0], run.logits[:, phase, 0])
        assert not torch.equal(run.logits[:, 0, -1], run.logits[:, phase, -1])


@torch.no_grad()
def test_the_gated_image_is_the_image_times_its_gate():
    model = tiny(strength=0.4)
    images = pictures(8, model)
    run = model.run(images)
    torch.testing.assert_close(run.masked_input, images[:, None] * (1 - 0.4 * run.gates[0]))
    unmoved = model.run(images, strength=0)
    assert torch.equal(unmoved.masked_input, images[:, None].expand(-1, 2, -1, -1, -1))
    assert torch.equal(unmoved.logits[:, :, :1].expand_as(unmoved.logits), unmoved.logits)


@torch.no_grad()
def test_phases_chained_by_hand_are_a_run():
    model = tiny(n_phases=3)
    images = pictures(4, model)
    run = model.run(images, keep_steps=True, keep_activations=True)
    assert run.gate_steps is not None
    assert run.activations is not None
    ior = None
    for number in range(3):
        phase = model.phase(images, ior)
        ior = phase.ior
        torch.testing.assert_close(phase.logits, run.logits[:, number])
        torch.testing.assert_close(phase.masked_input, run.masked_input[:, number])
        for level in (0, 1):
            torch.testing.assert_close(phase.gates[level], run.gates[level][:, number])
            torch.testing.assert_close(phase.activations[level], run.activations[level][:, number])
            assert torch.equal(phase.ior[level], run.ior[level][:, number])
            assert torch.equal(phase.gate_steps[0][level], torch.zeros_like(phase.gates[level]))


# Invariances


def same(a, b, atol=1e-5):
    for name in ("logits", "masked_input", "gates", "ior"):
        torch.testing.assert_close(getattr(a, name), getattr(b, name), atol=atol, rtol=0)


def rows(run, index):
    levels = {
        name: tuple(level[index] for level in getattr(run, name)) for name in ("gates", "ior")
    }
    return dataclasses.replace(
        run, logits=run.logits[index], masked_input=run.masked_input[index], **levels
    )


@torch.no_grad()
@settings(max_examples=10, deadline=None)
@given(st.permutations(range(9)), st.integers(0, 3))
def test_permuting_the_batch_permutes_the_outcome(order, seed):
    model = tiny(seed)
    images = pictures(9, model, seed)
    index = torch.tensor(order)
    same(model.run(images[index]), rows(model.run(images), index))


@torch.no_grad()
def test_one_at_a_time_is_as_sixty_four_at_once():
    torch.manual_seed(3)
    model = ObjectAttention()
    images = pictures(64, model)
    together = model.run(images)
    for index in (0, 17, 63):
        same(model.run(images[index : index + 1]), rows(together, slice(index, index + 1)))


@torch.no_grad()
@pytest.mark.parametrize("changes", [{}, {"n_steps": 1}, {"n_steps": 2}, {"gates_off": (1,)}])
def test_skipping_what_is_known_or_unread_changes_nothing(changes):
    model = tiny(n_phases=3)
    images = pictures(8, model)
    run = model.run(images, keep_steps=True, **changes)
    full = model.run(images, keep_steps=True, every_call=True, **changes)
    same(run, full, atol=1e-6)
    torch.testing.assert_close(run.gate_steps, full.gate_steps)
    torch.testing.assert_close(model(images, **changes), full.logits[:, :, -1])


@torch.no_grad()
def test_every_module_is_called_once_a_forward_when_recorded():
    model = tiny(n_phases=3)
    calls = dict.fromkeys(dict(model.named_modules()), 0)
    for name, module in model.named_modules():
        module.register_forward_hook(lambda *_, name=name: calls.update({name: calls[name] + 1}))
    model(pictures(2, model), n_steps=4)
    leaves = ["gated", "conv", "activation", "pool", "deconv", "gate"]
    assert {calls[f"levels.{k}.{leaf}"] for k in (0, 1) for leaf in leaves} == {12}
    assert calls["readout"] == calls["feedback"] == 12


@torch.no_grad()
def test_memory_layout_of_the_image_does_not_matter():
    model = tiny(channels=(3, 5, 4))
    images = pictures(5, model)
    assert torch.equal(
        model.run(images).logits,
        model.run(images.contiguous(memory_format=torch.channels_last)).logits,
    )


@torch.no_grad()
@pytest.mark.parametrize(
    "config",
    [
        ObjectAttentionConfig(width=28, n_phases=1),
        ObjectAttentionConfig(channels=(1, 4), height=9, width=30, n_phases=2),
        ObjectAttentionConfig(channels=(3, 4, 5), height=31, width=22, pixel_gate="per_channel"),
        ObjectAttentionConfig(channels=(3, 4, 5, 6), height=50, width=41, upsampling="bicubic"),
    ],
)
def test_other_sizes_depths_and_channels(config):
    model = ObjectAttention(config)
    run = model.run(pictures(2, model))
    assert run.logits.shape == (2, config.n_phases, 5, config.n_classes)
    assert run.masked_input.shape == (
        2, config.n_phases, config.channels[0], config.height, config.width,
    )  # fmt: skip
    assert len(run.gates) == len(run.ior) == config.n_levels
    first = config.channels[0] if config.pixel_gate == "per_channel" else 1
    assert [gate.shape[2] for gate in run.gates] == [first, *config.channels[1:-1]]
    assert run.logits.isfinite().all()


# Settings and bad input


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": (1,)}, "channels"),
        ({"height": 0}, "height"),
        ({"width": 20.5}, "width"),
        ({"n_classes": -1}, "n_classes"),
        ({"n_phases": 0}, "n_phases"),
        ({"strength": 1.0}, "strength"),
        ({"strength": -0.1}, "strength"),
        ({"strength": float("nan")}, "strength"),
        ({"channels": (1, 2, 3, 4)}, "too small"),
        ({"height": 12}, "too small"),
    ],
)
def test_impossible_networks_are_refused(changes, message):
    with pytest.raises(InvalidInput, match=message):
        ObjectAttention(dataclasses.replace(TINY, **changes))


@pytest.mark.parametrize("shape", [(2, 1, 14, 16), (2, 3, 14, 17), (1, 14, 17), (2, 1, 1, 14, 17)])
def test_images_of_another_shape_are_refused(shape):
    with pytest.raises(InvalidInput, match=r"images must have shape \(N, 1, 14, 17\)"):
        tiny().run(torch.zeros(shape))


def test_no_images_nan_and_bytes_are_refused():
    model = tiny()
    with pytest.raises(InvalidInput, match="images is empty"):
        model.run(torch.zeros(0, 1, 14, 17))
    for bad in (float("nan"), float("inf")):
        images = torch.zeros(2, 1, 14, 17)
        images[1, 0, 3, 4] = bad
        with pytest.raises(InvalidInput, match=r"first at index \(1, 0, 3, 4\)"):
            model.run(images.requires_grad_())
    with pytest.raises(InvalidInput, match="255"):
        model.run(torch.zeros(2, 1, 14, 17, dtype=torch.uint8))
    with pytest.raises(InvalidInput, match="float64"):
        model.run(torch.zeros(2, 1, 14, 17, dtype=torch.float64))


@pytest.mark.parametrize("n_phases", [0, -1])
def test_no_phases_are_refused(n_phases):
    with pytest.raises(InvalidInput, match="n_phases"):
        tiny().run(torch.zeros(1, 1, 14, 17), n_phases=n_phases)
