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
# # Object-based attention by internal gating
#
# A trained network reads two overlapping digits one after the other: gates close everything but
# one digit, and what was attended is inhibited before the next phase (Lei, Benjamin and Kording
# 2021). This notebook looks at it, measures it, and asks whether it is *objects* that it attends.

# %%
import os

import pandas as pd
import torch

from attnsci.analysis.selection import order_bias, summarise
from attnsci.data import BarScenes, DigitScenes, load_mnist
from attnsci.families.zoo import load_model, pretrained_names
from attnsci.families.object_attention.experiments import (
    ablation_table,
    cue_by_template,
    lone_digit_sweep,
)
from attnsci.families.object_attention.figures import draw_tuning
from attnsci.families.object_attention.measure import show_bars, show_scenes
from attnsci.plotting.curves import plot_estimates, plot_lines

# Scenes in each experiment; the tests run this notebook with fewer.
N = int(os.environ.get("ATTNSCI_NOTEBOOK_N", 300))
torch.set_grad_enabled(False)

# %% [markdown]
# ## A trained network and real digits
# Both come with the package: weights trained by us, and 1000 test digits that they never saw.

# %%
print(pretrained_names())
network = load_model("mnist-2-seed0")
network.record["metrics"]

# %%
scenes = DigitScenes(load_mnist("test"), seed=0)
batch = scenes[:64]
trajectory = network.model.run(batch.image)
trajectory.logits.shape, [tuple(gate.shape) for gate in trajectory.gates]

# %% [markdown]
# ## What each phase reads, chooses and gates

# %%
shown = show_scenes(network.model, scenes.batches(64, N))
shown

# %%
summarise(shown)

# %% [markdown]
# ## Is it the object or the side?
# A network that attends to objects would not always begin on the same side …

# %%
order_bias(shown)

# %% [markdown]
# … and would read a lone digit in phase 1 wherever it stands.

# %%
lone = lone_digit_sweep(network.model, scenes.digits, N // 4, offsets=(0, 4, 7, 10, 14))
ax = plot_lines(lone[lone.noise > 0], "offset_px", "phase", "accuracy")
ax.set(xlabel="column of the digit (px)", ylabel="accuracy")
# %% [markdown]
# ## Take it apart
# Interventions are arguments of `run`. The table compares each with the untouched network on the
# same scenes.

# %%
ablations = ablation_table(
    network.model,
    scenes,
    N // 2,
    ablations={
        "no inhibition of return": {"inhibition": False},
        "inhibition on pixels only": {"inhibition": (True, False)},
        "pixel gate off": {"gates_off": (1,)},
        "feed-forward": {"n_steps": 1},
        "half of the features lesioned": {"lesions": [(2, channel) for channel in range(25)]},
    },
)
ablations

# %%
ax = plot_estimates(ablations[1:], "condition", "difference")
ax.set(xlabel="change of accuracy")
# %%
cue_by_template(network.model, scenes, N)

# %% [markdown]
# ## Orientation tuning with attention on the bar or on the digit beside it

# %%
digits = load_mnist("train")
bars = BarScenes(digits.images[digits.index == 501][0], widths=(1.1,), row_shifts=(-4, 0, 4))
tuning = show_bars(network.model, bars.batches(66))
draw_tuning(tuning)
# %%
mean = tuning["level_1"].sel(statistic="mean")
ratio = mean.sel(attention="attended").sum() / mean.sel(attention="unattended").sum()
strength = network.model.config.strength
pd.Series({"measured ratio, level 1": float(ratio), "built into the target": 1 / (1 - strength)})
