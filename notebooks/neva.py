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
# # NeVA: where to look, so that a task loses least
#
# An image is blurred everywhere but at the fixation, and a fading memory keeps what was seen. The
# next fixation is the one that leaves a task the least loss. Nothing is fitted to eye movements.

# %%
import os

import torch

from attnsci.data.images import load_images, resize_and_crop
from attnsci.families.neva.asks import example, side_by_side
from attnsci.families.neva.efficientnet_lite import load_efficientnet_lite
from attnsci.families.neva.figures import over_pictures, pipeline
from attnsci.families.neva.folding import folded
from attnsci.families.neva.network import NeVA, Replay
from attnsci.families.neva.stimuli import Pictures, fovea_for
from attnsci.families.neva.tasks import BlurEnergy, Classification, Embedding
from attnsci.families.neva.words import word_encoder, word_target
from attnsci.geometry import Viewing
from attnsci.plotting.style import style
from attnsci.recording import record

# Fixations; the tests run this notebook with fewer.
N = int(os.environ.get("ATTNSCI_NOTEBOOK_N", 6))
SIDE = 128
names = ["coffee", "astronaut", "rocket"]
pixels = [resize_and_crop(photo.rgb, SIDE)[0] for photo in load_images(names)]
pictures = Pictures(torch.stack([torch.from_numpy(p) for p in pixels]), names, Viewing(SIDE, SIDE))
fovea = fovea_for(SIDE)
network = load_efficientnet_lite("lite0")

# %% [markdown]
# ## Look, to recognise
# The task is the label that the network gives the sharp image. `discount="commit"` is the
# published order: the search sees the whole memory, and only then it fades.

# %%
neva = NeVA(Classification(folded(network)), fovea, discount="commit")
paths, trace = neva.trace(pictures.images, N, image=names)
with style():
    figure = pipeline(example(neva, pictures, "coffee", min(4, N), seed=0))

# %% [markdown]
# ## The same photographs, three tasks
# To recognise; to see detail (no network at all); and to find a *cup* (no language model: the
# readout of the classifier stands in for the word).

# %%
cup = Embedding(word_encoder(network), word_target(network, "cup").embedding)
looks = {
    "recognise": paths,
    "see detail": NeVA(BlurEnergy(), fovea, search="oracle", discount="commit").look(
        pictures.images, N, image=names
    ),
    "find a cup": NeVA(cup, fovea, discount="commit").look(pictures.images, N, image=names),
}
with style():
    figure = over_pictures(side_by_side(pictures, looks))

# %% [markdown]
# ## Why it explores
# With the memory faded *before* the search the same model hardly moves: the exploration of the
# published one is the order of two lines.

# %%
still = NeVA(Classification(folded(network)), fovea, discount="search")
orders = {"published order": paths, "faded first": still.look(pictures.images, N, image=names)}
for name, gaze in orders.items():
    step = ((gaze["x"].diff("fixation") ** 2 + gaze["y"].diff("fixation") ** 2) ** 0.5).mean()
    print(f"{name}: saccades of {float(step):.0f} px, loss {float(gaze['state_loss'].mean()):.2f}")

# %% [markdown]
# ## Record what the network does at every fixation
# What was seen is replayed through the task model, one call a fixation along `time`.

# %%
recording = record(Replay(network), {"image": trace.seen, "photo": names}, ["model.last"])
recording["model.last"].mean(["channel", "y", "x"])
