"""What comes next: items that followed the last item of a history, with popularity where little is known."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from scipy import sparse

from recsmith.contracts.config import Config
from recsmith.contracts.data import FloatArray, Interactions, Requests, State
from recsmith.contracts.domains import Float, Int
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, ModelSpec


class MyNameConfig(Config):
    """Settings. A field with a domain is searched; every field has a default inside its domain."""

    reach: Annotated[int, Int(1, 5)] = 2  # how far ahead a follower is looked for; the d-th counts 1 / d
    shrinkage: Annotated[float, Float(0.1, 100.0, log=True)] = 3.0  # so many followers popularity is worth


@dataclass
class MyName:
    """P(j | last item i) = (followers j of i + shrinkage * share of j) / (followers of i + shrinkage).

    An empty history is scored by the shares alone, an item that nobody went on from likewise.
    """

    config: MyNameConfig
    followers: sparse.csr_array = field(default_factory=lambda: sparse.csr_array(np.eye(0, dtype=np.float32)))  # [I, I]
    shares: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))  # [I], popularity

    def fit(self, interactions: Interactions) -> None:
        """Count who follows whom within each user's history."""
        item, row = interactions.histories.item_num, interactions.histories.rows
        steps = range(1, self.config.reach + 1)
        places = [(step, np.flatnonzero(row[step:] == row[:-step])) for step in steps]  # both in one history
        before = np.concatenate([item[place] for _, place in places])
        after = np.concatenate([item[place + step] for step, place in places])
        weights = np.concatenate([np.full(len(place), 1 / step, np.float32) for step, place in places])
        shape = (interactions.items, interactions.items)
        self.followers = sparse.csr_array((weights, (before, after)), shape=shape)  # equal pairs are summed
        self.shares = (interactions.counts / max(1, len(item))).astype(np.float32)

    def scores(self, requests: Requests) -> FloatArray:
        """Probabilities of every item, [B, I]; each row sums to 1."""
        histories, prior = requests.histories, self.config.shrinkage * self.shares
        known = np.flatnonzero(histories.lengths)
        last = histories.item_num[histories.indptr[known + 1] - 1]
        counts = self.followers[last].toarray()
        scores = np.tile(self.shares, (len(requests), 1))
        scores[known] = (counts + prior) / (counts.sum(axis=1, keepdims=True) + self.config.shrinkage)
        return scores

    def state(self) -> State:
        """The counts, as the three arrays of a sparse matrix, and the shares."""
        parts = {part: getattr(self.followers, part) for part in ("data", "indices", "indptr")}
        return State(arrays={**parts, "shares": self.shares})

    def load(self, state: State) -> None:
        """Take counts and shares."""
        self.shares = state.arrays["shares"]
        parts = (state.arrays["data"], state.arrays["indices"], state.arrays["indptr"])
        self.followers = sparse.csr_array(parts, shape=(len(self.shares), len(self.shares)))


def build(config: MyNameConfig, context: BuildContext) -> MyName:
    """An unfitted model."""
    return MyName(config)


@hookimpl
def provide_models() -> list[ModelSpec]:
    """Offer the model."""
    return [
        ModelSpec(
            name="my_name",
            api_version=1,
            config=MyNameConfig,
            needs=frozenset({"order"}),  # a log whose rows have no order is not offered to this model
            offers=frozenset({"ranking", "new_users"}),
            source="Zhai and Lafferty 2004, A Study of Smoothing Methods for Language Models (Dirichlet prior)",
            build=build,
            training="closed_form",
        )
    ]
