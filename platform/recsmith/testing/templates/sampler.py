"""Negatives by their rank in popularity: a Zipf-Mandelbrot law, which one very popular item cannot dominate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np
import torch

from recsmith.contracts.config import Config
from recsmith.contracts.domains import Float
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, PartSpec
from recsmith.contracts.training import Draw

if TYPE_CHECKING:
    from torch import Tensor

    from recsmith.contracts.data import LongArray


class MyNameConfig(Config):
    """Settings."""

    offset: Annotated[float, Float(1.0, 10_000.0, log=True)] = 50.0  # far beyond the catalogue's size: uniform


class MyName:
    """P(item of rank r, from 0) proportional to 1 / (r + offset), drawn with replacement; no item has chance 0."""

    def __init__(self, counts: LongArray, offset: float, device: str) -> None:
        ranks = np.empty(len(counts), np.int64)
        ranks[np.argsort(-counts, kind="stable")] = np.arange(len(counts))
        shares = 1.0 / (ranks + offset)
        shares /= shares.sum()
        self.cumulative = torch.from_numpy(np.cumsum(shares)).to(device)  # [I] float64
        self.log_shares = torch.from_numpy(np.log(shares)).to(device, torch.float32)  # [I]

    def draw(self, positives: Tensor, count: int, *, shared: bool, generator: torch.Generator) -> Draw:
        """`count` negatives, [n] for all positives [P] when `shared`, else [P, n]."""
        shape = (count,) if shared else (len(positives), count)
        points = torch.rand(shape, generator=generator, device=positives.device, dtype=torch.float64)
        items = torch.searchsorted(self.cumulative, points * self.cumulative[-1], right=True)
        items = items.clamp_max(len(self.cumulative) - 1)  # rounding may put a point on the very end
        log_count = float(np.log(count))
        return Draw(items, self.log_shares[items] + log_count, self.log_shares[positives] + log_count)


def build(config: MyNameConfig, context: BuildContext) -> MyName:
    """A sampler for the catalogue of the training rows."""
    return MyName(context.item_counts, config.offset, context.device)


@hookimpl
def provide_samplers() -> list[PartSpec]:
    """Offer the sampler."""
    return [
        PartSpec(
            name="my_name",
            api_version=1,
            config=MyNameConfig,
            source="Mandelbrot 1953, An Informational Theory of the Statistical Structure of Language",
            build=build,
        )
    ]
