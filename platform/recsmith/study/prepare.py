"""What every use of a configuration needs before it learns: its settings, its features, its built model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from recsmith.contracts.config import Choice, Config
from recsmith.contracts.content import wanted_content
from recsmith.contracts.data import State
from recsmith.contracts.errors import DataError
from recsmith.contracts.plugins import RatingScale
from recsmith.data.features import encode
from recsmith.inference.adapt import AdaptedModel
from recsmith.study.memory import lack_of_memory, memory_here, sizes_of
from recsmith.training.loop import EpochDone, epochs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from recsmith.contracts.content import Table
    from recsmith.contracts.data import Fold, Interactions
    from recsmith.contracts.models import Model
    from recsmith.contracts.plugins import BuildContext, ModelSpec
    from recsmith.contracts.training import Training
    from recsmith.data.feature_cache import FeatureCache
    from recsmith.data.features import Encoded
    from recsmith.inference.adapt import AdaptableModel
    from recsmith.wiring.registry import Registry


@dataclass(frozen=True, eq=False)
class Prepared:
    """A configuration made ready to learn from a fold."""

    spec: ModelSpec
    config: Config
    context: BuildContext
    model: Any  # ClosedFormModel or GradientModel, as the spec says
    serving: Model  # the model, with its meta-learner around it where it has one
    content: Mapping[Table, Encoded]  # the encoded columns of items and users, where the settings ask for them

    @property
    def training(self) -> Training | None:
        """How a gradient model is learnt; None for a closed form."""
        return self.config.training if self.spec.training == "gradient" else None  # type: ignore[attr-defined]


def prepare(
    configuration: Choice,
    fold: Fold,
    registry: Registry,
    *,
    seed: int,
    device: str = "cpu",
    cache: FeatureCache | None = None,
) -> Prepared:
    """Encode what the configuration asks for and build its model, untrained.

    Args:
        configuration: the model and all its parameters.
        fold: the rows to learn from.
        registry: the plugins in play.
        seed: of everything random in the model and its training.
        device: a torch device.
        cache: of encoded features; None computes them anew.

    Raises:
        MemoryError: by its own word the model would not fit into the memory of this machine.
    """
    config = _fitting(configuration, fold, registry, {})
    content = {table: encode(fold, wanted, registry, cache) for table, wanted in wanted_content(config).items()}
    return built(configuration, fold, registry, content, seed=seed, device=device)


def built(
    configuration: Choice,
    fold: Fold,
    registry: Registry,
    content: Mapping[Table, Encoded],
    *,
    seed: int,
    device: str = "cpu",
) -> Prepared:
    """As `prepare`, of columns that are encoded already."""
    spec: ModelSpec = registry.spec("models", configuration.name)
    config = _fitting(configuration, fold, registry, content)
    context = registry.context(
        item_counts=fold.train.counts,
        users=fold.train.users,
        seed=seed,
        device=device,
        item_content=content["items"].content if "items" in content else None,
        user_content=content["users"].content if "users" in content else None,
        candidates=fold.candidates,
        ratings=_ratings(config, fold, registry),
    )
    model, serving = build(spec, config, context)
    return Prepared(spec, config, context, model, serving, content)


def build(spec: ModelSpec, config: Config, context: BuildContext) -> tuple[Any, Model]:
    """The untrained model, as what learns and as what serves: with its meta-learner around it, where it has one."""
    model = spec.build(config, context)
    learner = getattr(config, "meta_learner", None)
    if not isinstance(learner, Choice):
        return model, model
    adapted = AdaptedModel(
        cast("AdaptableModel", model), context.part("meta_learners", learner), context, getattr(config, "tasks", None)
    )
    return adapted if spec.examples == "tasks" else model, adapted


def _fitting(configuration: Choice, fold: Fold, registry: Registry, content: Mapping[Table, Encoded]) -> Config:
    """The settings, once they are known to fit into memory, as far as the columns are encoded."""
    spec: ModelSpec = registry.spec("models", configuration.name)
    config = registry.config("models", configuration)
    if (lack := lack_of_memory(spec, config, sizes_of(fold, content), memory_here())) is not None:
        raise MemoryError(f"{spec.name}: {lack}")
    return config


def _ratings(config: Config, fold: Fold, registry: Registry) -> RatingScale | None:
    """The scale of the training ratings, where the settings' loss judges ratings.

    Raises:
        DataError: it does, and there are none.
    """
    training = getattr(config, "training", None)
    if training is None or "ratings" not in registry.spec("losses", training.loss.name).offers:
        return None
    values = fold.train.histories.value
    if values is None or not len(values):
        raise DataError(
            f"{training.loss.name}: the log has no ratings. Name its rating column as `value`, or take another loss."
        )
    return RatingScale(float(values.mean(dtype=float)), float(values.min()), float(values.max()))


def learn(
    prepared: Prepared,
    interactions: Interactions,
    *,
    resume: State | None = None,
    factors: Sequence[Sequence[float]] | None = None,
) -> Iterator[EpochDone]:
    """Learn on the training rows; the model is usable after every yield. A closed form yields once.

    Args:
        prepared: its model is changed in place.
        interactions: the training rows.
        resume: the trainer's state after the last epoch that was done; the model was loaded before.
        factors: recorded learning-rate factors of each epoch to be replayed: exactly so many epochs.
    """
    examples = prepared.spec.examples
    if prepared.training is None or examples is None:
        prepared.model.fit(interactions)
        yield EpochDone(1, None, (), lambda _: None, State)
        return
    yield from epochs(
        prepared.model,
        prepared.training,
        examples,
        interactions,
        prepared.context,
        resume=resume,
        factors=factors,
    )
