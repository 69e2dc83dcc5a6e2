"""RecTools' EASE and its wrappers of implicit, as `benchmarks/peers.py` asks for them. Runs in RecTools' environment.

Its recommendations are a table of outside ids, scores and ranks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from closed_form import measure
from closed_form_implicit import model_of
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import EASEModel, ImplicitALSWrapperModel, ImplicitItemKNNWrapperModel
from threadpoolctl import threadpool_limits

if TYPE_CHECKING:
    import numpy.typing as npt

    IntArray = npt.NDArray[np.int32]


class RecTools:
    """A model of RecTools."""

    def __init__(self, log: IntArray, asked: dict[str, Any]) -> None:
        user, item = log.T
        table = pd.DataFrame({Columns.User: user, Columns.Item: item, Columns.Weight: 1.0, Columns.Datetime: 0})
        table[Columns.Datetime] = pd.to_datetime(table[Columns.Datetime], unit="s")
        self.users, self.k = np.unique(user), asked["k"]
        self.data = Dataset.construct(table)
        if asked["model"] == "ease":
            self.model = EASEModel(asked["l2"], recommend_n_threads=asked["threads"])
        else:
            wrapper = {"item_knn": ImplicitItemKNNWrapperModel, "ials": ImplicitALSWrapperModel}[asked["model"]]
            self.model = wrapper(model_of(asked))

    def fit(self) -> None:
        """Learn; implicit has threads of its own, which those of BLAS would starve."""
        with threadpool_limits(None if isinstance(self.model, EASEModel) else 1, "blas"):
            self.model.fit(self.data)

    def recommend(self) -> pd.DataFrame:
        """One row for each place of a list."""
        return self.model.recommend(self.users, self.data, k=self.k, filter_viewed=True)

    def lists(self, recommended: pd.DataFrame) -> IntArray:
        """The items, [U, K]; -1 where a list is shorter."""
        found = np.full((len(self.users), self.k), -1, np.int32)
        found[recommended[Columns.User], recommended[Columns.Rank] - 1] = recommended[Columns.Item]
        return found


if __name__ == "__main__":
    measure(RecTools)
