"""Where to compute: a device by name, refused at once if the machine has none."""

import warnings
from typing import TYPE_CHECKING, Any

from attnsci.checks import check_option
from attnsci.errors import InvalidInput

if TYPE_CHECKING:
    import torch
    from lightning_fabric import Fabric

DEVICES = ("auto", "cpu", "cuda", "mps")


def available_devices() -> list[str]:
    """Return the kinds of device that this machine has, the fastest first."""
    import torch

    found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    return [*(name for name, there in found.items() if there), "cpu"]


def pick_device(name: str = "auto") -> "torch.device":
    """Return the device called `name`; ``"auto"`` is the fastest that the machine has.

    Raises
    ------
    InvalidInput
        If there is no such kind of device, or not on this machine.

    Examples
    --------
    >>> pick_device("cpu")
    device(type='cpu')
    """
    import torch

    check_option("device", name, DEVICES)
    available = available_devices()
    if name not in ("auto", *available):
        raise InvalidInput(
            f"device {name!r} is not there: torch {torch.__version__} finds "
            f"{', '.join(available)} on this machine. Choose one of these, or auto."
        )
    return torch.device(available[0] if name == "auto" else name)


def computes_bfloat16(precision: str, device: "torch.device") -> bool:
    """Tell whether forwards run in bfloat16: where asked, or where the device is fast at it."""
    import torch

    if precision != "auto":
        return precision == "bfloat16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    if device.type != "cpu":
        return False
    # oneDNN also emulates bfloat16 on processors without it, which is slower than float32.
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def make_fabric(device: str = "cpu", devices: int = 1, precision: Any = "32-true") -> "Fabric":
    """Return Lightning's Fabric for `devices` of a kind, also where SLURM is installed.

    Where ``srun`` is on the PATH Lightning hints at it, though the command runs just as well
    without it, on a cluster's login node for one.
    """
    from lightning_fabric import Fabric

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The `srun` command is available")
        return Fabric(accelerator=device, devices=devices, precision=precision)
