"""A transposed convolution of an upsampled map, without ever making the upsampled map."""

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from attnsci.errors import InvalidInput

Upsampling = Literal["nearest", "bicubic"]


class UpsampledTransposedConv(nn.ConvTranspose2d):
    """``conv_transpose2d(upsample(z), weight)``, stride 1, for maps that were max-pooled by 2.

    A max-pooled map of size (h, w) came from one of size (2h, 2w), or one row or column more.
    Nearest-neighbour upsampling back to it repeats every cell twice, and cell 0 once more where
    a row or column was lost. Twice-repeated cells under a K × K kernel are the same as the cells
    themselves, two apart, under a (K+1) × (K+1) kernel: the sum of the kernel and itself shifted
    by one. That is a transposed convolution of stride 2 on a quarter of the cells; what remains
    is the lost row, column and corner. The result is exact, at about two fifths of the work.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the coarse map and of the result.
    kernel_size : int
        Side K of the kernel.
    upsampling : {"nearest", "bicubic"}
        Bicubic (``align_corners=False``) mixes cells and takes the direct way.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        upsampling: Upsampling = "nearest",
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size)
        self.upsampling = upsampling

    def forward(self, coarse: Tensor, size: tuple[int, int]) -> Tensor:  # type: ignore[override]
        """Return the transposed convolution of `coarse` upsampled to `size`.

        Parameters
        ----------
        coarse : Tensor, shape (N, C, h, w)
            A pooled map.
        size : (int, int)
            Height and width (2h or 2h+1, 2w or 2w+1) that it had before pooling.

        Returns
        -------
        Tensor, shape (N, C', height + K - 1, width + K - 1)

        Raises
        ------
        InvalidInput
            If nearest upsampling is asked for a size that pooling by 2 does not give `coarse` of.
        """
        if self.upsampling == "bicubic":
            fine = functional.interpolate(coarse, size, mode="bicubic", align_corners=False)
            return functional.conv_transpose2d(fine, self.weight, self.bias)
        return self._nearest(coarse, size)

    def _nearest(self, coarse: Tensor, size: tuple[int, int]) -> Tensor:
        lost_row, lost_column = size[0] - 2 * coarse.shape[2], size[1] - 2 * coarse.shape[3]
        if not {lost_row, lost_column} <= {0, 1}:
            raise InvalidInput(
                f"A map of {tuple(coarse.shape[2:])} was not pooled by 2 from one of {size}."
            )
        taps = self.kernel_size[0]
        tall, wide = _doubled(self.weight, dim=2), _doubled(self.weight, dim=3)
        out = functional.conv_transpose2d(coarse, _doubled(tall, dim=3), stride=2)
        out = functional.pad(out, (lost_column, 0, lost_row, 0))
        height, width = out.shape[2:]
        if lost_row:
            strip = functional.conv_transpose2d(coarse[:, :, :1], wide, stride=(1, 2))
            out = out + functional.pad(strip, (lost_column, 0, 0, height - taps))
        if lost_column:
            strip = functional.conv_transpose2d(coarse[..., :1], tall, stride=(2, 1))
            out = out + functional.pad(strip, (0, width - taps, lost_row, 0))
        if lost_row and lost_column:
            corner = functional.conv_transpose2d(coarse[..., :1, :1], self.weight)
            out = out + functional.pad(corner, (0, width - taps, 0, height - taps))
        return out if self.bias is None else out + self.bias[:, None, None]


def _doubled(weight: Tensor, dim: int) -> Tensor:
    """Return the kernel that acts on a cell as `weight` acts on the cell repeated along `dim`."""
    before = [0, 0, 0, 0]
    after = [0, 0, 0, 0]
    last = 2 * (3 - dim)  # functional.pad counts axes from the last, (left, right) each
    before[last], after[last + 1] = 1, 1
    return functional.pad(weight, before) + functional.pad(weight, after)
