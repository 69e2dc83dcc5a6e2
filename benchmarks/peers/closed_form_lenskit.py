"""LensKit's item-kNN, EASE and iALS, as `benchmarks/peers.py` asks for them. Runs in LensKit's own environment.

Its recommendations are one list object for each user. iALS serves known users with the factors of the fit, as the
others do; by default LensKit would solve for each anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from closed_form import measure
from lenskit.als import ImplicitMFConfig, ImplicitMFScorer
from lenskit.batch import recommend
from lenskit.data import ItemListCollection, from_interactions_df
from lenskit.knn import ItemKNNConfig, ItemKNNScorer
from lenskit.knn.ease import EASEConfig, EASEScorer
from lenskit.pipeline import topn_pipeline
from lenskit.training import TrainingOptions

if TYPE_CHECKING:
    import numpy.typing as npt

    IntArray = npt.NDArray[np.int32]

SEED = 0
ALL = 1_000_000  # neighbours that may add to a score: every item of the history, as in the others


def scorer_of(asked: dict[str, Any]) -> Any:
    """The scorer that is asked for. An item is not among its own neighbours here, so there is one fewer."""
    if asked["model"] == "item_knn":
        return ItemKNNScorer(ItemKNNConfig(max_nbrs=ALL, save_nbrs=asked["neighbours"] - 1, feedback="implicit"))
    if asked["model"] == "ease":
        return EASEScorer(EASEConfig(regularization=asked["l2"]))
    return ImplicitMFScorer(
        ImplicitMFConfig(
            embedding_size=asked["factors"],
            epochs=asked["iterations"],
            regularization=asked["regularization"],
            weight=asked["alpha"],
            user_embeddings="prefer",
        )
    )


class LensKit:
    """A top-N pipeline of LensKit."""

    def __init__(self, log: IntArray, asked: dict[str, Any]) -> None:
        user, item = log.T
        self.data = from_interactions_df(pd.DataFrame({"user_id": user, "item_id": item}))
        self.users, self.k, self.processes = np.unique(user).tolist(), asked["k"], asked["threads"]
        self.pipeline = topn_pipeline(scorer_of(asked), n=self.k)

    def fit(self) -> None:
        """Learn."""
        self.pipeline.train(self.data, TrainingOptions(rng=SEED))

    def recommend(self) -> ItemListCollection:
        """One list for each user; several threads are several processes here."""
        return recommend(self.pipeline, self.users, n_jobs=self.processes)

    def lists(self, recommended: ItemListCollection) -> IntArray:
        """The items, [U, K]; -1 where a list is shorter."""
        found = np.full((len(self.users), self.k), -1, np.int32)
        for key, items in recommended.items():
            ids = items.ids()
            found[key.user_id, : len(ids)] = ids
        return found


if __name__ == "__main__":
    measure(LensKit)
