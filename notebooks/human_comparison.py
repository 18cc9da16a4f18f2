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
# # A model's scanpaths beside people's
#
# Fifteen people looked at photographs for three seconds each (OSIE, Xu et al. 2014). How alike are
# they, which metrics notice *where* they look, and how does a model compare? Two toy models are
# made here from real statistics; yours comes in at the same place.

# %%
import os
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from IPython import get_ipython
from PIL import Image
from scipy.ndimage import gaussian_filter

from attnsci import (
    all_baselines,
    compare,
    load_osie,
    read_scanpaths,
    similarity,
    write_scanpaths,
)
from attnsci.data import osie_stimulus_paths
from attnsci.errors import DatasetNotFound
from attnsci.plotting.comparison import plot_comparison, plot_similarity
from attnsci.plotting.inhibition import plot_baselines
from attnsci.plotting.scanpaths import plot_density, plot_observers, plot_scanpath
from attnsci.plotting.style import figure, style
from attnsci.scanpaths import (
    FixationMaps,
    comparison_table,
    from_arrays,
    observer_ceiling,
    saliency,
    select,
    viewing_of,
)

# Images compared, 70 at most; the tests run this notebook with fewer.
N = int(os.environ.get("ATTNSCI_NOTEBOOK_N", 70))

# %% [markdown]
# ## The data
# The fixations come by `attnsci datasets get osie`; the photographs stand in the same repository
# of the authors, and go into a folder `gaze/osie/stimuli` of a folder that `ATTNSCI_DATA` names.
# Without them this cell says what is missing, and the cells below do nothing.


# %%
def only_this_cell(lines):
    return lines if any("load_osie()" in line for line in lines) else []


skipped = getattr(get_ipython(), "input_transformers_post", [])
skipped.clear()
try:
    everyone, photographs = load_osie(), osie_stimulus_paths()
    images = sorted(set(load_osie(split="test70").image.values))[:N]
    people = select(everyone, image=images)
    print(people.sizes["scanpath"], "scanpaths on", len(images), "images")
except DatasetNotFound as reason:
    print(f"{reason}\n\nThis notebook needs OSIE. The cells below are skipped.")
    skipped.append(only_this_cell)

# %% [markdown]
# ## One image
# Local contrast stands for the photograph, which is not ours to print; give
# `plt.imread(photographs[name])` in its place to see it.

# %%
DEGREE = viewing_of(people).px_per_deg


def local_contrast(name, sigma_px=DEGREE / 2):
    grey = np.asarray(Image.open(photographs[name]).convert("L"), float) / 255
    mean, square = (gaussian_filter(each, sigma_px) for each in (grey, grey**2))
    return np.sqrt(np.maximum(square - mean**2, 0))


contrast = {name: local_contrast(name) for name in images}
name = images[min(7, N - 1)]
picture = 1 - 0.8 * contrast[name][::8, ::8] / contrast[name].max()
plot_scanpath(select(people, image=name, observer="1"), picture);

# %%
plot_observers(select(people, image=name), picture);

# %%
plot_density(select(people, image=name), picture);

# %% [markdown]
# ## What a metric sees
# Before any model: people against people on the same image (the ceiling), against people on other
# images, and against three kinds of chance. `compare` warns of metrics that hardly see the image.

# %%
with warnings.catch_warnings(record=True) as said:
    ceiling = compare(None, people, n_permutations=1000, n_bootstrap=500)
print(*(each.message for each in said), sep="\n")
comparison_table(ceiling)[
    ["human", "cross-image", "shuffled", "centre", "uniform", "separation"]
].round(3)

# %%
means, separation = ceiling["mean"].to_pandas(), ceiling["separation"].to_pandas()
for metric in ("multimatch vector", "multimatch duration", "scanmatch"):
    same, other = means.loc[metric, ["human", "cross-image"]]
    print(f"{metric}: {same:.3f} on the same image, {other:.3f} on others, "
          f"{separation[metric]:.2f} standard deviations of a pair apart")
for metric in ("multimatch vector", "scanmatch"):
    lost, order_lost = (means.loc[metric, "human"] - means.loc[metric, s]
                        for s in ("cross-image", "shuffled"))
    print(f"{metric}: another image costs {lost:.3f}, the order of fixations {order_lost:.3f}")

# %% [markdown]
# Seen pair by pair: three images, all their people. Where a metric knows the image, each image is
# a bright block: ScanMatch does, MultiMatch's vector hardly.

# %%
three = select(people, image=images[:3])
matrix = similarity(three, metric="scanmatch", n_columns=16, n_rows=12)
vector = similarity(three, metric="multimatch").sel(component="vector")
with style():
    for ax, each in zip(figure(178, 90).subplots(1, 2), (matrix, vector)):
        plot_similarity(each, ax=ax)

# %% [markdown]
# ## Two toy models
# **Contrast** draws fixations one by one where the photograph has contrast, weighted by the centre
# bias of the other images: it knows the image, and nothing of eye movements. **Walk** chains
# saccades of people on the other images and turns back at the border: it knows eye movements, and
# nothing of the image. Both have people's lengths and durations.

