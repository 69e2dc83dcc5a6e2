"""What everybody takes: the items with the most interactions, of all time or of late."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import numpy as np

from recsmith.contracts.config import Config
from recsmith.contracts.data import FloatArray, Interactions, Requests, State
from recsmith.contracts.domains import Categorical, Float
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, ModelSpec, Sizes

SECONDS_PER_DAY = 86_400.0


class PopularityConfig(Config):
    """Settings. A log without timestamps is counted over all time, whatever `weighting` says."""

    weighting: Annotated[str, Categorical(("all_time", "window", "half_life"))] = "all_time"
    days: Annotated[float, Float(1.0, 365.0, log=True)] = 30.0  # length of the window, or the half-life


def _counted(interactions: Interactions, config: PopularityConfig) -> FloatArray:
    """Weighted interactions per item, [I]: the last moment of the log is "now"."""
    stamps, now = interactions.histories.timestamp, interactions.last_timestamp
    if stamps is None or now is None or config.weighting == "all_time":
        return interactions.counts.astype(np.float32)
    age = (now - stamps) / SECONDS_PER_DAY
    weights = (age < config.days).astype(np.float64) if config.weighting == "window" else np.exp2(-age / config.days)
    return np.bincount(interactions.histories.item_num, weights, minlength=interactions.items).astype(np.float32)


@dataclass
class Popularity:
    """The same scores for everyone: weighted interactions per item.

    Memory: 32 bytes x interactions where moments weigh, 16 bytes x I, and 0.1 GB to score a chunk.
    """

    config: PopularityConfig
    counts: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))  # [I]

    def fit(self, interactions: Interactions) -> None:
        """Count the interactions of every item."""
        self.counts = _counted(interactions, self.config)

    def scores(self, requests: Requests) -> FloatArray:
        """The counts, once per request, [B, I]."""
        return np.tile(self.counts, (len(requests), 1))

    def state(self) -> State:
        """The counts."""
        return State(arrays={"counts": self.counts})

    def load(self, state: State) -> None:
        """Take the counts."""
        self.counts = state.arrays["counts"]


def build(config: PopularityConfig, context: BuildContext) -> Popularity:
    """An unfitted model."""
    return Popularity(config)


def memory(config: PopularityConfig, sizes: Sizes) -> float:
    """See `Popularity`."""
    weighed = 0.0 if config.weighting == "all_time" else 32.0
    return weighed * sizes.interactions + 16.0 * sizes.items + 0.1e9


@hookimpl
def provide_models() -> list[ModelSpec]:
    """Popularity."""
    spec = ModelSpec(
        name="popularity",
        api_version=1,
        config=PopularityConfig,
        offers=frozenset({"ranking", "new_users"}),
        source=(
            "Ji, Sun, Zhang and Li 2020, A Re-visit of the Popularity Baseline in Recommender Systems, "
            "doi:10.1145/3397271.3401233"
        ),
        build=build,
        training="closed_form",
        memory=memory,
    )
    return [spec]
