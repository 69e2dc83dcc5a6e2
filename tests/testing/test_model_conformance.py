"""For every promise of models there is a model that breaks it."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
import pytest
import torch
from scipy import sparse
from torch import nn

from recsmith.contracts.config import Config
from recsmith.contracts.data import ABSENT, State
from recsmith.contracts.domains import Int
from recsmith.contracts.plugins import ModelSpec
from recsmith.contracts.training import Training
from recsmith.testing.conformance.models import CHECKS

# --- two sound models, and what can be wrong with them ----------------------------------------------------------------


class Neighbours:
    """Sound, and a closed form: how often an item was taken together with those of the history."""

    def __init__(self, config, context):
        self.config, self.context = config, context
        self.together = sparse.csr_array((context.items, context.items), dtype=np.float32)

    def fit(self, interactions):
        taken = interactions.histories.matrix(interactions.items)
        self.together = (taken.T @ taken).tocsr()

    def scores(self, requests):
        return (requests.histories.matrix(self.context.items) @ self.together).toarray()

    def state(self):
        return State({}, {name: getattr(self.together, name) for name in ("data", "indices", "indptr")})

    def load(self, state):
        parts = tuple(state.arrays[name] for name in ("data", "indices", "indptr"))
        self.together = sparse.csr_array(parts, shape=self.together.shape)


class Factors:
    """Sound, and learnt by gradient steps: a vector for each user and each item."""

    def __init__(self, _config, context):
        generator = torch.Generator().manual_seed(context.seed)
        sizes = {"user": context.users, "item": context.items}
        tables = {name: 0.1 * torch.randn(size, 8, generator=generator) for name, size in sizes.items()}
        self.module = nn.ParameterDict(tables)

    def queries(self, batch):
        return self.module["user"][batch.user]

    def logits(self, queries, items):
        table = self.module["item"]
        if items is None or items.ndim == 1:
            return queries @ (table if items is None else table[items]).T
        return torch.einsum("pd,pnd->pn", queries, table[items])

    def scores(self, requests):
        with torch.inference_mode():
            user = torch.from_numpy(requests.user_num.astype(np.int64))
            return self.logits(self.module["user"][user], None).numpy()

    def state(self):
        return State({}, {name: table.detach().numpy().copy() for name, table in self.module.items()})

    def load(self, state):
        self.module.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in state.arrays.items()})


class WideFactors(Factors):
    """The same with vectors that are no small thing."""

    def __init__(self, _config, context):
        self.module = nn.ParameterDict(
            {"user": torch.zeros(context.users, 256), "item": torch.full((context.items, 256), 0.01)}
        )


class FactorsConfig(Config):
    training: Training = Training()


def closed(build, name="neighbours", offers=("ranking", "new_users"), **more):
    return ModelSpec(name=name, api_version=1, build=build, training="closed_form", offers=frozenset(offers), **more)


def gradient(build, name="factors", offers=("ranking",), **more):
    return ModelSpec(
        name=name,
        api_version=1,
        build=build,
        training="gradient",
        examples="pairs",
        offers=frozenset(offers),
        config=FactorsConfig,
        **more,
    )


class Doubles(Neighbours):
    def scores(self, requests):
        return super().scores(requests).astype(np.float64)


class OneBuffer(Neighbours):
    """Saves an allocation, and overwrites the answer before."""

    def scores(self, requests):
        scores = super().scores(requests)
        if not hasattr(self, "buffer") or self.buffer.shape != scores.shape:
            self.buffer = scores
        self.buffer[:] = scores
        return self.buffer


class Cached(Neighbours):
    """Hands out what it keeps for the next who asks the same."""

    def scores(self, requests):
        kept = self.__dict__.setdefault("kept", {})
        key = (requests.user_num.tobytes(), requests.histories.item_num.tobytes())
        if key not in kept:
            kept[key] = super().scores(requests)
        return kept[key].view()


class TurnsHistories(Neighbours):
    """Turns every history about, in the arrays that it was given."""

    def scores(self, requests):
        histories = requests.histories
        for start, end in zip(histories.indptr[:-1], histories.indptr[1:], strict=True):
            histories.item_num[start:end] = histories.item_num[start:end][::-1]
        return super().scores(requests)


class ShiftsMoments(Neighbours):
    """Writes into the training rows through a memory view that does not ask."""

    def fit(self, interactions):
        super().fit(interactions)
        stamps = interactions.histories.timestamp
        if stamps is not None and len(stamps):
            memory = np.ctypeslib.as_array((np.ctypeslib.ctypes.c_int64 * len(stamps)).from_address(stamps.ctypes.data))
            memory -= 1


class Halves(Neighbours):
    """Makes itself smaller to be kept."""

    def state(self):
        self.together = self.together * np.float32(0.5)
        return super().state()


class Pickles(Neighbours):
    def state(self):
        return State({}, {"all": np.frombuffer(pickle.dumps(self.together), np.uint8)})

    def load(self, state):
        self.together = pickle.loads(state.arrays["all"].tobytes())  # noqa: S301 - what must never be


class Endless(Neighbours):
    def state(self):
        kept = super().state()
        return State(kept.values, {**kept.arrays, "bounds": np.array([-np.inf, np.inf])})


class Objects(Neighbours):
    """Keeps a value that is no JSON."""

    def state(self):
        return State({"width": np.int64(3)}, super().state().arrays)


class ForgetsFirst(Neighbours):
    """Keeps one thing outside its state."""

    first = 0.0

    def fit(self, interactions):
        super().fit(interactions)
        self.first = np.float32(interactions.histories.item_num[0] + 1)

    def scores(self, requests):
        return super().scores(requests) + self.first


class GlobalNoise(Neighbours):
    def fit(self, interactions):
        super().fit(interactions)
        self.together.data += np.random.rand(len(self.together.data)).astype(np.float32) / 100  # noqa: NPY002


class OwnNoise(Neighbours):
    def fit(self, interactions):
        super().fit(interactions)
        self.together.data += np.random.default_rng().random(len(self.together.data), np.float32) / 100


class SeedsAll(Neighbours):
    def fit(self, interactions):
        np.random.seed(self.context.seed)  # noqa: NPY002
        super().fit(interactions)


class NoEmptyHistory(Neighbours):
    def scores(self, requests):
        assert requests.histories.lengths.min() > 0, "nothing to go by"
        return super().scores(requests)


class Standardises(Neighbours):
    """Divides by the deviation of a history, which a single interaction does not have."""

    def scores(self, requests):
        single = requests.histories.lengths == 1
        return super().scores(requests) / np.where(single, np.nan, 1.0).astype(np.float32)[:, None]


class KnownUsersOnly(Neighbours):
    """Has a row for each user, and says that it serves new ones."""

    def scores(self, requests):
        if (requests.user_num == ABSENT).any():
            raise IndexError("no row for user -1")
        return super().scores(requests)


class OneRowPerUser(Neighbours):
    """Answers each user once."""

    def scores(self, requests):
        _, first = np.unique(requests.user_num, return_index=True)
        known = (requests.user_num != ABSENT).all()
        return super().scores(requests.take(np.sort(first)) if known else requests)


class TakenItemsOnly(Neighbours):
    """Divides by how often an item was taken."""

    def scores(self, requests):
        counts = self.context.item_counts
        if (counts[requests.histories.item_num] == 0).any():
            raise ZeroDivisionError("an item that nobody took")
        return super().scores(requests)


class FixedWindow(Neighbours):
    def scores(self, requests):
        window = np.zeros((len(requests), 100), np.int32)
        for row in range(len(requests)):
            items = requests.histories.of(row)
            window[row, : len(items)] = items
        return super().scores(requests)


class NeedsMoments(Neighbours):
    """Reads the moments of a request, which a server does not know."""

    def scores(self, requests):
        if not requests.histories_are_training:
            requests.histories.timestamp.max(initial=0)
        return super().scores(requests)


class NeedsMomentsToLearn(Neighbours):
    def fit(self, interactions):
        interactions.histories.timestamp.max()
        super().fit(interactions)


class BatchShare(Neighbours):
    """Scores are shares of what the whole batch scores."""

    def scores(self, requests):
        scores = super().scores(requests)
        return scores / max(1.0, float(scores.max()))


class PowerConfig(Config):
    power: Annotated[int, Int(1, 3)] = 2


class CornerCrash(Neighbours):
    def fit(self, interactions):
        if self.config.power == 3:
            raise ValueError("too much")
        super().fit(interactions)


class CornerForgets(Neighbours):
    """Keeps what one setting adds outside its state."""

    added = 0.0

    def fit(self, interactions):
        super().fit(interactions)
        self.added = np.float32(self.config.power == 3)

    def scores(self, requests):
        return super().scores(requests) + np.float32(self.added)


class CornerNaN(Neighbours):
    def scores(self, requests):
        return super().scores(requests) * np.float32(np.nan if self.config.power == 1 else 1.0)


class Square(Neighbours):
    def fit(self, interactions):
        super().fit(interactions)
        self.together = sparse.csr_array(self.together)
        self.square = np.zeros((interactions.items, interactions.items), np.float32)


class SquareState(Neighbours):
    """Quadratic in its state alone."""

    def state(self):
        return State({}, {**super().state().arrays, "all": np.zeros((self.context.items,) * 2, np.int8)})


class LearnsNothing(Neighbours):
    def scores(self, requests):
        return np.zeros((len(requests), self.context.items), np.float32)


class NothingForNewUsers(Neighbours):
    def scores(self, requests):
        return super().scores(requests) * (requests.user_num != ABSENT)[:, None].astype(np.float32)


class MeanRating(Neighbours):
    """Predicts one rating for everything."""

    mean = 0.0

    def fit(self, interactions):
        self.mean = float(interactions.histories.value.mean())

    def scores(self, requests):
        return np.full((len(requests), self.context.items), self.mean, np.float32)

    def state(self):
        return State({"mean": self.mean})

    def load(self, state):
        self.mean = state.values["mean"]


class LiveTables(Factors):
    """The state is the very memory that training goes on in."""

    def state(self):
        return State({}, {name: table.detach().numpy() for name, table in self.module.items()})


class Untold(Factors):
    """Training depends on how many batches went before, which no state tells."""

    batches = 0

    def queries(self, batch):
        self.batches += 1
        return super().queries(batch) * (1.0 + 0.1 * self.batches)


class Listening(Factors):
    """Training depends on how often it was asked."""

    asked = 0

    def scores(self, requests):
        self.asked += 1
        return super().scores(requests)

    def queries(self, batch):
        return super().queries(batch) * (1.0 + 0.1 * self.asked)


class Stale(Factors):
    """Goes on answering from the tables that it had when it was first asked."""

    def scores(self, requests):
        if not hasattr(self, "tables"):
            self.tables = {name: table.detach().clone() for name, table in self.module.items()}
        user = torch.from_numpy(requests.user_num.astype(np.int64))
        return (self.tables["user"][user] @ self.tables["item"].T).numpy()


@dataclass(frozen=True)
class Broken:
    """A spec, and each check that it must break with a piece of what is said then."""

    spec: ModelSpec
    breaks: dict[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        build: Any = self.spec.build
        return build.__name__


ONLY_SEED, LEFT_ALONE = "only_the_seed_decides", "given_data_is_left_alone"
TABLE = [
    Broken(closed(Neighbours)),
    Broken(gradient(Factors)),
    Broken(closed(Doubles), {"scores_are_finite_float32": "scores are float64, not float32"}),
    Broken(closed(OneBuffer), {"scores_are_a_fresh_array": "the same memory"}),
    Broken(closed(Cached), {"scores_are_a_fresh_array": "the same memory"}),
    Broken(closed(TurnsHistories), {LEFT_ALONE: "scores(): the requests"}),
    Broken(closed(ShiftsMoments), {LEFT_ALONE: "learning: the training rows"}),
    Broken(closed(Halves), {LEFT_ALONE: "state() changes the model"}),
    Broken(closed(Pickles), {"state_is_plain_data": "holds a pickle"}),
    Broken(closed(Endless), {"state_is_plain_data": "['bounds'] holds NaN or infinity"}),
    Broken(closed(Objects), {"state_is_plain_data": "plain JSON values"}),
    Broken(closed(ForgetsFirst), {"a_loaded_model_scores_the_same": "keep all in state()"}),
    Broken(closed(GlobalNoise), {ONLY_SEED: "follow from the global random state"}),
    Broken(closed(OwnNoise), {ONLY_SEED: "two learnings with one seed"}),
    Broken(closed(SeedsAll), {ONLY_SEED: "the global random state of numpy was changed"}),
    Broken(closed(NoEmptyHistory), {"short_histories_are_served": "with an empty history: scores() raised Assert"}),
    Broken(closed(Standardises), {"short_histories_are_served": "with one interaction: 20 of 20 scores are NaN"}),
    Broken(
        closed(KnownUsersOnly),
        {
            "unseen_users_are_served": "two new users (user_num ABSENT): scores() raised IndexError",
            "it_serves_new_users_well": "no row for user -1",
        },
    ),
    Broken(
        closed(OneRowPerUser), {"known_users_may_bring_another_history": "twice with two other histories: scores have"}
    ),
    Broken(
        closed(TakenItemsOnly),
        {"untaken_items_are_served": "whose items nobody took in training: scores() raised Zero"},
    ),
    Broken(closed(FixedWindow), {"long_histories_are_served": "with 500 interactions"}),
    Broken(closed(NeedsMoments), {"a_history_may_be_items_alone": "three items and nothing else: scores() raised"}),
    Broken(closed(NeedsMomentsToLearn), {"a_log_may_be_bare": "'NoneType' object has no attribute 'max'"}),
    Broken(closed(BatchShare), {"a_request_is_scored_alone_as_in_a_batch": "in batches of 1"}),
    Broken(closed(CornerCrash, config=PowerConfig), {"every_corner_works": "neighbours.power=3: ValueError: too much"}),
    Broken(
        closed(CornerForgets, config=PowerConfig),
        {"a_loaded_model_scores_the_same_at_every_corner": "neighbours.power=3: a loaded model scores otherwise: 480"},
    ),
    Broken(closed(CornerNaN, config=PowerConfig), {"every_corner_works": "neighbours.power=1: 480 of 480"}),
    Broken(closed(Square), {"memory_is_as_stated": 'add needs={"small_catalogue"}'}),
    Broken(closed(SquareState), {"memory_is_as_stated": "items, 2.6 MB for 1,600 items"}),
    Broken(closed(Square, needs=frozenset({"small_catalogue"}))),
    Broken(closed(Square, needs=frozenset({"small_catalogue"}), memory=lambda _, sizes: 20.0 * sizes.items**2)),
    Broken(
        closed(Square, needs=frozenset({"small_catalogue"}), memory=lambda _, sizes: 100.0 * sizes.items),
        {"memory_is_as_stated": "memory() states 0.1 MB for 800 items, and 2.6 MB are taken at least"},
    ),
    Broken(closed(Square, memory=lambda _, sizes: 20.0 * sizes.items**2), {"memory_is_as_stated": "add needs="}),
    Broken(closed(LearnsNothing, offers=("ranking",)), {"it_learns_a_ranking": "groups: hit_rate@10 0."}),
    Broken(closed(NothingForNewUsers), {"it_serves_new_users_well": "it has not understood any of the logs: groups"}),
    Broken(
        closed(MeanRating, offers=("ratings",), needs=frozenset({"values"})),
        {"it_learns_ratings": "ratings: mae 0."},
    ),
    Broken(closed(Neighbours, offers=("ranking", "new_items")), {"it_ranks_new_items_well": "above 50% of the items"}),
    Broken(gradient(WideFactors, offers=(), memory=lambda _, sizes: 28 * 256.0 * (sizes.users + sizes.items))),
    Broken(
        gradient(WideFactors, offers=(), memory=lambda _, sizes: 8 * 256.0 * (sizes.users + sizes.items)),
        {"memory_is_as_stated": "memory() states 0.9 MB for 400 items, and 3.2 MB are taken"},
    ),
    Broken(gradient(LiveTables, offers=()), {"a_state_stays_as_it_was": "copy them"}),
    Broken(gradient(Untold, offers=()), {"a_stopped_training_resumes": "resumed after epoch 1 of 3 it ends elsewhere"}),
    Broken(gradient(Listening, offers=()), {"asking_between_epochs_changes_nothing": "disturbs the learning"}),
    Broken(
        gradient(Stale, offers=()),
        {
            "usable_after_every_epoch": "after epoch 1 the scores are those of the untrained model",
            "asking_between_epochs_changes_nothing": "disturbs the learning",
        },
    ),
]


@pytest.mark.parametrize("case", TABLE, ids=lambda case: case.id)
def test_a_model_breaks_the_promise_that_is_about_it_and_no_other(broken, case):
    said = broken("models", case.spec)
    assert set(case.breaks) == set(said), said
    for check, piece in case.breaks.items():
        assert piece in said[check]


def test_every_promise_is_broken_by_some_model():
    assert {check for case in TABLE for check in case.breaks} == {check.__name__ for check in CHECKS}
