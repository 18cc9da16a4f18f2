"""The command that trains on photographs: recipe, folder, what it says, resuming."""

import dataclasses
from pathlib import Path

import pytest

from attnsci.cli import training_commands
from attnsci.errors import InvalidInput
from attnsci.families.object_attention.coco_commands import load_split
from attnsci.families.object_attention.coco_recipes import PRESETS
from attnsci.families.zoo import load_model

TrainCoco = training_commands()["object-attention-coco"]
TINY = dataclasses.replace(
    PRESETS["coco-small"], size=76, batch_size=2, epochs=2, reading=1, warmup=0
)


@pytest.fixture
def files(coco):
    """Twelve photographs, of which the ids put some into each split."""
    for number in range(1, 13):
        first, second = ((1, 18), (62, 44), (18, 3))[number % 3]
        coco.add(
            [(first, coco.rectangle(0, 0, 20, 40)), (second, coco.rectangle(30, 0, 20, 30))],
            number=number,
        )
    return coco.write()


def test_splits_are_by_the_recipes_rule(files):
    parts = {split: load_split(TINY, *files, split) for split in ("train", "val", "test")}
    assert all(part.rule.min_area == 0.02 and part.size == 76 for part in parts.values())
    ids = [set(part.image_id.tolist()) for part in parts.values()]
    assert set.union(*ids) == set(range(1, 13)) and sum(map(len, ids)) == 12
    assert len(load_split(TINY, *files, None)) == 12


def test_it_trains_says_what_came_out_and_resumes(files, tmp_path, capsys):
    command = TrainCoco(
        images=files[0], annotations=files[1], training=TINY, out=tmp_path / "run", device="cpu"
    )
    dataclasses.replace(command, max_steps=1).run()
    capsys.readouterr()
    command.run()
    said = capsys.readouterr().out
    n = len(load_split(TINY, *files, "val"))
    # Once where it was stopped, and after each epoch.
    assert f"(n = {n}), best of 3." in said
    assert said.rstrip().endswith(f"Weights: {tmp_path / 'run' / 'best.safetensors'}")
    network = load_model(tmp_path / "run" / "last.safetensors")
    assert network.record["training"] == dataclasses.asdict(TINY)
    assert network.record["data"]["split"] == ["train"]
    assert network.model.config.n_classes == 12 and network.model.config.height == 76


def test_a_run_is_named_after_its_settings():
    one = TrainCoco(images=Path("a"), annotations=Path("b"), training=TINY, preset="coco-small")
    other = dataclasses.replace(one, training=dataclasses.replace(TINY, seed=1))
    assert one.folder.parent == Path("runs") and one.folder.name.startswith(
        "object-attention-coco-coco-small-"
    )
    assert one.folder != other.folder
    assert dataclasses.replace(one, out=Path("mine")).folder == Path("mine")


def test_too_few_photographs_are_refused_before_anything_is_written(files, tmp_path):
    training = dataclasses.replace(TINY, batch_size=32)
    with pytest.raises(InvalidInput, match="do not fill a batch of 32"):
        TrainCoco(
            images=files[0],
            annotations=files[1],
            training=training,
            out=tmp_path / "run",
            device="cpu",
        ).run()
    assert not (tmp_path / "run").exists()
