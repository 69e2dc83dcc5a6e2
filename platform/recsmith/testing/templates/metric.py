"""Rank-biased precision: what a reader finds who goes on to the next place with a fixed chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np

from recsmith.contracts.config import Config
from recsmith.contracts.domains import Float
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, MetricSpec

if TYPE_CHECKING:
    from recsmith.contracts.data import DoubleArray, RankedLists


class MyNameConfig(Config):
    """Settings. A study measures with the defaults; another value is another metric."""

    persistence: Annotated[float, Float(0.5, 0.95)] = 0.8  # chance to go on; 0.8 looks at 5 places on average


@dataclass(frozen=True)
class MyName:
    """Σ_{j≤K} (1 - p) p^(j-1) hit_j; no list of K places reaches more than 1 - p^K."""

    config: MyNameConfig

    def __call__(self, lists: RankedLists) -> DoubleArray:
        """The value of every list, [B]; 0 without a hit."""
        persistence = self.config.persistence
        weights = (1 - persistence) * persistence ** np.arange(lists.hits.shape[1])  # [K]
        return np.asarray(lists.hits @ weights, np.float64)


def build(config: MyNameConfig, context: BuildContext) -> MyName:
    """A metric."""
    return MyName(config)


@hookimpl
def provide_metrics() -> list[MetricSpec]:
    """Offer the metric; a plan asks for it with a cut-off, such as `my_name@10`."""
    return [
        MetricSpec(
            name="my_name",
            api_version=1,
            config=MyNameConfig,
            source="Moffat and Zobel 2008, Rank-Biased Precision for Measurement of Retrieval Effectiveness",
            build=build,
            judges="ranking",
            direction="maximize",
            formula="Σ_{j≤K} (1 - p) p^(j-1) hit_j, p = 0.8",
            within=(0.0, 1.0),
        )
    ]
