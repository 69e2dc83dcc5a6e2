"""implicit's item-kNN and iALS, as `benchmarks/peers.py` asks for them. Runs in implicit's own environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from closed_form import measure
from implicit.cpu.als import AlternatingLeastSquares
from implicit.nearest_neighbours import CosineRecommender
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

if TYPE_CHECKING:
    import numpy.typing as npt

    IntArray = npt.NDArray[np.int32]

SEED = 0


def model_of(asked: dict[str, Any]) -> Any:
    """The model that is asked for. The confidence of an interaction is implicit's alpha itself, not one more."""
    if asked["model"] == "item_knn":
        return CosineRecommender(K=asked["neighbours"], num_threads=asked["threads"])
    return AlternatingLeastSquares(
        factors=asked["factors"],
        regularization=asked["regularization"],
        alpha=1.0 + asked["alpha"],
        iterations=asked["iterations"],
        num_threads=asked["threads"],
        random_state=SEED,
    )


class Implicit:
    """A model of implicit."""

    def __init__(self, log: IntArray, asked: dict[str, Any]) -> None:
        user, item = log.T
        self.matrix = csr_matrix((np.ones(len(log), np.float32), (user, item)))
        self.asked = asked

    def fit(self) -> None:
        """Learn; a model fitted again would go on. It has threads of its own, which those of BLAS would starve."""
        self.model = model_of(self.asked)
        with threadpool_limits(1, "blas"):
            self.model.fit(self.matrix, show_progress=False)

    def recommend(self) -> tuple[IntArray, npt.NDArray[Any]]:
        """Items and scores, [U, K] each."""
        users = np.arange(self.matrix.shape[0])
        found: tuple[IntArray, npt.NDArray[Any]] = self.model.recommend(users, self.matrix, N=self.asked["k"])
        return found

    def lists(self, recommended: tuple[IntArray, npt.NDArray[Any]]) -> IntArray:
        """The items."""
        return recommended[0]


if __name__ == "__main__":
    measure(Implicit)
