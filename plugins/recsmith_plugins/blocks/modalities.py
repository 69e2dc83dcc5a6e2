"""Columns of which an item may lack some: left out in training, and weighed among the known ones."""

from __future__ import annotations

import torch
from torch import Tensor


def left(known: Tensor, rate: float) -> Tensor:
    """Which columns are left of the known ones [n, C], each dropped with probability `rate`; one stays at least.

    A model that never leans on one column copes with items that lack it (modality dropout, Neverova et al. 2016,
    https://arxiv.org/abs/1501.00102).
    """
    if rate == 0.0:
        return known
    draws = torch.rand(known.shape, device=known.device).masked_fill(~known, -1.0)
    best = draws == draws.max(dim=1, keepdim=True).values
    return known & ((draws >= rate) | best)


def shares(scores: Tensor, known: Tensor) -> Tensor:
    """Softmax of scores [n, C] over the known columns; zeros where none is."""
    masked = scores.masked_fill(~known, torch.finfo(scores.dtype).min)
    return masked.softmax(dim=1) * known
