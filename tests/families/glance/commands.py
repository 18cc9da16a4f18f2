import dataclasses


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Measure how often a glance errs."""

    model: str
    """File of its weights."""
    n: int = 200
    """Digits to show."""

    def run(self) -> None:
        from attnsci.data.digits import load_mnist
        from attnsci.data.ram_scenes import PRESETS, ClutteredScenes
        from attnsci.data.stimuli import some
        from attnsci.experiments import error
        from attnsci.families.zoo import load_model

        scenes = some(ClutteredScenes(load_mnist("test"), PRESETS["mnist-28"]), self.n)
        print(error(load_model(self.model).model, scenes).estimates.to_string(index=False))
