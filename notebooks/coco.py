# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Object-based attention on photographs of your own
#
# Any photographs with objects annotated in COCO's format, masks included, will do. This notebook
# draws a small set for itself, so that it runs as it is; put your own two paths where it says so.
# It keeps the photographs with two large objects that hardly overlap, trains a gated network on
# 70 % of them and asks of the ones it never saw: does attending help, and what does it attend?
#
# The published half of the paper on COCO itself is one command:
# `attnsci reproduce object-attention-coco --images DIR --annotations FILE`.

# %%
import contextlib
import io
import json
import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from attnsci.analysis.selection import summarise
from attnsci.data.coco import load_coco_pairs
from attnsci.data.coco_scenes import CocoScenes
from attnsci.families.zoo import load_model
from attnsci.families.object_attention import coco_experiments as experiments
from attnsci.families.object_attention import coco_figures as figures
from attnsci.families.object_attention.measure import show_scenes
from attnsci.families.object_attention.paper import gallery_examples
from attnsci.plotting.scenes import plot_gallery
from attnsci.families.object_attention.coco_objective import CocoObjective
from attnsci.families.object_attention.coco_recipes import CocoTraining
from attnsci.training.configs import fast_trainer
from attnsci.training.trainer import Trainer

# Photographs to draw; the tests run this notebook with fewer.
N = int(os.environ.get("ATTNSCI_NOTEBOOK_N", 160))
folder = Path(tempfile.mkdtemp())
os.environ["ATTNSCI_CACHE"] = os.environ.get("ATTNSCI_CACHE", str(folder / "cache"))


# %% [markdown]
# ## Photographs and their annotations
# Discs, squares and triangles on a cloudy ground stand in for yours. An annotation file lists
# images, categories and objects; an object is a polygon (or a run-length mask) with its area.


# %%
def outline(kind, x, y, r):
    """Corners of a shape about (x, y)."""
    turn, corners = {"disc": (0, 24), "square": (np.pi / 4, 4), "triangle": (-np.pi / 2, 3)}[kind]
    angle = turn + 2 * np.pi * np.arange(corners) / corners
    return np.stack([x + r * np.cos(angle), y + r * np.sin(angle)], 1)


def draw(folder, n):
    """Draw `n` photographs of two shapes, and write their annotation file."""
    kinds, rng = ["disc", "square", "triangle"], np.random.default_rng(0)
    images, objects = [], []
    for number in range(1, n + 1):
        clouds = Image.fromarray(rng.integers(60, 200, (5, 6, 3), dtype=np.uint8))
        picture = clouds.resize((240, 180), Image.Resampling.BICUBIC)
        brush = ImageDraw.Draw(picture)
        for x in rng.permutation([60, 180]):
            kind = int(rng.integers(3))
            corners = outline(kinds[kind], x, rng.uniform(75, 105), rng.uniform(46, 56))
            shade = (30, 245, 130)[kind] + rng.integers(-25, 10, 3)
            brush.polygon([tuple(corner) for corner in corners.tolist()], tuple(shade.tolist()))
            (x0, y0), (x1, y1) = corners.min(0), corners.max(0)
            a, b = corners.T
            area = abs(np.sum(a * np.roll(b, 1) - b * np.roll(a, 1))) / 2
            objects.append({
                "id": len(objects) + 1, "image_id": number, "category_id": kind + 1,
                "segmentation": [corners.ravel().tolist()], "area": float(area), "iscrowd": 0,
                "bbox": [float(x0), float(y0), float(x1 - x0), float(y1 - y0)],
            })  # fmt: skip
        name = f"{number:06d}.jpg"
        picture.save(folder / name, quality=92)
        images.append({"id": number, "file_name": name, "width": 240, "height": 180})
    categories = [{"id": k + 1, "name": kind} for k, kind in enumerate(kinds)]
    file = folder / "annotations.json"
    file.write_text(
        json.dumps({"images": images, "annotations": objects, "categories": categories})
    )
    return folder, file


