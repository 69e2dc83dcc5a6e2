"""New users through a meta-learner: a model whose head is adapted from the request's own history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from recsmith.contracts.data import ABSENT
from recsmith.contracts.models import Adaptable, Model
from recsmith.contracts.plugins import Support

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from recsmith.contracts.data import FloatArray, Histories, LongArray, Requests, State
    from recsmith.contracts.plugins import MetaLearner

SUPPORT = 200  # S at most: the most recent interactions that a user is adapted from
USERS_AT_ONCE = 256  # users whose heads are adapted in one vmap


class AdaptableModel(Model, Adaptable, Protocol):
    """A model with a head that can be adapted."""


def with_adaptation(model: AdaptableModel, meta_learner: MetaLearner) -> Model:
    """The same model, but users that training has not seen are scored by a head adapted to their history.

    A new user without history is scored by the head that every new user starts from. State is the model's own.
    """
    return _Adapted(model, meta_learner)


@dataclass(frozen=True, eq=False)
class _Adapted:
    model: AdaptableModel
    meta_learner: MetaLearner

    def scores(self, requests: Requests) -> FloatArray:
        """Scores [B, I]: of the model for known users, of the adapted head for new ones."""
        new = requests.user_num == ABSENT
        if not new.any():
            return self.model.scores(requests)
        chunks = requests.take(np.flatnonzero(new)).chunks(USERS_AT_ONCE)
        adapted = np.concatenate([_adapted_scores(self.model, self.meta_learner, chunk.histories) for chunk in chunks])
        if new.all():
            return adapted
        scores = np.empty((len(requests), adapted.shape[1]), np.float32)
        scores[new] = adapted
        scores[~new] = self.model.scores(requests.take(np.flatnonzero(~new)))
        return scores

    def state(self) -> State:
        """The state of the model itself."""
        return self.model.state()

    def load(self, state: State) -> None:
        """Load the model itself."""
        self.model.load(state)


def _adapted_scores(model: AdaptableModel, meta_learner: MetaLearner, histories: Histories) -> FloatArray:
    """Scores [B, I] by heads adapted to B new users; the prior head's own where the history is empty."""
    import torch  # here, so that a server whose model has no head to adapt needs no torch

    prior = model.head()
    device = next(iter(prior.values())).device

    def adapt(items: Tensor, values: Tensor, mask: Tensor) -> Mapping[str, Tensor]:
        return meta_learner.adapt(model.head_score, prior, Support(items, values, mask))

    with torch.no_grad():
        items, values, mask = (torch.from_numpy(part).to(device) for part in _supports(histories))
        adapted = torch.func.vmap(adapt)(items, values, mask)
        known = mask.any(dim=1)  # [B]
        params = {
            name: torch.where(known.view(-1, *[1] * start.dim()), adapted[name], start) for name, start in prior.items()
        }
        scores: FloatArray = model.head_scores(params).to("cpu", torch.float32).numpy()
    return scores


def _supports(histories: Histories) -> tuple[LongArray, FloatArray, FloatArray]:
    """Items, values and mask of the most recent interactions, [B, S] each.

    S is fixed, so that nobody's scores depend on how long the histories of other users in the batch are.
    """
    recent = histories.last(SUPPORT)
    rows = recent.rows
    column = np.arange(len(rows)) - recent.indptr[rows]
    items = np.zeros((len(recent), SUPPORT), np.int64)
    values = np.zeros((len(recent), SUPPORT), np.float32)
    mask = np.zeros((len(recent), SUPPORT), np.float32)
    items[rows, column] = recent.item_num
    values[rows, column] = 1.0 if recent.value is None else recent.value
    mask[rows, column] = 1.0
    return items, values, mask
