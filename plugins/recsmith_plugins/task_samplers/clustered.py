"""Users of every kind in every block, however few there are of a kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np
from scipy.cluster.vq import kmeans2

from recsmith.contracts.config import Config
from recsmith.contracts.domains import Int
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, PartSpec

if TYPE_CHECKING:
    from recsmith.contracts.data import FloatArray, LongArray
    from recsmith.contracts.tasks import TaskUsers

SAMPLE = 20_000  # users from whom the kinds are found


class ClusteredConfig(Config):
    """Settings."""

    clusters: Annotated[int, Int(2, 64, log=True)] = 8


class Clustered:
    """k-means of the users' mean inputs; each draw takes a kind at random, then one of its users.

    So rare tastes teach as often as common ones. The kinds are found anew when the vectors are others (each epoch).
    """

    def __init__(self, config: ClusteredConfig) -> None:
        self.clusters = config.clusters
        self.found: tuple[FloatArray, LongArray] | None = None

    def draw(self, users: TaskUsers, count: int, *, seed: int) -> LongArray:
        """Numbers of `count` users, [count]."""
        able = users.able
        kind = self._kinds(users.vectors())[able]
        rng = np.random.default_rng(seed)
        kinds = [able[kind == each] for each in np.unique(kind)]
        chosen = [kinds[each] for each in rng.integers(len(kinds), size=count)]
        return np.array([members[rng.integers(len(members))] for members in chosen], np.int64)

    def _kinds(self, vectors: FloatArray) -> LongArray:
        """The kind of each user, [U]; a function of the vectors alone."""
        if self.found is None or self.found[0] is not vectors:
            rng = np.random.default_rng(0)
            taken = vectors[rng.permutation(len(vectors))[:SAMPLE]].astype(np.float64)
            centres, _ = kmeans2(taken, min(self.clusters, len(taken)), minit="points", rng=rng)
            away = (
                0.5 * (centres**2).sum(axis=1) - vectors @ centres.T
            )  # [U, clusters], but for what all have in common
            self.found = vectors, away.argmin(axis=1).astype(np.int64)
        return self.found[1]


def build(config: ClusteredConfig, context: BuildContext) -> Clustered:
    """A task sampler."""
    return Clustered(config)


@hookimpl
def provide_task_samplers() -> list[PartSpec]:
    """Clustered tasks."""
    return [
        PartSpec(
            name="clustered",
            api_version=1,
            config=ClusteredConfig,
            source="Lloyd 1982, Least Squares Quantization in PCM, doi:10.1109/TIT.1982.1056489 (the clusters)",
            build=build,
        )
    ]
