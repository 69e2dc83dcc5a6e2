"""What a model promises: the protocols that every recommender and those of each way of learning keep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch
    from torch import Tensor

    from recsmith.contracts.data import FloatArray, Interactions, Requests, State
    from recsmith.contracts.training import Batch


class Model(Protocol):
    """Scores the catalogue for a batch of requests."""

    def scores(self, requests: Requests) -> FloatArray:
        """Scores of all items, [B, I] float32, finite; higher is better. In the scenario rating: predicted ratings.

        Must serve a request with an empty history, and one whose user number is ABSENT where the spec offers
        "new_users".
        """
        ...

    def state(self) -> State:
        """Everything `load` needs to give bit-equal scores."""
        ...

    def load(self, state: State) -> None:
        """Become the model whose state this is; the model was built with the same settings and sizes."""
        ...


class ClosedFormModel(Model, Protocol):
    """A model that is fitted in one go."""

    def fit(self, interactions: Interactions) -> None:
        """Learn from the training rows."""
        ...


class GradientModel(Model, Protocol):
    """A model that is learnt by gradient steps; its settings hold a `training: Training`."""

    module: torch.nn.Module

    def queries(self, batch: Batch) -> Tensor:
        """One vector for each of the batch's positives, [P, D]."""
        ...

    def logits(self, queries: Tensor, items: Tensor | None) -> Tensor:
        """Logits of `items` for `queries` [P, D]: items [n] -> [P, n]; items [P, n] -> [P, n]; None -> [P, I].

        Where the loss judges ratings (`BuildContext.ratings` is there) these are predicted ratings.
        """
        ...


class GraphModel(GradientModel, Protocol):
    """A gradient model that looks at the training rows as a whole: a graph, histories of pairs' users."""

    def graph(self, interactions: Interactions) -> None:
        """Hear the training rows, once, before the first epoch. It is not called on a model that serves."""
        ...


class RegularisedModel(GradientModel, Protocol):
    """A gradient model that adds a term of its own to the loss."""

    def regularised(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What `queries` gives, [P, D], and the term, a scalar summed over the batch as losses are over positives."""
        ...


class PropagatedModel(GradientModel, Protocol):
    """A gradient model of pairs whose users and items get their vectors together, by a pass over the whole graph.

    In training logits are the products of the two; `queries` and `logits` are not asked.
    """

    def propagate(self) -> tuple[Tensor, Tensor]:
        """The vectors of all users [U, D] and of all items [I, D]."""
        ...


class SequenceModel(GradientModel, Protocol):
    """A gradient model whose examples are sequences."""

    max_length: int  # T at most: longer histories are cut into windows; where there is no order, shuffled anew


class MaskedModel(SequenceModel, Protocol):
    """A sequence model that learns to fill in what it hides itself, not to tell what comes next."""

    def masked(self, batch: Batch) -> Batch:
        """The batch to be learnt instead: its `positives` are those at the hidden places. Random from torch's state."""
        ...


class StagedModel(GradientModel, Protocol):
    """A gradient model that does something else in one epoch than in another (annealing, alternating)."""

    def begin(self, epoch: int, total: int) -> None:
        """Hear that epoch `epoch` of `total` begins, from 1. What follows is a function of these and of the state."""
        ...


class PacedModel(GradientModel, Protocol):
    """A gradient model of which some parts learn at their own pace."""

    def pace(self, epoch: int) -> Mapping[str, float]:
        """A factor on the learning rate by the beginning of parameters' names, in this epoch (from 1).

        0 freezes the part for the epoch. The names are the same in every epoch, and none begins with another.
        """
        ...
