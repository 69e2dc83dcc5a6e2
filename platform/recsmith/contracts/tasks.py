"""Few-shot tasks: what platform, model, meta-learner and task sampler exchange to adapt to a user's few interactions.

A task is one user: adapt on the support, judge on the query. Letters: B tasks, S shots of a support, Q of a query, F
numbers that a model knows of an item.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Protocol

from recsmith.contracts.config import Choice, Config
from recsmith.contracts.domains import Categorical, Float, Int, OneOf

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from recsmith.contracts.data import FloatArray, LongArray

Params = Mapping[str, "Tensor"]
Score = Callable[[Params, "Tensor"], "Tensor"]  # one user's parameters, inputs [n, F] -> scores [n]


class Tasks(Config):
    """How tasks are made of the training users' histories. A model that learns from tasks holds it as `tasks`.

    A support is the `first` interactions of a user, a `window` of them, or drawn at `random`; its query is drawn from
    what comes later (at random: from all others). Its size is `fixed`, or `mixed`: from 0 up, small ones more often.
    To rank, a support also holds `background` items drawn once for all users, each with the value 0, which together
    weigh as much as `background_weight` interactions.
    """

    sampler: Annotated[Choice, OneOf("task_samplers")] = Choice(name="random")
    support: Annotated[int, Int(1, 64, log=True)] = 10  # interactions at most
    size: Annotated[str, Categorical(("mixed", "fixed"))] = "mixed"
    taken: Annotated[str, Categorical(("first", "window", "random"))] = "random"
    query: Annotated[int, Int(4, 64, log=True)] = 16  # interactions at most
    background: Annotated[int, Int(16, 1024, log=True)] = 128
    background_weight: Annotated[float, Float(0.1, 100.0, log=True)] = 4.0


@dataclass(frozen=True, eq=False)
class Shots:
    """A few labelled items of one user: the support or the query of a task. Under `vmap`, those of one of many.

    `values` are ratings, and scores are to come near them; or, where `ranks`, 1 for what the user took and 0 for
    others, and scores are the logits of that.
    """

    inputs: Tensor  # [S, F] float32: what the model knows of each item
    values: Tensor  # [S] float32
    weight: Tensor  # [S] float32: how much each counts; 0 is padding
    ranks: bool = False

    @property
    def taken(self) -> Tensor:
        """Which of them are interactions: neither padding nor, where scores are logits, background; [S] bool."""
        return (self.weight > 0) & (self.values > 0) if self.ranks else self.weight > 0

    def lacks(self, scores: Tensor) -> Tensor:
        """What `scores` [S] fall short of: values less scores, or, of logits, less probabilities."""
        return self.values - (scores.sigmoid() if self.ranks else scores)

    def error(self, scores: Tensor) -> Tensor:
        """How far `scores` [S] are from the values: the weighted mean of squared, or logistic, losses; 0 of nothing."""
        if self.ranks:  # cross-entropy of a logit, written so that no exponential overflows
            losses = scores.clamp_min(0) + scores.abs().neg().exp().log1p() - scores * self.values
        else:
            losses = (scores - self.values).square()
        return (losses * self.weight).sum() / self.weight.sum().clamp_min(1e-6)


class Adaptable(Protocol):
    """A model with a head that a meta-learner can adapt to one user.

    A parameter of the head belongs to the group before the first dot of its name: "output" (scores are linear in it),
    "context" (a vector of the user that the model reads as one more input), or any other. One that was trained on
    tasks learns through `head` and `inputs`, which therefore keep their gradients.
    """

    def inputs(self, items: Tensor | None) -> Tensor:
        """What the head needs to know of `items` [n], or of all: [n, F] or [I, F]."""
        ...

    def head(self) -> Params:
        """The parameters that a new user starts from."""
        ...

    def head_score(self, params: Params, inputs: Tensor) -> Tensor:
        """Scores [n] of `inputs` [n, F] under one user's parameters: pure and differentiable, used under `vmap`."""
        ...


class MetaLearner(Protocol):
    """Adapts a head to one user from few interactions.

    It may say more, where it can: `adapts`, the group of the head's parameters that it wants to change (all, where it
    says nothing); `begin(epoch, total)`, that hears of the beginning of each epoch, from 1; and the rest of
    `LearnedMetaLearner` and `OuterMetaLearner`.
    """

    def adapt(self, score: Score, params: Params, support: Shots) -> Params:
        """The parameters for one user, named and shaped as `params`.

        A pure function; the platform runs it over many users by `vmap`, and through it, in training, gradients flow
        back to `params` and to the inputs. Where its module is in training mode it may be random.
        """
        ...


class LearnedMetaLearner(MetaLearner, Protocol):
    """A meta-learner with parameters of its own (rates, noise, an encoder), which learn in the outer loop."""

    def learns(self, params: Params, width: int) -> torch.nn.Module:
        """Make them for a head of which `params` are adapted and inputs of `width` F: asked once, before `adapt`.

        The platform trains the module, keeps its state with the model's, and says whether it is in training.
        """
        ...


class OuterMetaLearner(MetaLearner, Protocol):
    """A meta-learner whose outer loss is not the mean loss of the queries after adaptation."""

    def outer(self, block: TaskBlock) -> Tensor:
        """What is minimised for a block of tasks: a scalar, in units of one task's mean loss."""
        ...


class TaskBlock(Protocol):
    """A block of B tasks, as the outer loop sees it."""

    start: Params  # the adapted parameters before adaptation: one set for all tasks, or, with a leading B, one for each
    support: Shots  # [B, S, F] and [B, S]
    query: Shots  # [B, Q, F] and [B, Q]

    def adapted(self) -> Params:
        """The learner's answer for every task, with a leading B; the start where a support is empty."""
        ...

    def read(self, function: Callable[[Tensor, Shots], Tensor]) -> Tensor:
        """`function(scores [S], support)` of every task, under the parameters before adaptation: [B, ...]."""
        ...

    def query_loss(self, params: Params) -> Tensor:
        """The training loss, the mean over each query, [B], under parameters with a leading B or without."""
        ...


@dataclass(frozen=True, eq=False)
class TaskUsers:
    """What a task sampler may know of the U training users."""

    lengths: LongArray  # [U] interactions
    vectors: Callable[[], FloatArray]  # [U, F]: means of the inputs of what they took, at the beginning of the epoch
    losses: Callable[[], FloatArray]  # [U]: of a query of theirs after adaptation, at the beginning of the epoch

    @property
    def able(self) -> LongArray:
        """Numbers of those who can be a task: with two interactions, or, where nobody has two, with one."""
        found: LongArray = (self.lengths >= min(2, int(self.lengths.max(initial=0)))).nonzero()[0]
        return found


class TaskSampler(Protocol):
    """Draws the users whose few-shot tasks make the next block of a meta-learner."""

    def draw(self, users: TaskUsers, count: int, *, seed: int) -> LongArray:
        """Numbers of `count` of the `able` users, [count] int64.

        Where `count` is larger than their number some come more than once. Nothing but the arguments and `seed` has a
        say.
        """
        ...
