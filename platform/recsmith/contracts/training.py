"""Gradient training: the settings that every gradient model shares, and what trainer, loss and model exchange."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, Protocol

from pydantic import Field

from recsmith.contracts.config import Choice, Config
from recsmith.contracts.domains import Categorical, Float, Int, OneOf

if TYPE_CHECKING:
    import torch
    from torch import Tensor


Precision = Literal["float32", "bfloat16", "float16"]


class Training(Config):
    """How a gradient model is learnt. A model holds it as its field `training` and may narrow the domains."""

    optimizer: Annotated[str, Categorical(("adamw", "adam", "adagrad"))] = "adamw"
    learning_rate: Annotated[float, Float(1e-4, 1e-1, log=True)] = 1e-3
    batch_size: Annotated[int, Int(16, 8192, log=True)] = 256  # examples of the model's own kind
    schedule: Annotated[Choice, OneOf("schedules")] = Choice(name="constant")
    loss: Annotated[Choice, OneOf("losses")] = Choice(
        name="sampled_softmax"
    )  # as the scenario asks: of lists or ratings
    l1: Annotated[float, Float(1e-9, 1e-3, log=True)] = 1e-9  # on all parameters, added to the loss
    weight_decay: Annotated[float, Float(1e-8, 1e-1, log=True)] = 1e-8  # decoupled in adamw, L2 in the others
    gradient_clip: Annotated[float, Float(0.1, 10.0, log=True)] = 5.0  # largest gradient norm
    weighted: Annotated[bool, Categorical((False, True))] = False  # a positive counts by the weight of its event
    patience: Annotated[int, Int(2, 10)] = 5  # epochs without a better validation score before the trial ends
    epochs: int = 60  # at most
    accumulate: Annotated[int, Field(ge=1)] = 1  # batches whose gradients make one step
    precision: Precision = "float32"  # what matrix products are computed in; parameters stay float32
    sparse: bool = False  # only table rows that a batch names get gradients, no decay and no l1: for large catalogues


@dataclass(frozen=True, eq=False)
class Batch:
    """One batch of training examples on the model's device. Which fields are filled is the spec's `examples`.

    sequences: `user`, `inputs`, `targets`, and `times` where the log has timestamps; position t of `inputs` predicts
    position t of `targets`.    pairs: `user`, `positives`, and `values` where the log has ratings.
    user_rows: `user`, `rows`. (tasks are blocks of another kind: `recsmith.contracts.tasks`.)
    `positives` are the P items to be predicted, in the order in which the model's `queries` come.
    """

    user: Tensor  # [B] int64
    positives: Tensor  # [P] int64
    inputs: Tensor | None = None  # [B, T] int64, item i is i + 1; 0 opens every history and pads on the right
    targets: Tensor | None = None  # [B, T] int64, -1 where there is nothing to predict
    rows: Tensor | None = None  # [B, I] float32
    position_user: Tensor | None = None  # [P] int64: the example, 0 to B - 1, of each positive
    times: Tensor | None = None  # [B, T] int64: Unix seconds of each of `inputs`; where that is 0, of its target
    values: Tensor | None = None  # [P] float32: the rating of each positive
    weights: Tensor | None = None  # [P] float32: the weight of each positive's event, where the log states any


@dataclass(frozen=True, eq=False)
class Draw:
    """Negatives that a sampler drew, and how likely it was to draw them.

    `items` is [n] when the same negatives serve every positive, else [P, n]. The logs of the expected counts correct a
    sampled softmax (logQ correction, Bengio and Senecal 2008).
    """

    items: Tensor  # [n] or [P, n] int64
    log_expected: Tensor  # as items: log of the expected number of draws of that item
    positive_log_expected: Tensor  # [P]: the same for the positives


class Sampler(Protocol):
    """Draws negatives for positives."""

    def draw(self, positives: Tensor, count: int, *, shared: bool, generator: torch.Generator) -> Draw:
        """Draw `count` negatives, once for all positives when `shared`, else for each of them."""
        ...


class Loss(Protocol):
    """Judges the logits of positives against the logits of other items. Lower is better.

    `negatives` is how many to draw per positive (or in all, when `shared`), 0 when `others` must be the logits of the
    whole catalogue, positive included. Among drawn `others` the trainer has set accidental hits to -inf before. The
    loss of a positive does not depend on the rest of the batch, since the trainer may cut a batch up.
    """

    negatives: int
    shared: bool
    sampler: Sampler | None

    def __call__(self, positive: Tensor, others: Tensor, draw: Draw | None) -> Tensor:
        """Loss of each positive, [P], from `positive` [P] and `others` [P, n] (or [P, I])."""
        ...


class RatingLoss(Protocol):
    """Judges predicted ratings; its spec offers "ratings". Lower is better."""

    def __call__(self, predicted: Tensor, ratings: Tensor) -> Tensor:
        """Loss of each rating, [P], from `predicted` [P] and the true `ratings` [P]."""
        ...


class Schedule(Protocol):
    """A learning-rate schedule: a factor on the base rate."""

    def factor(self, progress: float) -> float:
        """The factor at `progress`, the share of the planned steps that are done, from 0 to 1."""
        ...

    def observe(self, score: float) -> None:
        """Hear the validation score after an epoch, higher is better (reduce-on-plateau needs it)."""
        ...

    def state(self) -> dict[str, float]:
        """What a checkpoint must keep."""
        ...

    def load(self, state: dict[str, float]) -> None:
        """Continue from a kept state."""
        ...
