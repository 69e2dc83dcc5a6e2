"""Users through a meta-learner: a model whose head is adapted to the interactions that a request brings."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from recsmith.contracts.data import ABSENT, State
from recsmith.contracts.errors import PluginError
from recsmith.contracts.models import Model
from recsmith.contracts.plugins import RatingScale
from recsmith.contracts.tasks import Adaptable, Shots

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from recsmith.contracts.data import FloatArray, Histories, Interactions, Requests
    from recsmith.contracts.plugins import BuildContext
    from recsmith.contracts.tasks import MetaLearner, Params, Tasks

SUPPORT = 200  # S at most: the most recent interactions that a user is adapted from
USERS_AT_ONCE = 256  # users whose heads are adapted in one vmap
CELLS = 1 << 23  # numbers of inputs that the heads of several users look at in one go
LEARNER, BACKGROUND, RATINGS = "meta_learner.", "tasks.background", "tasks.ratings"  # in the state, beside the model's


class AdaptableModel(Model, Adaptable, Protocol):
    """A model with a head that can be adapted."""


@dataclass(frozen=True, eq=False)
class Head:
    """The head of a model, as one meta-learner sees it: what it adapts, and what stays as it is."""

    model: Adaptable
    start: Params
    rest: Params

    @classmethod
    def of(cls, model: Adaptable, learner: MetaLearner) -> Head:
        """The head as it is now; where it has gradients they are kept.

        Raises:
            PluginError: the meta-learner adapts a group of parameters that the head does not have.
        """
        head, wanted = model.head(), getattr(learner, "adapts", "all")
        chosen = {name: tensor for name, tensor in head.items() if wanted in ("all", name.partition(".")[0])}
        if not chosen:
            groups = ", ".join(sorted({name.partition(".")[0] for name in head}))
            raise PluginError(f"{type(learner).__name__} adapts {wanted!r}, and the model's head has only: {groups}.")
        return cls(model, chosen, {name: tensor for name, tensor in head.items() if name not in chosen})

    def score(self, params: Params, inputs: Tensor) -> Tensor:
        """Scores [n] of `inputs` [n, F] by one user's parameters."""
        return self.model.head_score({**self.rest, **params}, inputs)

    def scores(self, params: Params, inputs: Tensor) -> Tensor:
        """Scores [B, n] of `inputs` [n, F] or [B, n, F], by `params` with a leading B, or by one set for all.

        Where neither has a B, they are [n].
        """
        name, first = next(iter(params.items()))
        dims = (0 if first.ndim > self.start[name].ndim else None, 0 if inputs.ndim == 3 else None)  # noqa: PLR2004
        if dims == (None, None):
            return self.score(params, inputs)
        found: Tensor = torch.func.vmap(self.score, in_dims=dims, randomness="different")(dict(params), inputs)
        return found

    def adapted(self, learner: MetaLearner, support: Shots) -> Params:
        """Parameters with a leading B, adapted to supports [B, S]; the start where a support is empty."""

        def one(inputs: Tensor, values: Tensor, weight: Tensor) -> Params:
            return dict(learner.adapt(self.score, self.start, Shots(inputs, values, weight, ranks=support.ranks)))

        adapted = torch.func.vmap(one, randomness="different")(support.inputs, support.values, support.weight)
        known = support.taken.any(dim=1)  # [B]
        return {
            name: torch.where(known.view(-1, *[1] * start.ndim), adapted[name], start)
            for name, start in self.start.items()
        }


