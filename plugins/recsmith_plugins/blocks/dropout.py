"""Dropout whose masks cost a third of torch's on a CPU: 16 random bits for each element instead of a float."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout

LEVELS = 1 << 16


class Dropout(nn.Module):
    """Zeroes each element with probability `rate` (to the nearest 1/65536) in training and scales up the others.

    Draws from torch's global generator.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.dropped = round(rate * LEVELS)

    def forward(self, x: Tensor) -> Tensor:
        """Any shape to the same shape."""
        if not self.training or self.dropped == 0:
            return x
        if x.device.type != "cpu":
            return dropout(x, self.dropped / LEVELS)
        words = torch.empty((x.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
        kept = words.view(torch.int16)[: x.numel()].view(x.shape) >= self.dropped - LEVELS // 2
        return x * kept.to(x.dtype).mul_(LEVELS / (LEVELS - self.dropped))
