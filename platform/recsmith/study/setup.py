"""What a study is before its first trial: the log read and split, the space resolved, the objective known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from recsmith.contracts.space import Fixed, Group, Parameter
from recsmith.data.dataset import load_dataset
from recsmith.data.feature_cache import FeatureCache
from recsmith.data.split import make_split
from recsmith.evaluation.names import direction, measures, usual_metrics
from recsmith.search.asha import Family
from recsmith.study.memory import lack_of_memory, memory_here, sizes_of
from recsmith.wiring.names import check_names
from recsmith.wiring.spaces import resolve_space, space_document

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from recsmith.contracts.data import Fold
    from recsmith.contracts.plan import Plan
    from recsmith.contracts.space import SearchSpace
    from recsmith.data.coded import Dataset
    from recsmith.data.split import Split
    from recsmith.wiring.registry import Registry

FEATURES = "features"  # in the study folder


@dataclass(frozen=True, eq=False)
class Setup:
    """Everything that the plan, the log and the plugins decide together."""

    plan: Plan
    registry: Registry
    dataset: Dataset
    split: Split
    space: SearchSpace
    direction: Literal["maximize", "minimize"]
    metrics: tuple[str, ...]  # the plan's aim first
    cache: FeatureCache | None = None  # of encoded features
    device: str = "cpu"


def set_up(plan: Plan, registry: Registry, *, frame: pd.DataFrame | None = None, folder: Path | None = None) -> Setup:
    """Read, split, resolve; every mistake in plan, data or space is found here, before anything is written.

    `folder` is the study's, where encoded features will be kept.

    Raises:
        RecsmithError: the plan, the log or the space cannot be used.
    """
    check_names(plan, registry)
    metrics = tuple(dict.fromkeys((plan.aim, *(plan.metrics or usual_metrics(plan.scenario, registry)))))
    measures(metrics, registry)
    document = space_document(plan.space)
    dataset = load_dataset(plan.data, registry, frame)
    split = make_split(dataset, plan, registry)
    fold = split.search
    space = resolve_space(
        registry,
        document,
        plan.overrides,
        scenario=plan.scenario,
        capabilities=fold.capabilities,
        columns=fold.columns,
        too_large=_too_large(plan, registry, fold),
    )
    cache = None if folder is None else FeatureCache(folder / FEATURES, plan.engine.cache_bytes)
    return Setup(plan, registry, dataset, split, space, direction(plan.aim, registry), metrics, cache, _device(plan))


def _too_large(plan: Plan, registry: Registry, fold: Fold) -> dict[str, str]:
    """The models that this machine has not the memory for, and why; a cluster is not asked."""
    if plan.engine.address is not None:
        return {}
    sizes, memory = sizes_of(fold), memory_here()
    models = registry.specs["models"].items()
    lacks = {name: lack_of_memory(spec, spec.config(), sizes, memory) for name, spec in models}  # type: ignore[arg-type]
    return {name: lack for name, lack in lacks.items() if lack is not None}


def families(space: SearchSpace, registry: Registry) -> list[Family]:
    """What the search must know of each model of the space: its cost, and its most epochs."""
    return [_family(name, group, registry) for name, group in space.root.options.items()]


def _family(name: str, group: Group, registry: Registry) -> Family:
    spec = registry.spec("models", name)
    training = group.fields.get("training")
    epochs = training.fields.get("epochs") if isinstance(training, Group) else None
    if spec.training == "closed_form" or not isinstance(epochs, (Fixed, Parameter)):
        return Family(name, spec.cost)
    most = epochs.value if isinstance(epochs, Fixed) else epochs.domain.corners()[-1]
    return Family(name, spec.cost, int(most))


def _device(plan: Plan) -> str:
    if plan.engine.gpus_per_trial == 0:
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