class AdaptedModel:
    """A model that scores users by a head adapted to their history.

    Where the model learnt from tasks that is every user; else those that training has not seen, and known ones are
    scored by the model. A user without history is scored by the head that every user starts from. The state is the
    model's, what its meta-learner has learnt and, where it learnt from tasks to rank, the background items.

    `module`, for training, holds the parameters of both.
    """

    def __init__(
        self, model: AdaptableModel, learner: MetaLearner, context: BuildContext, tasks: Tasks | None = None
    ) -> None:
        self.model = model
        self.learner = learner
        self.tasks = tasks
        self.ratings: RatingScale | None = context.ratings
        self.device = context.device
        self.learnt: nn.Module | None = None
        if hasattr(learner, "learns"):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(context.seed)
                head, one = Head.of(model, learner), torch.zeros(1, dtype=torch.int64, device=context.device)
                self.learnt = learner.learns(head.start, model.inputs(one).shape[1]).to(context.device).eval()
        background = np.zeros(0, np.int64)
        if tasks is not None and self.ratings is None:
            count = min(tasks.background, context.items)
            background = np.random.default_rng(context.seed).choice(context.items, count, replace=False)
        self.background = torch.from_numpy(background).to(context.device)

    @property
    def module(self) -> nn.Module:
        """The model's module and the meta-learner's, as one."""
        parts = {"model": self.model.module}  # type: ignore[attr-defined]
        if self.learnt is not None:
            parts["meta_learner"] = self.learnt
        return torch.nn.ModuleDict(parts)

    def pace(self, epoch: int) -> Mapping[str, float]:
        """The model's own (`PacedModel`), if it has one."""
        pace = getattr(self.model, "pace", None)
        return {} if pace is None else {f"model.{name}": factor for name, factor in pace(epoch).items()}

    def graph(self, interactions: Interactions) -> None:
        """Show the model the training rows (`GraphModel`)."""
        if hasattr(self.model, "graph"):
            self.model.graph(interactions)

    def begin(self, epoch: int, total: int) -> None:
        """Tell model and meta-learner (`StagedModel`)."""
        for part in (self.model, self.learner):
            if hasattr(part, "begin"):
                part.begin(epoch, total)

    def shots(self, items: Tensor, values: Tensor, weight: Tensor) -> Shots:
        """Supports [B, S] of the head: items [B, S] taken, with the background beside them where that is asked for."""
        inputs, ranks = self.model.inputs(items), self.tasks is not None and self.ratings is None
        if not len(self.background) or self.tasks is None:
            return Shots(inputs, values, weight, ranks=ranks)
        rows, count = len(items), len(self.background)
        others = self.model.inputs(self.background).expand(rows, -1, -1)
        share = self.tasks.background_weight / count
        return Shots(
            torch.cat([inputs, others], dim=1),
            torch.cat([values, values.new_zeros(rows, count)], dim=1),
            torch.cat([weight, weight.new_full((rows, count), share)], dim=1),
            ranks=ranks,
        )

    def scores(self, requests: Requests) -> FloatArray:
        """Scores [B, I]: of the model for known users, of the adapted head for all others."""
        adapts = np.ones(len(requests), bool) if self.tasks is not None else requests.user_num == ABSENT
        if not adapts.any():
            return self.model.scores(requests)
        chunks = requests.take(np.flatnonzero(adapts)).chunks(USERS_AT_ONCE)
        with torch.no_grad():
            everything = self.model.inputs(None)
            adapted = np.concatenate([self._scores(chunk.histories, everything) for chunk in chunks])
        if adapts.all():
            return adapted
        scores = np.empty((len(requests), adapted.shape[1]), np.float32)
        scores[adapts] = adapted
        scores[~adapts] = self.model.scores(requests.take(np.flatnonzero(~adapts)))
        return scores

    def _scores(self, histories: Histories, everything: Tensor) -> FloatArray:
        """Scores [B, I] by heads adapted to B users."""
        head = Head.of(self.model, self.learner)
        params = head.adapted(self.learner, self.shots(*self._taken(histories)))
        rows = max(1, CELLS // max(1, everything.numel()))
        pieces = [
            head.scores({name: tensor[at : at + rows] for name, tensor in params.items()}, everything)
            for at in range(0, len(histories), rows)
        ]
        scores: FloatArray = torch.cat(pieces).to("cpu", torch.float32).numpy()
        if self.ratings is not None:
            np.clip(scores, self.ratings.low, self.ratings.high, out=scores)
        return scores

    def _taken(self, histories: Histories) -> tuple[Tensor, Tensor, Tensor]:
        """Items, values and weights of the most recent interactions, [B, S] each.

        S is fixed, so that nobody's scores depend on how long the histories of other users in the batch are.
        """
        recent = histories.last(SUPPORT)
        rows = recent.rows
        column = np.arange(len(rows)) - recent.indptr[rows]
        items = np.zeros((len(recent), SUPPORT), np.int64)
        values = np.zeros((len(recent), SUPPORT), np.float32)
        weight = np.zeros((len(recent), SUPPORT), np.float32)
        items[rows, column] = recent.item_num
        values[rows, column] = 1.0 if self.ratings is None or recent.value is None else recent.value
        weight[rows, column] = 1.0
        return tuple(torch.from_numpy(part).to(self.device) for part in (items, values, weight))  # type: ignore[return-value]

    def state(self) -> State:
        """The state of the model, and what the meta-learner has learnt."""
        own = self.model.state()
        arrays = dict(own.arrays)
        if self.learnt is not None:
            arrays |= {LEARNER + name: tensor.cpu().numpy().copy() for name, tensor in self.learnt.state_dict().items()}
        if self.tasks is None:
            return State(own.values, arrays)
        arrays[BACKGROUND] = self.background.cpu().numpy()
        ratings = None if self.ratings is None else asdict(self.ratings)
        return State({**own.values, RATINGS: ratings}, arrays)

    def load(self, state: State) -> None:
        """Take both."""
        arrays = dict(state.arrays)
        if self.learnt is not None:
            learnt = {name: torch.from_numpy(arrays.pop(LEARNER + name).copy()) for name in self.learnt.state_dict()}
            self.learnt.load_state_dict(learnt)
        values = dict(state.values)
        if self.tasks is not None:
            self.background = torch.from_numpy(arrays.pop(BACKGROUND).copy()).to(self.device)
            ratings = values.pop(RATINGS)
            self.ratings = None if ratings is None else RatingScale(**ratings)
        self.model.load(State(values, arrays))
