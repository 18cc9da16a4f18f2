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
# # What and Where: acuity over the visual field
#
# A fovea names digits in noise, a periphery says where it should look. Here: how well networks
# recognise what lies off their centre of gaze (any network that classifies can be mapped), what
# eye movements are worth, where they land, and whether confidence is deserved.

# %%
import os

import numpy as np
import pandas as pd
import torch

from attnsci import load_mnist, load_model, map_answers, noisy_digits
from attnsci.analysis.eccentricity import accuracy_map
from attnsci.analysis.landing import landing_by_eccentricity, saccade_landing
from attnsci.families.what_where.network import WhatWhere
from attnsci.families.what_where import experiments
from attnsci.families.what_where.measure import benchmark_answers, noisy_scene, plain_scene
from attnsci.families.what_where.networks import ask_network, ask_pathways, load_pathways
from attnsci.plotting.scanpaths import plot_scanpath
from attnsci.plotting.style import PAGE_MM, figure, style
from attnsci.plotting.visual_field import plot_accuracy_map, plot_profile

# Digits at every place; the tests run this notebook with fewer.
N = int(os.environ.get("ATTNSCI_NOTEBOOK_N", 100))
test = load_mnist("test")
digits = test.subset(np.linspace(0, len(test) - 1, N).round().astype(int))

# %% [markdown]
# ## The map of any classifier
# `map_answers` takes a function from images (N, 1, H, W) to logits, digits, and what the scenes
# are made of. Put your own network in place of `what`.

# %%
what, stn = load_model("what-28-seed0").model, load_model("stn-28-seed0").model
scene = noisy_scene(seed=0, size=28, noise=0.75)
found = {
    name: experiments.mapped(name, map_answers(network, digits, scene, stride_px=9))
    for name, network in (("What", what), ("STN", stn))
}
with style():
    drawn = figure(PAGE_MM, 52)
    axes = drawn.subplots(1, 3)
    for ax, (name, one) in zip(axes, found.items()):
        plot_accuracy_map(one.map["accuracy"], ax=ax).set_title(name)
        plot_profile(one.profile, label=name, color="C0" if name == "What" else "C1", ax=axes[2])
    axes[2].legend()

# %% [markdown]
# RAM sees clean digits, through glimpses from the middle; the same function maps it.

# %%
ram = load_model("ram-mnist-28-seed0").model
centre = torch.tensor([14.0, 14.0])
with torch.no_grad():
    answers = map_answers(
        lambda images: ram.rollout(images, first=centre, policy="mean").logits,
        digits,
        plain_scene((28, 28)),
        reach_px=12,
        stride_px=6,
    )
by_glimpse = accuracy_map(answers, chance=0.1)["accuracy"]
by_glimpse.sel(y=0).isel(time=[0, 1, 5]).to_pandas().round(2)

# %% [markdown]
# ## What looks where
# What and Where make an eye. It begins in the middle; its scanpaths are those of every other model
# here, and of people, so that every metric of `attnsci.compare` takes them.

# %%
eye = WhatWhere(load_model("what-crop-seed0").model, load_model("where-seed0").model, n_saccades=2)
scenes = noisy_digits(
    digits.images, digits.labels, digits.index, 128, seed=0, split="test", radius=27.0, contrast=0.5
)
paths = eye.eval().look(scenes.image[:3])
with style():
    drawn = figure(PAGE_MM, 60)
    for k, ax in enumerate(drawn.subplots(1, 3)):
        picture = scenes.image[k, 0].numpy()
        plot_scanpath(paths.isel(scanpath=[k]), image=picture, ax=ax)
        said = paths["prediction"].isel(scanpath=k).values.tolist()
        ax.set_title(f"{int(scenes.metadata['label'][k])} → {said}")

# %% [markdown]
# ## What saccades are worth
# All see the same scenes, in the same noise. The oracle is told where the digit is.

# %%
device = torch.device("cpu")
asked = {
    "eye": ask_pathways(load_pathways("what-crop-seed0", "where-seed0", device)),
    "polo": ask_network("polo-atn-95-seed0", "POLO-ATN 95", device)[0],
}
told = benchmark_answers(
    asked, digits, contrasts=(0.7, 0.3), radii_px=(9.0, 22.0, 36.0), noise=0.75, seed=0
)
table = experiments.curves(told)
table.pivot_table("accuracy", "model", ["contrast", "eccentricity"], sort=False).round(2)

# %% [markdown]
# ## Where saccades land
# As in people, they fall short of far targets.

# %%
strong = told.sel(contrast=0.7, drop=True).rename(eccentricity="nominal")
landing = saccade_landing(
    strong["fixation"].sel(model="What/Where, 1 saccade", drop=True), strong["target"]
)
short = landing_by_eccentricity(landing, [5, 15, 30, 40], within=5, n_resamples=200)
pd.DataFrame(
    {
        "median error (px)": short["error"].sel(quantile=0.5),
        "median gain": short["gain"].sel(quantile=0.5),
        "within 5 px": short["within"],
        "n": short["n"],
    },
    index=pd.Index(short["eccentricity"].values, name="eccentricity (px)"),
).round(2)

# %% [markdown]
# ## Is confidence deserved?
# The expected calibration error, beside the one that noise alone would make.

# %%
experiments.trust(told)[1].set_index("model").round(3)
