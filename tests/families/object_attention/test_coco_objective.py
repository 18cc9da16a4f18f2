"""Photographs: the recipe, its loss by hand, views that keep objects in place, provenance."""

import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional

from attnsci.data.coco import load_coco_pairs
from attnsci.data.coco_scenes import CocoScenes
from attnsci.devices import make_fabric
from attnsci.errors import InvalidInput
from attnsci.families.object_attention.coco_objective import (
    CocoObjective,
    class_scores,
    random_views,
)
from attnsci.families.object_attention.coco_recipes import PRESETS, CocoTraining
from attnsci.families.object_attention.config import COCO
from attnsci.families.object_attention.objective import nearest_object
from attnsci.training.configs import fast_trainer
from attnsci.training.trainer import Trainer

# The smallest side that four levels fit in is 76; batches of two make two updates an epoch.
SMALL = CocoTraining(size=76, batch_size=2, epochs=2, learning_rate=1e-3)


@pytest.fixture
def pairs(coco_of_four):
    return load_coco_pairs(coco_of_four.images, coco_of_four.annotations, size=SMALL.size)


def test_the_published_recipe():
    published = PRESETS["coco"]
    assert published.model(12) == COCO
    assert (published.learning_rate, published.reconstruction_weight) == (1e-4, 5000)
    assert (published.batch_size, published.epochs, published.min_area) == (32, 100, 0.1)
    assert published.class_weights and not published.mirrored and published.zoom == 1
    assert fast_trainer(published).epochs == 100


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("zoom", 0.5),
        ("reconstruction_weight", -1.0),
        ("warmup", -1),
        ("batch_size", 0),
        ("learning_rate", 0.0),
        ("clip", 0.0),
        ("min_area", 1.5),
        ("reading", -1),
        ("reading_rate", 0.0),
        ("smoothing", 2.0),
    ],
)
def test_settings_out_of_range_are_named(field, value):
    with pytest.raises(InvalidInput, match=field):
        dataclasses.replace(SMALL, **{field: value})


def test_pairs_that_do_not_fit_are_refused(pairs, coco_of_four):
    with pytest.raises(InvalidInput, match="4 photographs do not fill a batch of 5"):
        CocoObjective(dataclasses.replace(SMALL, batch_size=5), pairs, pairs)
    with pytest.raises(InvalidInput, match="size is 100"):
        CocoObjective(dataclasses.replace(SMALL, size=100), pairs, pairs)
    files = coco_of_four.images, coco_of_four.annotations
    named = load_coco_pairs(*files, size=SMALL.size, target="category")
    with pytest.raises(InvalidInput, match="same classes"):
        CocoObjective(SMALL, pairs, named)
    placed = load_coco_pairs(*files, size=SMALL.size, target="location")
    with pytest.raises(InvalidInput, match="same classes"):
        CocoObjective(SMALL, placed, placed)


def test_every_photograph_comes_once_an_epoch_in_another_order(pairs):
    objective = CocoObjective(SMALL, pairs, pairs)

    def epoch(number):
        batches = [objective.batch(number, index, 0, 1) for index in range(2)]
        return torch.cat([batch.scenes.metadata["image_id"] for batch in batches]).tolist()

    orders = [epoch(number) for number in range(8)]
    assert all(sorted(order) == [1, 2, 3, 4] for order in orders)
    assert len({tuple(order) for order in orders}) > 3
    # Two processes share what one would have.
    whole = objective.batch(3, 1, 0, 1).scenes.image
    halves = [objective.batch(3, 1, rank, 2).scenes.image for rank in range(2)]
    assert torch.cat(halves).equal(whole)


def test_the_step_size_rises_and_falls_over_all_updates(pairs):
    config = dataclasses.replace(SMALL, epochs=4, final_rate=0.1, warmup=2)
    objective = CocoObjective(config, pairs, pairs)
    steps = [objective.batch(epoch, index, 0, 1).step for epoch in range(4) for index in range(2)]
    assert steps == [*range(8)]
    rates = [objective.learning_rate(step) for step in steps]
    progress = np.arange(8) / 8
    wanted = 0.1 + 0.9 * 0.5 * (1 + np.cos(np.pi * progress))
    wanted[0] *= 0.5
    np.testing.assert_allclose(rates, 1e-3 * wanted)


