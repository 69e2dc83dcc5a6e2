"""BPR-MF: a vector for each user, a vector and a bias for each item, learnt by pairwise ranking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np
import torch
from torch import Tensor, nn

from recsmith.contracts.config import Choice, Config
from recsmith.contracts.data import ABSENT, FloatArray, Requests, State
from recsmith.contracts.domains import Float, Int, Narrowed, OneOf
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, ModelSpec, Sizes
from recsmith.contracts.training import Training
from recsmith_plugins.blocks.memory import pairs_bytes
from recsmith_plugins.blocks.parameters import load_into, state_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recsmith.contracts.training import Batch


class BPRMFConfig(Config):
    """Settings. `init_std` is the deviation of the first vectors; `meta_learner` adapts one to a new user."""

    dim: Annotated[int, Int(8, 256, log=True)] = 64
    init_std: Annotated[float, Float(0.001, 0.3, log=True)] = 0.05
    meta_learner: Annotated[Choice, OneOf("meta_learners", needs=frozenset({"closed_form"}))] = Choice(
        name="ridge_fold_in"
    )
    training: Annotated[
        Training,
        Narrowed({"batch_size": Int(256, 8192, log=True), "weight_decay": Float(1e-5, 1.0, log=True)}),
    ] = Training(batch_size=1024, learning_rate=3e-3, weight_decay=0.1, loss=Choice(name="bpr"))


class Factors(nn.Module):
    """The tables."""

    def __init__(self, config: BPRMFConfig, users: int, items: int) -> None:
        super().__init__()
        self.user = nn.Embedding(users, config.dim)
        self.item = nn.Embedding(items, config.dim)
        self.bias = nn.Parameter(torch.zeros(items))
        nn.init.normal_(self.user.weight, std=config.init_std)
        nn.init.normal_(self.item.weight, std=config.init_std)


class BPRMF:
    """Scores are user vector x item vector + item bias.

    A user that training has not seen starts from the mean user vector; the platform adapts it by the meta-learner.

    Memory: that of `pairs_bytes` for D (U + I) + I parameters.
    """

    def __init__(self, config: BPRMFConfig, users: int, items: int, device: str) -> None:
        self.config = config
        self.device = device
        self.module = Factors(config, users, items).to(device)

    def queries(self, batch: Batch) -> Tensor:
        """The user vectors of the batch's pairs, [P, D]."""
        vectors: Tensor = self.module.user(batch.user)
        return vectors

    def logits(self, queries: Tensor, items: Tensor | None) -> Tensor:
        """Queries [P, D] with items [n] or [P, n] -> [P, n]; with None -> [P, I]."""
        if items is None:
            return queries @ self.module.item.weight.T + self.module.bias
        vectors, bias = self.module.item(items), self.module.bias[items]
        return (queries @ vectors.T if items.ndim == 1 else torch.einsum("pd,pnd->pn", queries, vectors)) + bias

    def scores(self, requests: Requests) -> FloatArray:
        """Scores of all items, [B, I]."""
        known = requests.user_num != ABSENT
        user = torch.from_numpy(np.where(known, requests.user_num, 0).astype(np.int64)).to(self.device)
        with torch.inference_mode():
            prior = self.head()["output"]
            mask = torch.from_numpy(known).to(self.device).unsqueeze(1)
            vectors = torch.where(mask, self.module.user.weight[user], prior)
            scores: FloatArray = self.logits(vectors, None).cpu().numpy()
        return scores

    def inputs(self, items: Tensor | None) -> Tensor:
        """Vectors of items, and their biases in the last column, [n, D + 1]; constants."""
        everything = slice(None) if items is None else items
        with torch.no_grad():
            return torch.cat([self.module.item.weight[everything], self.module.bias[everything].unsqueeze(-1)], dim=-1)

    def head(self) -> Mapping[str, Tensor]:
        """The mean user vector, [D]."""
        return {"output": self.module.user.weight.detach().mean(0)}

    def head_score(self, params: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        """Scores [n] of `inputs` [n, D + 1] for one user's vector."""
        return inputs[..., :-1] @ params["output"] + inputs[..., -1]

    def state(self) -> State:
        """The tables."""
        return state_of(self.module)

    def load(self, state: State) -> None:
        """Take the tables."""
        load_into(self.module, state)


def build(config: BPRMFConfig, context: BuildContext) -> BPRMF:
    """An untrained model whose weights follow from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(context.seed)
        return BPRMF(config, context.users, context.items, context.device)


def memory(config: BPRMFConfig, sizes: Sizes) -> float:
    """Bytes at most: see `BPRMF`."""
    parameters = config.dim * (sizes.users + sizes.items) + sizes.items
    return pairs_bytes(parameters, config.dim, config.training, sizes)


@hookimpl
def provide_models() -> list[ModelSpec]:
    """BPR-MF."""
    return [
        ModelSpec(
            name="bpr_mf",
            api_version=1,
            config=BPRMFConfig,
            offers=frozenset({"ranking", "new_users"}),
            source=(
                "Rendle, Freudenthaler, Gantner and Schmidt-Thieme 2009, BPR: Bayesian Personalized Ranking, "
                "https://arxiv.org/abs/1205.2618"
            ),
            build=build,
            training="gradient",
            examples="pairs",
            memory=memory,
            cost="minutes",
        )
    ]
