"""A denoising autoencoder learnt with JAX. Its training loop is its own, so to the platform it is a closed form."""

from dataclasses import dataclass, field, replace
from functools import cache
from typing import Annotated, Any

import numpy as np

from recsmith.contracts.config import Config
from recsmith.contracts.data import FloatArray, Histories, Interactions, Requests, State
from recsmith.contracts.domains import Float, Int
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import ModelSpec


class DAEConfig(Config):
    """Settings: a field with a domain is searched, one without is fixed."""

    dim: Annotated[int, Int(8, 512, log=True)] = 200
    dropout: Annotated[float, Float(0.1, 0.9)] = 0.7  # share of a user's items that the network must guess
    learning_rate: Annotated[float, Float(1e-4, 1e-2, log=True)] = 1e-3
    batch: int = 64  # users in one step
    epochs: Annotated[int, Int(10, 200, log=True)] = 80
    half_life: Annotated[float, Float(0.5, 1000.0, log=True)] = 3.0  # of a request's items, in interactions


def unit_rows(histories: Histories, items: int, half_life: float = np.inf) -> FloatArray:
    """Histories as rows of length 1, [B, I]; an item weighs half as much for every `half_life` newer ones."""
    age = histories.indptr[histories.rows + 1] - 1 - np.arange(len(histories.item_num))
    recent = replace(histories, weight=np.exp2(-age / half_life).astype(np.float32))
    rows = recent.matrix(items, weighted=True).toarray()
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6))


@cache
def optimizer() -> tuple[Any, Any]:
    """(its first state, one compiled step). JAX is imported here: not for the spec, and not for serving."""
    import jax
    import optax

    def loss(params: Any, rows: Any, keep: Any) -> Any:  # multinomial: all items of a user, given those kept
        logits = (rows * keep) @ params["encode"] @ params["decode"] + params["bias"]  # [B, I]
        return -(jax.nn.log_softmax(logits) * (rows > 0)).sum(axis=1).mean()

    def step(params: Any, moments: Any, rows: Any, keep: Any, learning_rate: Any) -> Any:
        change, moments = optax.adam(learning_rate).update(jax.grad(loss)(params, rows, keep), moments)
        return optax.apply_updates(params, change), moments

    return optax.adam(0.0).init, jax.jit(step)


@dataclass
class DAE:
    """Mult-DAE (Liang et al. 2018) without its tanh: scores are linear in a request's items."""

    config: DAEConfig
    seed: int
    ordered: bool = False
    params: dict[str, FloatArray] = field(default_factory=dict)

    def fit(self, interactions: Interactions) -> None:
        """Hide items of every user and learn to name them all."""
        (start, step), config, items = optimizer(), self.config, interactions.items
        generator, share = np.random.default_rng(self.seed), np.float32(1 - config.dropout)
        encode = generator.normal(0, items**-0.5, (items, config.dim)).astype(np.float32)
        decode = generator.normal(0, config.dim**-0.5, (config.dim, items)).astype(np.float32)
        params: Any = {"encode": encode, "decode": decode, "bias": np.zeros(items, np.float32)}
        moments, steps = start(params), -(-interactions.users // config.batch)
        for _ in range(config.epochs):
            for users in np.array_split(generator.permutation(interactions.users), steps):
                rows = unit_rows(interactions.histories.take(users), items)
                keep = (generator.random(rows.shape, np.float32) < share) / share
                params, moments = step(params, moments, rows, keep, config.learning_rate)
        self.ordered, self.params = interactions.ordered, {name: np.asarray(array) for name, array in params.items()}

    def scores(self, requests: Requests) -> FloatArray:
        """Logits, [B, I]; where order means something, newer items weigh more."""
        params, half_life = self.params, self.config.half_life if self.ordered else np.inf
        rows = unit_rows(requests.histories, len(params["bias"]), half_life)
        return np.asarray(rows @ params["encode"] @ params["decode"] + params["bias"], np.float32)

    def state(self) -> State:
        """The parameters by name."""
        return State({"ordered": self.ordered}, self.params)

    def load(self, state: State) -> None:
        """Take them."""
        self.ordered, self.params = state.values["ordered"], dict(state.arrays)


@hookimpl
def provide_models() -> list[ModelSpec]:
    """A denoising autoencoder."""
    spec = ModelSpec(
        name="jax_dae",
        api_version=1,
        config=DAEConfig,
        needs=frozenset({"small_catalogue"}),
        offers=frozenset({"ranking", "new_users"}),
        source="Liang et al. 2018, Variational Autoencoders for Collaborative Filtering",
        build=lambda config, context: DAE(config, context.seed),
        training="closed_form",
    )
    return [spec]
