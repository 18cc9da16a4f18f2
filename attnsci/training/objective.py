"""What objectives of one network share: weights from the seed, step sizes, steps, the record."""

import abc
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from attnsci.seeds import torch_seed
from attnsci.training.schedule import warm_cosine
from attnsci.training.trainer import Metrics


class GradientObjective(abc.ABC):
    """Descends the losses that a family names, an optimiser step each.

    Attributes
    ----------
    network : class of nn.Module
        What learns, made from one configuration.
    score : str
        Metric of validation that picks the best weights; larger is better.
    forward_methods : tuple of str
        Methods of the network, other than ``forward``, that the losses go through.
    watch : mapping of str to sequence of str
        Panels of the run's figure, beside loss and score: title to metrics.
    weights : {"best", "last"}
        Which weights of a run are the ones to take.
    weights_stream : int
        Stream of the seed from which the weights are drawn.
    """

    network: ClassVar[type[nn.Module]]
    score: str = "accuracy"
    forward_methods: tuple[str, ...] = ()
    watch: ClassVar[Mapping[str, Sequence[str]]] = {}
    weights: ClassVar[str] = "best"
    weights_stream: ClassVar[int]

    config: Any
    """The recipe: ``model``, ``seed``, ``batch_size``, ``learning_rate`` …"""
    model: nn.Module

    def build(self, network: Callable[[Any], nn.Module], config: Any) -> nn.Module:
        """Return a network with weights of the recipe's seed; torch's generator stays as it is."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(torch_seed(self.config.seed, self.weights_stream))
            return network(config)

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.model.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Number format of the weights."""
        return next(self.model.parameters()).dtype

    @abc.abstractmethod
    def n_batches(self, epoch: int) -> int:
        """Return the number of batches of an epoch."""

    @abc.abstractmethod
    def batch(self, epoch: int, index: int, rank: int, world_size: int) -> Any:
        """Return this process's share of a batch, with ``step``, counted from 0."""

    @abc.abstractmethod
    def losses(self, model: Any, batch: Any) -> Iterator[tuple[Tensor, Metrics]]:
        """Yield what to descend, a step each, and what else to keep of it."""

    @abc.abstractmethod
    def validate(self, model: Any) -> Metrics:
        """Return metrics on stimuli that training never sees; ``n`` and the score among them."""

    def optimizer(self) -> torch.optim.Optimizer:
        """Return Adam."""
        return torch.optim.Adam(self.model.parameters(), lr=self.config.learning_rate, fused=True)

    def learning_rate(self, step: int) -> float:
        """Return the step size of an update, counted from 0."""
        config = self.config
        total = config.epochs * self.n_batches(0)
        return config.learning_rate * warm_cosine(step, total, config.warmup, config.final_rate)

    def before_step(self) -> Metrics:
        """Clip the gradients, where a recipe wants it; return what is worth keeping of them."""
        return {}

    def update(
        self, model: Any, batch: Any, optimizer: torch.optim.Optimizer, fabric: Fabric
    ) -> Iterator[Metrics]:
        """Take an optimiser step for each loss; yield its metrics.

        A group of parameters may have a ``share`` of the step size.
        """
        rate = self.learning_rate(batch.step)
        for group in optimizer.param_groups:
            group["lr"] = rate * group.get("share", 1.0)
        steps = self.losses(model, batch)
        while True:
            # Fabric does this itself only where it wraps the module, on several processes.
            with fabric.autocast():
                step = next(steps, None)
            if step is None:
                return
            loss, metrics = step
            optimizer.zero_grad()
            fabric.backward(loss)
            gradients = self.before_step()
            optimizer.step()
            yield {"loss": loss.item(), **metrics, **gradients, "learning_rate": rate}

    def provenance(self) -> dict[str, Any]:
        """Return what the weights and a resumed run must agree on."""
        return {
            "model": type(self.model).__name__,
            "config": self.model.config,
            "training": self.config,
            "seed": self.config.seed,
        }