@pytest.mark.parametrize("weighted", [True, False])
def test_an_update_is_the_published_loss_one_step_a_phase(pairs, weighted):
    """Cross-entropy with inverse frequencies plus Φ times the error, each phase by itself."""
    config = dataclasses.replace(SMALL, class_weights=weighted, batch_size=4)
    objective = CocoObjective(config, pairs, pairs)
    batch = objective.batch(0, 0, 0, 1)
    scenes, rate = batch.scenes, objective.learning_rate(batch.step)
    counts = np.bincount(pairs.labels.ravel(), minlength=12)
    inverse = np.where(counts, 8 / np.maximum(counts, 1), 0)
    weights = torch.as_tensor(inverse / inverse.sum(), dtype=torch.float32)

    model = CocoObjective(config, pairs, pairs).model
    adam = torch.optim.Adam(model.parameters(), lr=rate)
    targets, taken, ior, wanted = scenes.targets(0.3), torch.zeros(4, 2, dtype=bool), None, []
    for _ in range(2):
        outcome = model.phase(scenes.image, ior)
        chosen, _ = nearest_object(outcome.masked_input.detach(), targets, taken)
        labels, rows = scenes.labels.gather(1, chosen[:, None])[:, 0], torch.arange(4)
        logs = functional.log_softmax(outcome.logits[:, -1], 1)[rows, labels]
        share = weights[labels] if weighted else torch.ones(4)
        cross_entropy = -(share * logs).sum() / share.sum()
        error = (outcome.masked_input - targets[rows, chosen]).square().mean()
        adam.zero_grad()
        (cross_entropy + 5000 * error).backward()
        adam.step()
        taken[rows, chosen], ior = True, outcome.ior
        wanted.append([cross_entropy.item(), error.item()])
    assert taken.all()

    fabric = make_fabric()
    rows = list(objective.update(objective.model, batch, objective.optimizer(), fabric))
    got = [[row["cross_entropy"], row["squared_error"]] for row in rows]
    np.testing.assert_allclose(got, wanted, rtol=1e-5)
    assert [row["phase"] for row in rows] == [1, 2] and rows[0]["learning_rate"] == rate
    for ours, theirs in zip(objective.model.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_reading_is_taught_first_object_by_object_with_dimmed_surroundings(pairs):
    config = dataclasses.replace(
        SMALL, reading=3, reading_rate=1e-2, smoothing=0.2, class_weights=False, warmup=2, epochs=2
    )
    objective = CocoObjective(config, pairs, pairs)
    assert [objective.n_batches(epoch) for epoch in range(2)] == [6, 2]
    reading = [objective.batch(0, index, 0, 1) for index in range(6)]
    passes = [
        torch.cat([b.scenes.metadata["image_id"] for b in reading[first : first + 2]]).tolist()
        for first in (0, 2, 4)
    ]
    assert all(sorted(once) == [1, 2, 3, 4] for once in passes) and passes[0] != passes[1]
    # Each stage's step size rises and, at a final_rate of 1, stays.
    rates = [objective.learning_rate(batch.step) for batch in reading]
    assert rates == [5e-3, *[1e-2] * 5]
    attending = [objective.batch(1, index, 0, 1).step for index in range(2)]
    assert [objective.learning_rate(step) for step in attending] == [5e-4, 1e-3]
    assert objective.batch(1, 0, 0, 1).dimmed is None
    dimmed = torch.cat([batch.dimmed for batch in reading])
    assert dimmed.shape == (12, 2, 1, 1, 1) and 0.3 <= dimmed.min() < 0.5 < 0.9 < dimmed.max() < 1

    batch, model = reading[0], objective.model
    d, x, o = batch.dimmed, batch.scenes.image[:, None], batch.scenes.objects
    with torch.no_grad():
        read = model.run(((1 - d) * x + d * o).flatten(0, 1), n_phases=1, n_steps=1)
    logs = functional.log_softmax(read.logits[:, 0, 0], 1)
    smooth = 0.8 * functional.one_hot(batch.scenes.labels.flatten(), 12) + 0.2 / 12
    gates = [p.clone() for name, p in model.named_parameters() if "deconv" in name]
    fabric = make_fabric()
    rows = list(objective.update(model, batch, objective.optimizer(), fabric))
    assert len(rows) == 1 and rows[0]["phase"] == 0
    assert rows[0]["loss"] == pytest.approx(float(-(smooth * logs).sum(1).mean()), rel=1e-5)
    after = [p for name, p in model.named_parameters() if "deconv" in name]
    assert all(a.equal(b) for a, b in zip(gates, after, strict=True))


def test_the_gradient_is_limited(pairs):
    config = dataclasses.replace(SMALL, clip=1e-3)
    objective = CocoObjective(config, pairs, pairs)
    descent = torch.optim.SGD(objective.model.parameters(), lr=1.0)
    fabric = make_fabric()
    objective.learning_rate = lambda step: 0.0  # the weights stay, so that the gradient can be read
    list(objective.update(objective.model, objective.batch(0, 0, 0, 1), descent, fabric))
    norm = torch.sqrt(sum(p.grad.square().sum() for p in objective.model.parameters()))
    assert float(norm) == pytest.approx(1e-3, rel=1e-3)


def test_networks_may_start_with_a_closing_bias_and_a_lively_way_up(pairs):
    scenes = CocoScenes(pairs)[:]

    def begun(start):
        model = CocoObjective(dataclasses.replace(SMALL, start=start), pairs, pairs).model
        with torch.no_grad():
            run = model.run(scenes.image, n_phases=1, n_steps=1, keep_activations=True)
        bias = model.levels[0].deconv.bias.detach()
        return float(bias), float(run.activations[3].std())

    (published, dim), (closed, lively) = begun("published"), begun("closed")
    assert abs(published) < 0.1 and closed == 1
    assert lively > 4 * dim
    with pytest.raises(InvalidInput, match="start"):
        dataclasses.replace(SMALL, start="open")


def test_class_scores_by_hand():
    labels = np.array([[0, 0], [0, 1], [1, 3]])
    named = np.array([[0, 0], [2, 1], [0, 3]])
    # recalls 2/3, 1/2 and 1; F1 2·2/(3+3), 2·1/(2+1), 0 for class 2, 1; class 4 does not occur
    balanced, macro_f1 = class_scores(labels, named, 5)
    assert balanced == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    assert macro_f1 == pytest.approx((2 / 3 + 2 / 3 + 0 + 1) / 4)


def test_views_move_photograph_objects_and_masks_together(pairs):
    scenes = CocoScenes(pairs)[:]
    seen = random_views(scenes, torch.Generator().manual_seed(0), mirrored=True, zoom=1.6)
    assert seen.labels.equal(scenes.labels) and seen.image.shape == scenes.image.shape
    assert not torch.allclose(seen.image, scenes.image, atol=0.05)
    for place in range(2):
        mask = seen.masks[:, place].expand_as(seen.image)
        inside = functional.max_pool2d((~mask).float(), 5, 1, 2) == 0
        assert inside.any()
        torch.testing.assert_close(
            seen.image[inside], seen.objects[:, place][inside], atol=1.5 / 255, rtol=0
        )


def test_a_view_may_be_the_mirror_image_or_the_photograph_itself(pairs):
    scenes = CocoScenes(pairs)[:]
    seen = random_views(scenes, torch.Generator().manual_seed(1), mirrored=True, zoom=1.0)
    turned = [
        torch.allclose(view, photograph.flip(-1), atol=1e-5)
        for view, photograph in zip(seen.image, scenes.image, strict=True)
    ]
    same = [
        torch.allclose(view, photograph, atol=1e-5)
        for view, photograph in zip(seen.image, scenes.image, strict=True)
    ]
    assert all(a != b for a, b in zip(turned, same, strict=True)) and 0 < sum(turned) < 4
    plain = random_views(scenes, torch.Generator().manual_seed(1), mirrored=False, zoom=1.0)
    torch.testing.assert_close(plain.image, scenes.image, atol=1e-5, rtol=0)


def test_training_learns_writes_its_record_and_goes_on_where_it_stopped(pairs, tmp_path):
    config = dataclasses.replace(SMALL, mirrored=True, zoom=1.2, clip=1.0)

    def run(folder, **settings):
        objective = CocoObjective(config, pairs, pairs)
        settings = {"device": "cpu", "precision": "32-true", **settings}
        trainer = Trainer(objective, tmp_path / folder, fast_trainer(config, **settings))
        return trainer.fit(), objective

    whole, objective = run("whole")
    validated = whole[whole["split"] == "validation"]
    assert len(validated) == 2 and set(validated["n"]) == {4}
    assert validated["balanced_accuracy"].between(0, 1).all()
    trained = whole[whole["split"] == "train"].groupby("epoch")["squared_error"].mean()
    assert trained.iloc[-1] < trained.iloc[0]
    run("halves", max_steps=1)
    _, resumed = run("halves")
    for a, b in zip(objective.model.parameters(), resumed.model.parameters(), strict=True):
        assert a.equal(b)
    record = objective.provenance()
    assert record["data"]["annotations"] == "instances_small.json"
    assert record["data"]["n"] == 4 and record["data"]["rule"]["min_area"] == 0.1
    assert record["training"] == config and record["config"].n_classes == 12