# %%
N_SAMPLES = 5
elsewhere = everyone.isel(scanpath=~np.isin(everyone.image, images))
lengths = elsewhere.n_fixations.values
lengths = lengths[lengths >= 3]  # MultiMatch compares saccades, two of them at least
inside = ~np.isnan(elsewhere.x.values)
durations = elsewhere.duration.values[inside]
saccades = np.stack([np.diff(elsewhere[axis].values)[inside[:, 1:]] for axis in "xy"])
maps = FixationMaps(everyone)
rng = np.random.default_rng(0)


def scanpaths_of(x, y, observer):
    return from_arrays(
        x, y, rng.choice(durations, x.shape), n_fixations=rng.choice(lengths, len(x)),
        viewing=viewing_of(people),
        image=np.repeat(images, N_SAMPLES), observer=observer, sample=list(range(N_SAMPLES)) * N,
    )


longest, width, height = everyone.sizes["fixation"], 800, 600
salience = {name: contrast[name] * maps.centre_bias(name) for name in images}
drawn_at = np.stack([
    rng.choice(width * height, (N_SAMPLES, longest), p=salience[name].ravel() / salience[name].sum())
    for name in images
]).reshape(-1, longest)
contrast_model = scanpaths_of(drawn_at % width + 0.5, drawn_at // width + 0.5, "contrast")

n_paths = N * N_SAMPLES
first = rng.choice(elsewhere.sizes["scanpath"], n_paths)
steps = saccades[:, rng.integers(saccades.shape[1], size=(n_paths, longest - 1))]
start = np.stack([elsewhere[axis].values[first, :1] for axis in "xy"])
walked = np.concatenate([start, steps], axis=-1).cumsum(-1)
size = np.array([width, height])[:, None, None]
walk_model = scanpaths_of(*(size - np.abs(size - walked % (2 * size))), "walk")

# %% [markdown]
# ## Compare a model with people, in three lines
# Fixations of any model, in a table (`image, observer, fixation, x, y, duration`):

# %%
mine = Path(tempfile.mkdtemp()) / "contrast.csv"
write_scanpaths(contrast_model, mine)
pd.read_csv(mine).head(3)

# %%
warnings.filterwarnings("ignore", message=".*hardly tell")  # said above
model = read_scanpaths(mine, viewing_of(people))
result = compare(model, people, n_permutations=1000, n_bootstrap=500)
with style():
    plot_comparison(result, ax=figure(178, 130).add_subplot())

# %% [markdown]
# The normalised score is 0 for a person's path on another image and 1 for another person on this
# image. Beside it the second model, and what each metric rewards:

# %%
walk = compare(walk_model, people, n_permutations=1000, n_bootstrap=500)
scores = pd.DataFrame({
    "contrast": result["normalised"].to_pandas(), "walk": walk["normalised"].to_pandas(),
    "separation": separation,
})
scores.round(2)

# %%
for metric in ("scanmatch", "nss", "multimatch vector", "multimatch length"):
    row = scores.loc[metric]
    print(f"{metric}: contrast {row['contrast']:.2f}, walk {row['walk']:.2f} of the way to a person")

# %% [markdown]
# The walk never saw a photograph: MultiMatch's vector and length pay for the size of its saccades.
# ScanMatch and the metrics on maps pay for places, and put the contrast model first. "Like people"
# in one number would hide which of the two was meant.
#
# ## Where without when: the ceiling of maps
# How well do fourteen people predict the fixations of the fifteenth, and how well do the centre
# bias and the contrast model's map? Local contrast adds little to the centre bias.

# %%
best = observer_ceiling(people, reference=everyone)
on_maps = best["mean"].sel(over="images").to_pandas()
predicted = saliency(salience, people, ("nss", "auc", "sauc", "ig", "ll"), reference=everyone)
on_maps.loc["contrast model"] = predicted["value"].mean("image").to_pandas()
on_maps.round(3)

# %% [markdown]
# ## Inhibition of return is a difference from a baseline
# Do people avoid where they have just been? The index is below 0 where eyes return less often than
# a baseline expects, and each of the nine asks another question. Lag 2 is leaving and coming back.

# %%
more = select(everyone, image=sorted(set(everyone.image.values))[: 10 * N])
returns = all_baselines(more, n_permutations=100, n_resamples=300, seed=0)
with style():
    plot_baselines(returns)

# %%
pd.set_option("display.max_colwidth", None)
one_back = returns.isel(radius=0).sel(lag=2)
columns = ["number", "observed", "expected", "index", "low", "high", "asks"]
one_back.to_dataframe()[columns].round(3)

# %%
signs = {"fewer than": one_back["high"] < 0, "more than": one_back["low"] > 0}
for words, which in signs.items():
    print(f"One-back returns, {words} expected by:", ", ".join(one_back["baseline"].values[which]))

# %% [markdown]
# The same eyes show inhibition or facilitation of return, as the baseline has it: name it in every
# claim.
