"""Negatives of which a share are other positives of the batch, the rest drawn evenly from the catalogue."""

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


class MixedConfig(Config):
    """Settings of the mixed sampler."""

    in_batch: Annotated[float, Float(0.1, 0.9)] = 0.5  # share of the negatives that are positives of the batch


class Mixed:
    """In-batch positives are hard but only as varied as the batch; uniform draws reach the whole catalogue.

    A positive of a batch is taken to be item i with the training rows' frequency of i. Draws are with replacement.
    """

    def __init__(self, counts: LongArray, in_batch: float, device: str) -> None:
        self.items = len(counts)
        self.in_batch = in_batch
        share = np.asarray(counts, np.float64) / max(int(np.sum(counts)), 1)
        self.popularity = torch.from_numpy(share).to(device, torch.float32)

    def draw(self, positives: Tensor, count: int, *, shared: bool, generator: torch.Generator) -> Draw:
        """`count` negatives [n] for all positives [P], or [P, n]."""
        rows = () if shared else (len(positives),)
        inside = round(self.in_batch * count)
        device = positives.device
        picked = torch.randint(len(positives), (*rows, inside), generator=generator, device=device)
        even = torch.randint(self.items, (*rows, count - inside), generator=generator, device=device)
        drawn = torch.cat([positives[picked], even], -1)
        log_expected = (inside * self.popularity + (count - inside) / self.items).clamp_min(1e-30).log()
        return Draw(drawn, log_expected[drawn], log_expected[positives])


def _build(config: MixedConfig, context: BuildContext) -> Mixed:
    return Mixed(context.item_counts, config.in_batch, context.device)


@hookimpl
def provide_samplers() -> list[PartSpec]:
    """The mixed sampler."""
    return [
        PartSpec(
            name="mixed",
            api_version=1,
            config=MixedConfig,
            source="Yang et al. 2020, https://doi.org/10.1145/3366424.3386195",
            build=_build,
        )
    ]
