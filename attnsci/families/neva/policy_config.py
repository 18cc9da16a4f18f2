"""The shape of NeVA's attention policy, as data: read without loading torch."""

import dataclasses
from typing import Literal, get_args

from attnsci.checks import check_option, check_positive
from attnsci.errors import InvalidInput

Head = Literal["soft-argmax", "tanh", "clamped"]


@dataclasses.dataclass(frozen=True)
class NeVAPolicyConfig:
    """A small convolutional network and the head that makes a position of its maps.

    The defaults are for photographs of 224 pixels.
    """

    head: Head = "soft-argmax"
    """The expected place under a softmax over the last map; a squashed linear layer ("tanh"); or
    the published code's "clamped" one, which may leave the image and then learns nothing more."""
    channels: int = 3
    """Of the images."""
    widths: tuple[int, ...] = (16, 32, 32, 32)
    """Channels of each layer."""
    strides: tuple[int, ...] = (4, 2, 2, 1)
    """Step of each layer."""
    size: tuple[int, int] = (224, 224)
    """Height and width at which images are seen by the network."""

    def __post_init__(self) -> None:
        check_option("head", self.head, get_args(Head))
        check_positive("channels", self.channels, integer=True)
        for name in ("widths", "strides", "size"):
            for value in getattr(self, name):
                check_positive(name, value, integer=True)
        if len(self.widths) != len(self.strides) or not self.widths:
            raise InvalidInput(
                f"widths and strides need one entry a layer; got {self.widths} and {self.strides}."
            )
        if len(self.size) != 2:
            raise InvalidInput(f"size must be (height, width); got {self.size}.")
        if min(self.grid) < 1:
            raise InvalidInput(
                f"An image of {self.size[0]}×{self.size[1]} is too small for steps of "
                f"{self.strides}."
            )

    @property
    def kernels(self) -> list[tuple[int, int, int]]:
        """Kernel, stride and padding of each layer.

        A head that points on a map needs odd kernels, whose cells lie where their input does; the
        published policy has even ones before its linear layer.
        """
        if self.head == "soft-argmax":
            sizes = [max(2 * stride - 1, 3) for stride in self.strides]
            return [(k, s, k // 2) for k, s in zip(sizes, self.strides, strict=True)]
        sizes = [2 * stride if stride > 1 else 3 for stride in self.strides]
        return [(k, s, (k - s) // 2) for k, s in zip(sizes, self.strides, strict=True)]

    @property
    def grid(self) -> tuple[int, int]:
        """Height and width of the last map for images of `size`."""
        height, width = self.size
        for kernel, stride, padding in self.kernels:
            height, width = (
                (side + 2 * padding - kernel) // stride + 1 for side in (height, width)
            )
        return height, width
