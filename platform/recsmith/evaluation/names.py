"""Names of metrics as plans write them, "ndcg@10" or "mae": what they mean and which way is better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from recsmith.contracts.config import Choice
from recsmith.wiring.names import metric_asked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recsmith.contracts.plugins import MetricSpec
    from recsmith.wiring.registry import Registry

USUAL_RANKING = (
    "ndcg@10",
    "recall@10",
    "precision@10",
    "hit_rate@10",
    "mrr@10",
    "map@10",
    "coverage@10",
    "gini@10",
    "novelty@10",
    "popularity_lift@10",
    "serendipity@10",
)  # intra-list diversity costs more than the ranking itself, so it is there for the asking
USUAL_RATING = ("mae", "rmse")


@dataclass(frozen=True, eq=False)
class Measure:
    """One metric as asked for: its spec, its cut-off, and the object that judges."""

    name: str
    spec: MetricSpec
    k: int  # 0 for ratings
    metric: Any  # RankingMetric, CatalogueMetric or RatingMetric, as `spec.judges` says


def measures(names: Sequence[str], registry: Registry) -> list[Measure]:
    """What each name means; a name that is given twice counts once.

    Raises:
        PlanError: a metric is unknown, or its cut-off is missing, superfluous or no whole number from 1.
    """
    return [_measure(name, registry) for name in dict.fromkeys(names)]


def direction(name: str, registry: Registry) -> Literal["maximize", "minimize"]:
    """Which way is better for the metric that `name` asks for.

    Raises:
        PlanError: as `measures`.
    """
    return _measure(name, registry).spec.direction


def usual_metrics(scenario: str, registry: Registry) -> tuple[str, ...]:
    """What is reported when a plan names no metrics; a usual metric that nobody provides is left out."""
    usual = USUAL_RATING if scenario == "rating" else USUAL_RANKING
    return tuple(name for name in usual if name.partition("@")[0] in registry.specs["metrics"])


def _measure(name: str, registry: Registry) -> Measure:
    spec, k = metric_asked(name, registry)
    metric = registry.build("metrics", Choice(name=spec.name), registry.context())
    return Measure(name, spec, k, metric)
