"""A transposed convolution of an upsampled map, without ever making the upsampled map."""

import functools
from typing import Literal

import torch
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
        As ``functional.interpolate`` has them, bicubic with ``align_corners=False``.
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
        return (
            self._bicubic(coarse, size)
            if self.upsampling == "bicubic"
            else (self._nearest(coarse, size))
        )

    def _bicubic(self, coarse: Tensor, size: tuple[int, int]) -> Tensor:
        n, channels, height, width = coarse.shape
        outputs, taps = self.out_channels, self.kernel_size[0]
        rows = _bicubic_taps(height, size[0], taps).to(coarse)
        columns = _bicubic_taps(width, size[1], taps).to(coarse)
        # (row tap, column tap, output) innermost, so that both matrices meet their axis whole.
        mixing = self.weight.permute(0, 2, 3, 1).reshape(channels, -1)
        cells = coarse.permute(0, 2, 3, 1).reshape(-1, channels)
        mixed = (cells @ mixing).view(n, height, width, taps, -1).transpose(2, 3)
        tall = rows @ mixed.reshape(n, height * taps, -1)
        if outputs == 1:
            out = tall.view(-1, width * taps) @ columns.T
        else:
            out = columns @ tall.view(-1, width * taps, outputs)
        out = out.view(n, len(rows), len(columns), outputs).permute(0, 3, 1, 2)
        return out if self.bias is None else out + self.bias[:, None, None]

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


@functools.lru_cache(maxsize=64)
def _bicubic_taps(coarse: int, fine: int, taps: int) -> Tensor:
    """Return the matrix (fine + taps - 1, coarse · taps) that upsamples cells and shifts each tap.

    Column ``cell · taps + tap`` is what a cell gives to each place through that tap.
    """
    # A tensor made for inference could not be used in training later.
    with torch.inference_mode(False):
        cells = torch.eye(coarse, dtype=torch.float64)[None, :, :, None]
        fine_cells = functional.interpolate(cells, (fine, 1), mode="bicubic", align_corners=False)
        matrix = cells.new_zeros(fine + taps - 1, coarse, taps)
        for tap in range(taps):
            matrix[tap : tap + fine, :, tap] = fine_cells[0, :, :, 0].T
        return matrix.flatten(1)


def _doubled(weight: Tensor, dim: int) -> Tensor:
    """Return the kernel that acts on a cell as `weight` acts on the cell repeated along `dim`."""
    before = [0, 0, 0, 0]
    after = [0, 0, 0, 0]
    last = 2 * (3 - dim)  # functional.pad counts axes from the last, (left, right) each
    before[last], after[last + 1] = 1, 1
    return functional.pad(weight, before) + functional.pad(weight, after)
