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
# # Record your own model
#
# Any torch module can be recorded: name the layers, show the stimuli, get labelled arrays. Here a
# torchvision network looks at oriented bars; its tuning curves, and what an attentional gain on
# the input does to them, follow in a few lines each.

# %%
import os

import numpy as np
import torch
import xarray as xr

from attnsci import load_torchvision
from attnsci.analysis.fits import fit_curves
from attnsci.analysis.gain import built_in_gain, gain_summary, unit_gain
from attnsci.analysis.tuning import describe_curves, tuning_curves
from attnsci.data.bars import bar
from attnsci.data.stimuli import Stimuli
from attnsci.plotting.curves import plot_tuning
from attnsci.recording import record

# Orientations shown; the tests run this notebook with fewer.
N = int(os.environ.get("ATTNSCI_NOTEBOOK_N", 20))

# %% [markdown]
# ## Stimuli: an image batch, with what is known about each image
# Bars at every orientation and three widths, once at full contrast and once dimmed by a fifth: the
# input that a gate of strength 0.2 would let through for an ignored object.

# %%
orientations = np.arange(N) * 180 / N
rows = [(theta, width, s) for s in (0.0, 0.2) for theta in orientations for width in (0.5, 1.1, 2)]
images = torch.zeros(len(rows), 3, 64, 64)
for image, (theta, width, s) in zip(images, rows, strict=True):
    drawn = torch.from_numpy(bar(width, theta).copy()) * (1 - s)
    image[:, 18:46, 22:42] = drawn

theta, width, dimmed = map(torch.tensor, zip(*rows, strict=True))
stimuli = Stimuli(images, {"orientation_deg": theta, "width": width, "dimmed": dimmed})

# %% [markdown]
# ## Three lines
# The weights here are random, so that the notebook runs without a download; for a trained network
# write `weights="DEFAULT"`. `load_torchvision` stands for `import torchvision`, which fails where pip
# put a torchvision built for CUDA beside a torch for CPUs.

# %%
torch.manual_seed(0)
model = load_torchvision().models.resnet18(weights=None).eval()
recording = record(model, stimuli, ["conv1", "layer1.0.relu", "layer2"])
recording["layer2"]

# %% [markdown]
# Every layer is an `xarray.DataArray` with the stimulus coordinates attached. `time` counts the
# calls of a module within one forward pass: `layer1.0.relu` ran twice. A recording that does not
# fit into memory goes to disk with `store="run.zarr"`, and resumes there after a crash.

# %%
recording["layer1.0.relu"].sizes

# %% [markdown]
# ## Tuning

# %%
layer = recording["layer2"].isel(time=0, x=4, y=4, drop=True)
curves = {
    name: tuning_curves(layer.isel(stimulus=(layer["dimmed"] == s).values), "orientation_deg")
    for name, s in (("attended", 0.0), ("unattended", 0.2))
}
describe_curves(curves["attended"]).to_dataframe().head()

# %%
fit_curves(curves["attended"]).to_dataframe().head()

# %%
both = xr.concat(list(curves.values()), "attention").assign_coords(attention=list(curves))
strongest = int(curves["attended"].mean("orientation_deg").argmax("channel"))
plot_tuning(both.isel(channel=strongest));

# %% [markdown]
# ## Gain
# The input was scaled by 1.25, so a gain near 1.25 is *built in*: what matters is the gain
# relative to it, the last column of this table.

# %%
gain = unit_gain(curves["attended"], curves["unattended"])
gain_summary(gain, seed=0, input_gain=built_in_gain(0.2))
