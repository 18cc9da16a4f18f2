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

from attnsci import load_mnist, load_model, noisy_digits
from attnsci.data import DistantDigits, noisy_scene, plain_scene
from attnsci.experiments import benchmark, offsets
from attnsci.families.what_where.asks import Oracle, Saccades, ask_of, eye_of
from attnsci.plotting.scanpaths import plot_scanpath
from attnsci.plotting.style import PAGE_MM, figure, style
from attnsci.plotting.visual_field import plot_accuracy_map, plot_profile

# Digits at every place; the tests run this notebook with fewer.
N = int(os.environ.get("ATTNSCI_NOTEBOOK_N", 100))
test = load_mnist("test")
digits = test.subset(np.linspace(0, len(test) - 1, N).round().astype(int))

# %% [markdown]
# ## The map of any classifier
# `answers_by_offset` takes a network from images (N, 1, H, W) to logits, and digits all over the
# visual field of scenes of any make. Put your own network in place of `what`.

# %%
what, stn = load_model("what-28-seed0").model, load_model("stn-28-seed0").model
stimuli = offsets.OffsetDigits(digits, noisy_scene(seed=0, size=28, noise=0.75), stride_px=9)
fields = {
    name: offsets.visual_field(offsets.answers_by_offset(network, stimuli))
    for name, network in (("What", what), ("STN", stn))
}
with style():
    drawing = figure(PAGE_MM, 52)
    axes = drawing.subplots(1, 3)
    for ax, (name, field) in zip(axes, fields.items()):
        plot_accuracy_map(field.data["map"]["accuracy"], ax=ax).set_title(name)
        profile = field.at(quantity=offsets.PROFILE).set_index("eccentricity").to_xarray()
        profile = profile.rename(estimate="accuracy")
        plot_profile(profile, label=name, color="C0" if name == "What" else "C1", ax=axes[2])
    axes[2].legend()
fields["STN"].at(quantity=offsets.HALF_WIDTH)[["quantity", "estimate", "low", "high", "n"]].round(1)

# %% [markdown]
# RAM sees clean digits, through glimpses from the middle; the same function maps it.

# %%
ram = ask_of(load_model("ram-mnist-28-seed0").model, "ram")
plain = offsets.OffsetDigits(digits, plain_scene((28, 28)), reach_px=12, stride_px=6)
by_glimpse = offsets.visual_field(offsets.answers_by_offset(ram, plain)).data["map"]["accuracy"]
by_glimpse.sel(y=0).isel(time=[0, 1, 5]).to_pandas().round(2)

# %% [markdown]
# ## What looks where
# What and Where make an eye. It begins in the middle; its scanpaths are those of every other model
# here, and of people, so that every metric of `attnsci.compare` takes them.

# %%
eye = eye_of(load_model("what-crop-seed0").model, load_model("where-seed0").model)
scenes = noisy_digits(
    digits.images, digits.labels, digits.index, 128, seed=0, split="test", radius=27.0, contrast=0.5
)
paths = eye.look(scenes.image[:3])
with style():
    drawing = figure(PAGE_MM, 60)
    for k, ax in enumerate(drawing.subplots(1, 3)):
        picture = scenes.image[k, 0].numpy()
        plot_scanpath(paths.isel(scanpath=[k]), image=picture, ax=ax)
        answers = paths["prediction"].isel(scanpath=k).values.tolist()
        ax.set_title(f"{int(scenes.metadata['label'][k])} → {answers}")

# %% [markdown]
# ## What saccades are worth
# All see the same scenes, in the same noise. The oracle is told where the digit is.

# %%
asks = {
    "What/Where": Saccades(eye),
    "What/Where, oracle": Oracle(eye),
    "POLO-ATN 95": ask_of(load_model("polo-atn-95-seed0").model, "polo-atn-95-seed0"),
}
distant = DistantDigits(digits, 0.75, contrasts=(0.7, 0.3), radii_px=(9.0, 22.0, 36.0))
outcome = benchmark.contrast_benchmark(asks, distant)
table = outcome.at(quantity=benchmark.ACCURACY)
table.pivot_table("estimate", "model", ["contrast", "eccentricity"], sort=False).round(2)

# %% [markdown]
# ## Where saccades land
# As in people, they fall short of far targets.

# %%
data = outcome.data["benchmark"]
landing = benchmark.landings(data.sel(contrast=[0.7])).at(
    quantity=benchmark.LANDING, model="What/Where, 1 saccade"
)
landing[["eccentricity", "estimate", "low", "high", "n", "note"]].round(2)

# %% [markdown]
# ## Is confidence deserved?
# The expected calibration error, beside the one that noise alone would make.

# %%
errors = benchmark.calibration(data).at(quantity=[benchmark.CALIBRATION, benchmark.NOISE_ALONE])
errors.pivot(index="model", columns="quantity", values="estimate").round(3)
