from ._torchvision import load_torchvision
from .analysis.eccentricity import accuracy_map
from .analysis.inhibition import all_baselines
from .analysis.selection import order_bias, summarise
from .analysis.tuning import describe_curves, tuning_curves
from .data.bars import BarScenes
from .data.coco import load_coco_pairs
from .data.digit_scenes import DigitScenes
from .data.digits import load_mnist
from .data.fetch import fetch_mnist
from .data.gaze import fetch_osie, load_eyecrowd, load_osie
from .data.images import load_images, read_images
from .data.noisy_scenes import noisy_digits
from .data.stimuli import some
from .errors import AttnsciError
from .experiments.outcome import Outcome
from .families.neva.network import NeVA
from .families.object_attention.measure import show_bars, show_scenes
from .families.object_attention.network import ObjectAttention
from .families.object_attention.recipes import ObjectAttentionTraining
from .families.zoo import load_model
from .geometry import Viewing
from .recording.recorder import Recorder, record
from .recording.recording import Recording, open_recording
from .recording.responses import classifier, collect
from .recording.sites import Site
from .reproduction import reproduce
from .scanpaths.comparison import compare
from .scanpaths.formats.io import read_scanpaths, write_scanpaths
from .scanpaths.pairs import similarity
from .sensors.foveation import Fovea
from .statistics.estimates import bootstrap
from .training.configs import TrainerConfig
from .training.sweep import run_sweep
from .training.trainer import Trainer

__all__ = [
    "AttnsciError",
    "BarScenes",
    "DigitScenes",
    "Fovea",
    "NeVA",
    "ObjectAttention",
    "ObjectAttentionTraining",
    "Outcome",
    "Recorder",
    "Recording",
    "Site",
    "Trainer",
    "TrainerConfig",
    "Viewing",
    "accuracy_map",
    "all_baselines",
    "bootstrap",
    "classifier",
    "collect",
    "compare",
    "describe_curves",
    "fetch_mnist",
    "fetch_osie",
    "load_coco_pairs",
    "load_eyecrowd",
    "load_images",
    "load_mnist",
    "load_model",
    "load_osie",
    "load_torchvision",
    "noisy_digits",
    "open_recording",
    "order_bias",
    "read_images",
    "read_scanpaths",
    "record",
    "reproduce",
    "run_sweep",
    "show_bars",
    "show_scenes",
    "similarity",
    "some",
    "summarise",
    "tuning_curves",
    "write_scanpaths",
]

__version__: str