IMAGES, ANNOTATIONS = draw(folder, N)
# Your own:
# IMAGES, ANNOTATIONS = "path/to/photographs", "path/to/annotations.json"

# %% [markdown]
# ## Pairs of objects
# `target` gives each of your category ids its class, counted from 0; of COCO's own categories
# `target="supercategory"` makes the published twelve. Photographs are told apart into train, val
# and test by their ids alone.

# %%
TARGET = {1: 0, 2: 1, 3: 2}
SIZE, MIN_AREA = 76, 0.05  # 100 pixels, and a tenth of the photograph, as published
pairs = {
    split: load_coco_pairs(
        IMAGES, ANNOTATIONS, target=TARGET, min_area=MIN_AREA, size=SIZE, split=split
    )
    for split in ("train", "val", "test")
}
print(pairs["train"].report)
pd.DataFrame(
    {
        split: pd.Series(some.labels.ravel()).map(some.classes).value_counts()
        for split, some in pairs.items()
    }
)

# %% [markdown]
# ## A network, trained here
# With few photographs it learns first to read objects one by one, then to attend. The same as a
# command: `attnsci train object-attention-coco --preset coco-small --images … --annotations …`.

# %%
recipe = CocoTraining(
    size=SIZE, min_area=MIN_AREA, batch_size=8, epochs=8, reading=12,
    learning_rate=1e-3, final_rate=0.05, warmup=10, clip=1.0, start="closed", mirrored=True, zoom=1.2,
)  # fmt: skip
objective = CocoObjective(recipe, pairs["train"], pairs["val"])
with contextlib.redirect_stderr(io.StringIO()):  # its progress
    trainer = Trainer(objective, folder / "run", fast_trainer(recipe, precision="32-true"))
    metrics = trainer.fit()
network = load_model(folder / "run" / "last.safetensors")
metrics[metrics["split"] == "validation"][["epoch", "accuracy", "balanced_accuracy"]].tail(3)

# %% [markdown]
# ## Photographs that it never saw
# Beside the network: the same network with gates of strength 0, one that names the likeliest
# classes of the whole photograph at first sight, and one that always names the commonest class.

# %%
test = pairs["test"]
scenes = CocoScenes(test)
commonest = int(np.bincount(pairs["train"].labels.ravel()).argmax())
shown = experiments.show_photographs(network.model, scenes, len(test), commonest, progress="")
scores = experiments.score_table(shown, len(test.classes), seed=0)
attended = scores[scores["assignment"] == "attended"]
attended[attended["measure"] == "accuracy"].drop(columns=["measure", "assignment"]).round(3)

# %%
drawn = figures.draw_scores(scores.assign(network="yours", trained=True, unit="photographs"))

# %% [markdown]
# ## What selects
# In any order, how many of a photograph's objects are named if gates are held open? In so short a
# training it is the gates of features that learn to select. The gate of pixels, which has to learn
# the objects' outlines, is still closed over everything: × (1 − strength), everywhere alike.

# %%
conditions = {"as trained": (), "pixel gate off": (1,), "feature gates off": (2, 3, 4)}
pd.DataFrame(
    {
        name: summarise(show_scenes(network.model, scenes.batches(64), gates_off=off))
        .set_index("measure")
        .loc["multiset", ["estimate", "low", "high", "n"]]
        for name, off in conditions.items()
    }
).T

# %% [markdown]
# The published statistic, the mean pixel gate on attended and on other pixels, shows it as well.

# %%
experiments.gate_table(shown, seed=0)[["measure", "estimate", "low", "high", "n"]].round(4)

# %% [markdown]
# The pixel gate (blue is closed), and below each phase the class that it reads.

# %%
few = gallery_examples(network.model, scenes[np.arange(min(4, len(test)))])
names = np.vectorize(test.classes.get)(few["prediction"].values)
drawn = plot_gallery(few.assign(prediction=(("stimulus", "phase"), names)))

# %% [markdown]
# Where each level is inhibited after each phase, and which class is taken for which.

# %%
drawn = figures.draw_inhibition(shown)

# %%
drawn = figures.draw_confusion(experiments.confusion(shown, test.classes))
