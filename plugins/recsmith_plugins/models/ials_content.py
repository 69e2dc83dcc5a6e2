"""iALS whose item factors are also learnt from the item columns, so that new and rare items have factors too."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import numpy as np

from recsmith.contracts.config import Config
from recsmith.contracts.content import ItemContent
from recsmith.contracts.data import DoubleArray, FeatureMatrix, FloatArray, Interactions, Requests, State
from recsmith.contracts.domains import Categorical, Float, Int
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, ModelSpec, Sizes
from recsmith_plugins.blocks.implicit_factors import alternate, confidence, fold_in
from recsmith_plugins.blocks.item_features import encoded, ridge
from recsmith_plugins.blocks.memory import BASE, chunk_bytes


class IALSContentConfig(Config):
    """Settings. Those of `ials`, and how features become factors.

    `smoothing` is the L2 penalty of the regression from unit rows of features. In it an item weighs as the
    `count_power`-th power of its interactions, 0: all items alike. `prior` interactions weigh as much as what the
    features say of an item.
    """

    content: ItemContent = ItemContent()
    factors: Annotated[int, Int(8, 256, log=True)] = 128
    regularization: Annotated[float, Float(1e-3, 1e3, log=True)] = 20.0
    alpha: Annotated[float, Float(0.1, 100.0, log=True)] = 10.0
    iterations: Annotated[int, Int(5, 30)] = 15
    weighted: Annotated[bool, Categorical((False, True))] = False  # repeats and the weights of events count
    smoothing: Annotated[float, Float(0.01, 100.0, log=True)] = 1.0
    count_power: Annotated[float, Float(0.0, 1.0)] = 0.0
    prior: Annotated[float, Float(0.01, 100.0, log=True)] = 1.0


@dataclass
class IALSContent:
    """Scores are user factors x item factors, the users folded in.

    Item factors are learnt by iALS, then regressed on the items' features (Gantner et al. 2010). An item of n
    interactions keeps n / (n + prior) of its own factors and takes the rest from its features: all of it where nobody
    took the item. Users are solved for these factors, with the items of the training rows as the others.

    Memory, in bytes: as `IALS` 20 for each interaction, 8 D for each user, 64 D^2 for one user, thrice the
    scores of a chunk, and `BASE`; 48 D + 28 W for each item of W stored numbers, and 48 D F to regress.
    """

    config: IALSContentConfig
    features: FeatureMatrix | None  # [I, F]
    seed: int
    items: FloatArray = field(default_factory=lambda: np.zeros((0, 0), np.float32))  # [I, D]
    gram: DoubleArray = field(default_factory=lambda: np.zeros((0, 0)))  # [D, D], of the items that somebody took

    def fit(self, interactions: Interactions) -> None:
        """Factorise, regress, blend."""
        config = self.config
        rows = confidence(interactions.histories, interactions.items, config.alpha, weighted=config.weighted)
        learnt = alternate(
            rows,
            factors=config.factors,
            regularization=config.regularization,
            iterations=config.iterations,
            seed=self.seed,
        )[1].astype(np.float64)
        counts = interactions.counts.astype(np.float64)
        taken = np.flatnonzero(counts)
        features = encoded(self.features, interactions.items)
        weights = counts[taken] ** config.count_power
        mapping = ridge(features[taken], learnt[taken], config.smoothing, weights / weights.mean())
        own = (counts / (counts + config.prior))[:, None]
        self.items = (own * learnt + (1.0 - own) * (features @ mapping)).astype(np.float32)
        known = self.items[taken].astype(np.float64)
        self.gram = known.T @ known + config.regularization * np.eye(known.shape[1])

    def scores(self, requests: Requests) -> FloatArray:
        """Products of user and item factors, [B, I]."""
        config = self.config
        rows = confidence(requests.histories, len(self.items), config.alpha, weighted=config.weighted)
        users = fold_in(rows, self.items.astype(np.float64), self.gram)
        return users.astype(np.float32) @ self.items.T

    def state(self) -> State:
        """The item factors, and their products over the items that somebody took."""
        return State(arrays={"items": self.items, "gram": self.gram})

    def load(self, state: State) -> None:
        """Take the item factors."""
        self.items, self.gram = state.arrays["items"], state.arrays["gram"]


def build(config: IALSContentConfig, context: BuildContext) -> IALSContent:
    """An unfitted model."""
    return IALSContent(config, context.item_features, context.seed)


def memory(config: IALSContentConfig, sizes: Sizes) -> float:
    """Bytes at most: see `IALSContent`."""
    D = config.factors
    users = 8 * D * sizes.users + 64 * D**2
    items = (48 * D + 28 * sizes.width) * sizes.items + 48 * D * sizes.features
    return BASE + 20 * sizes.interactions + users + items + 3 * chunk_bytes(sizes)


@hookimpl
def provide_models() -> list[ModelSpec]:
    """Factorisation by iALS with item content."""
    spec = ModelSpec(
        name="ials_content",
        api_version=1,
        config=IALSContentConfig,
        needs=frozenset({"item_features"}),
        offers=frozenset({"ranking", "new_users", "new_items"}),
        source=(
            "Hu, Koren and Volinsky 2008, doi:10.1109/ICDM.2008.22; Gantner, Drumond, Freudenthaler, Rendle and "
            "Schmidt-Thieme 2010, Learning Attribute-to-Feature Mappings for Cold-Start Recommendations, "
            "doi:10.1109/ICDM.2010.129"
        ),
        build=build,
        training="closed_form",
        memory=memory,
    )
    return [spec]
