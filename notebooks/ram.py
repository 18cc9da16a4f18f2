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
# # RAM: an image seen through a few glimpses
#
# A recurrent network looks at an image through small glimpses, decides where to look next, and
# names the digit after the last one. Looking is learned by reinforcement. Here: what it sees, what
# its policy is worth, what its core knows of places, and whether it shows inhibition of return.

# %%
import os

import numpy as np
import torch

from attnsci import all_baselines, load_mnist, load_model
from attnsci.analysis.decoding import decode_position
from attnsci.analysis.glimpses import error_by_glimpse, right
from attnsci.data.ram_scenes import PRESETS, ClutteredScenes
from attnsci.data.stimuli import some
from attnsci.experiments.answers import glimpses, swapped_gaze
from attnsci.families.ram.looks import Looks, scanpaths_of
from attnsci.families.ram.pictures import probabilities
from attnsci.families.ram.policies import InhibitedPolicy, ReplayPolicy
from attnsci.plotting.glimpses import plot_glimpses
from attnsci.plotting.inhibition import plot_baselines
from attnsci.plotting.style import style
from attnsci.recording import collect, record

# Scenes; the tests run this notebook with fewer.
N = int(os.environ.get("ATTNSCI_NOTEBOOK_N", 300))
model = load_model("ram-cluttered-60-seed0").model
scenes = ClutteredScenes(load_mnist("test"), PRESETS["cluttered-60"], clutter=load_mnist("train"))
stimuli = some(scenes, N)

# %% [markdown]
# ## What it sees
# Squares: the patches of 12, 24 and 48 pixels, each seen at 12 × 12. Bars: the classes.

# %%
responses = glimpses(collect(Looks(model, len(stimuli), state=True), stimuli))
scene = responses.drop_vars("seen").isel(stimulus=0)
scene = scene.assign(probability=probabilities(scene["logits"]))
image = stimuli[0].image[0, 0].numpy()
with style():
    figure = plot_glimpses(image, scene, [12, 24, 48])

# %% [markdown]
# ## What each glimpse adds
# The network has a readout for every glimpse; all but the last listen without teaching.

# %%
error = error_by_glimpse(responses["logits"], responses["label"])
for glimpse in error["glimpse"].values:
    at = error.sel(glimpse=glimpse)
    print(
        f"glimpse {glimpse}: {100 * at['error']:.1f} % [{100 * at['low']:.1f}, "
        f"{100 * at['high']:.1f}]"
    )

# %% [markdown]
# ## What the policy is worth
# The same network, with someone else looking: chance, a grid, its own glimpses at another scene.
# Any fixations can be replayed, of people too: `ReplayPolicy(xy)` with pixels (N, glimpse, 2).

# %%
elsewhere = ReplayPolicy(torch.from_numpy(np.roll(responses["location"].to_numpy(), 1, axis=0)))
outcome = swapped_gaze(
    lambda policy: Looks(model, len(stimuli), policy=policy),
    stimuli,
    {"random": "random", "grid": "grid", "another scene's": elsewhere},
)
outcome.estimates[["quantity", "policy", "estimate", "low", "high", "n"]].round(1)

# %% [markdown]
# ## What the core knows of places
# The state is recorded as of any torch module, in three lines; the places of the glimpses before
# and after are read from it by cross-validated ridge regression.

# %%
recording = record(model, stimuli[:], ["core.activation"])
print(recording)
state, places = (responses[name].drop_vars(["x", "y"]) for name in ("hidden", "location"))
decoded = decode_position(state, places, [-2, -1, 0, 1])
decoded["r_squared"].to_pandas().round(2)

# %% [markdown]
# ## Inhibition of return?
# The sign depends on the baseline, so all nine stand side by side. Viewers are three looks at each
# scene from other first glimpses; the first glimpse, which is given, is left out.

# %%
thrice = some(scenes, N, n_samples=3)
later = collect(Looks(model, len(thrice)), thrice).isel(time=slice(1, None))
paths = scanpaths_of(later, "RAM", 60)
paths = paths.assign_coords(observer=("scanpath", [f"look {s}" for s in paths["sample"].values]))
returns = all_baselines(
    paths.drop_vars("sample"),
    [1, 2, 3],
    radius_px=6,
    patch_px=12,
    n_permutations=200,
    n_walks=3,
    n_resamples=200,
    seed=0,
)
with style():
    figure = plot_baselines(returns.isel(radius=0))

# %% [markdown]
# And if inhibition is imposed on it?

# %%
for strength in (0.0, 1.0, 4.0):
    policy = InhibitedPolicy(strength, radius_px=6, sigma_px=3)
    inhibited = collect(Looks(model, len(stimuli), policy=policy), stimuli)
    wrong = ~right(inhibited["logits"].isel(time=-1), inhibited["label"])
    xy = inhibited["location"].to_numpy()
    back = (np.linalg.norm(xy[:, 2:] - xy[:, :-2], axis=-1) < 6).mean()
    print(f"strength {strength:g}: returns {back:.0%}, error {100 * float(wrong.mean()):.1f} %")
