from .analysis.selection import order_bias, summarise
from .analysis.statistics import bootstrap
from .analysis.tuning import describe_curves, tuning_curves
from .data.bars import BarScenes
from .data.digit_scenes import DigitScenes
from .data.digits import load_mnist
from .data.fetch import fetch_mnist
from .errors import AttnsciError
from .models.object_attention import ObjectAttention
from .models.zoo import load_model
from .papers.object_attention.measure import show_bars, show_scenes
from .papers.reproduce import reproduce
from .recording.recorder import Recorder, record
from .recording.recording import Recording, open_recording
from .recording.sites import Site
from .training.configs import ObjectAttentionTraining, TrainerConfig
from .training.sweep import run_sweep
from .training.trainer import Trainer

__all__ = [
    "AttnsciError",
    "BarScenes",
    "DigitScenes",
    "ObjectAttention",
    "ObjectAttentionTraining",
    "Recorder",
    "Recording",
    "Site",
    "Trainer",
    "TrainerConfig",
    "bootstrap",
    "describe_curves",
    "fetch_mnist",
    "load_mnist",
    "load_model",
    "open_recording",
    "order_bias",
    "record",
    "reproduce",
    "run_sweep",
    "show_bars",
    "show_scenes",
    "summarise",
    "tuning_curves",
]

__version__: str
