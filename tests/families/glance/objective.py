import torch
from torch.nn import functional

from attnsci.data.ram_scenes import PRESETS, ClutteredScenes
from attnsci.training.digit_objective import DigitObjective
from glance.network import Glance


class GlanceObjective(DigitObjective):
    network = Glance

    def scenes(self, digits, seed):
        return ClutteredScenes(digits, PRESETS["mnist-28"], seed=seed, device=self.device)

    def losses(self, model, batch):
        logits = model(batch.stimuli.image.to(self.dtype))
        label = batch.stimuli.metadata["label"]
        accuracy = (logits.argmax(1) == label).float().mean().item()
        yield functional.cross_entropy(logits, label), {"accuracy": accuracy}

    @torch.no_grad()
    def evaluate(self, model, scenes):
        batch = scenes[:]
        right = model(batch.image).argmax(1) == batch.metadata["label"]
        return {"n": len(right), "accuracy": right.float().mean().item()}
