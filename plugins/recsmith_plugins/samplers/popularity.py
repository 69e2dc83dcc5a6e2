"""Negatives drawn in proportion to a power of their popularity."""

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


class PopularityConfig(Config):
    """Settings of the popularity sampler."""

    alpha: Annotated[float, Float(0.0, 1.0)] = 0.75  # 0: uniform, 1: as popular


class Popularity:
    """P(item) proportional to count ** alpha; draws are with replacement."""

    def __init__(self, counts: LongArray, alpha: float, device: str) -> None:
        weight = np.asarray(counts, np.float64) ** alpha
        share = weight / weight.sum() if weight.any() else np.full(len(weight), 1.0 / len(weight))
        self.cumulative = torch.from_numpy(np.cumsum(share)).to(device)
        self.log_share = torch.from_numpy(np.log(np.maximum(share, 1e-30))).to(device, torch.float32)

    def draw(self, positives: Tensor, count: int, *, shared: bool, generator: torch.Generator) -> Draw:
        """`count` negatives [n] for all positives [P], or [P, n]."""
        shape = (count,) if shared else (len(positives), count)
        point = torch.rand(shape, generator=generator, device=positives.device, dtype=torch.float64)
        drawn = torch.searchsorted(self.cumulative, point * self.cumulative[-1], right=True)
        log_count = float(np.log(count))
        return Draw(drawn, self.log_share[drawn] + log_count, self.log_share[positives] + log_count)


def _build(config: PopularityConfig, context: BuildContext) -> Popularity:
    return Popularity(context.item_counts, config.alpha, context.device)


@hookimpl
def provide_samplers() -> list[PartSpec]:
    """The popularity sampler."""
    return [
        PartSpec(
            name="popularity",
            api_version=1,
            config=PopularityConfig,
            source="Mikolov, Sutskever, Chen, Corrado and Dean 2013, https://arxiv.org/abs/1310.4546",
            build=_build,
        )
    ]
