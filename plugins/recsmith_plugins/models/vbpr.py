"""VBPR: matrix factorisation with a second pair of vectors, of which the item's follows from its content."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np
import torch
from torch import Tensor, nn

from recsmith.contracts.config import Choice, Config
from recsmith.contracts.content import ItemContent
from recsmith.contracts.data import ABSENT, FloatArray, Requests, State
from recsmith.contracts.domains import Float, Int, Narrowed, OneOf
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, ModelSpec, Sizes
from recsmith.contracts.training import Training
from recsmith_plugins.blocks.content_tower import Tower, TowerConfig, pace
from recsmith_plugins.blocks.memory import content_bytes, pairs_bytes, rows_at_once
from recsmith_plugins.blocks.parameters import load_into, state_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recsmith.contracts.training import Batch


class VBPRConfig(Config):
    """Settings. `meta_learner` adapts the vectors of a new user; new items have no latent vector and no bias."""

    dim: Annotated[int, Int(8, 128, log=True)] = 32  # of the latent vectors
    content_dim: Annotated[int, Int(8, 128, log=True)] = 32  # of the vectors that follow from content
    content: ItemContent = ItemContent()
    tower: TowerConfig = TowerConfig()
    meta_learner: Annotated[Choice, OneOf("meta_learners", needs=frozenset({"closed_form"}))] = Choice(
        name="ridge_fold_in"
    )
    training: Annotated[
        Training,
        Narrowed({"batch_size": Int(256, 8192, log=True), "weight_decay": Float(1e-5, 1.0, log=True)}),
    ] = Training(batch_size=1024, learning_rate=3e-3, weight_decay=0.05, loss=Choice(name="bpr"))


class Factors(nn.Module):
    """The tables and the content tower."""

    seen: Tensor  # [I, 1] 1 for the items of the training rows

    def __init__(self, config: VBPRConfig, context: BuildContext) -> None:
        super().__init__()
        std = config.tower.init_std
        self.drop = config.tower.id_dropout
        self.user = nn.Embedding(context.users, config.dim + config.content_dim)
        self.item = nn.Embedding(context.items, config.dim)
        self.bias = nn.Parameter(torch.zeros(context.items))
        nn.init.normal_(self.user.weight, std=std)
        nn.init.normal_(self.item.weight, std=std)
        nobody = np.zeros(context.items, np.bool_)
        self.content = Tower(config.tower, nobody, context.item_content, config.content_dim)
        self.content_bias = nn.Linear(config.content_dim, 1, bias=False)
        self.register_buffer("seen", torch.from_numpy(context.item_counts > 0).float().unsqueeze(1), persistent=False)

    def vectors(self, items: Tensor) -> tuple[Tensor, Tensor]:
        """Item numbers [...] to vectors [..., dim + content_dim] and biases [...]; each item is computed once."""
        distinct, place = torch.unique(items, return_inverse=True)
        content: Tensor = self.content(distinct)
        known = self.seen[distinct]
        if self.training:
            known = known * (torch.rand_like(known) >= self.drop)
        vectors = torch.cat([known * self.item(distinct), content], dim=-1)
        bias = self.content_bias(content).squeeze(-1) + known.squeeze(-1) * self.bias[distinct]
        return vectors[place], bias[place]


class VBPR:
    """Scores are user vector x item vector + item bias, latent and content side by side (He and McAuley, equation 4).

    Differs from the paper: latent vectors of items are left out at random in training, and the content may be of any
    columns and encoders, also such as learn with the model.

    Memory: that of `pairs_bytes` for (D + C) U + (D + 1) I + C (F + C) parameters for F features, of `content_bytes`
    for W stored numbers of an item, and 4 (6 W + 12 (D + C)) bytes for each item of which a batch needs the vector.
    Encoders that learn with the model come on top.
    """

    def __init__(self, config: VBPRConfig, context: BuildContext) -> None:
        self.config = config
        self.device = context.device
        self.everything = torch.arange(context.items, device=context.device)
        self.module: Factors = Factors(config, context).to(context.device)

    def queries(self, batch: Batch) -> Tensor:
        """The user vectors of the batch's pairs, [P, D]."""
        vectors: Tensor = self.module.user(batch.user)
        return vectors

    def logits(self, queries: Tensor, items: Tensor | None) -> Tensor:
        """Queries [P, D] with items [n] or [P, n] -> [P, n]; with None -> [P, I]."""
        vectors, bias = self.module.vectors(self.everything if items is None else items)
        if vectors.ndim == 2:  # noqa: PLR2004 - one list of items for all
            return queries @ vectors.T + bias
        return torch.einsum("pd,pnd->pn", queries, vectors) + bias

    def pace(self, epoch: int) -> Mapping[str, float]:
        """Encoders that learn with the model have a pace of their own (`PacedModel`)."""
        return pace(self.config.tower, epoch, "content.")

    def scores(self, requests: Requests) -> FloatArray:
        """Scores of all items, [B, I]."""
        known = requests.user_num != ABSENT
        user = torch.from_numpy(np.where(known, requests.user_num, 0).astype(np.int64)).to(self.device)
        self.module.eval()
        with torch.inference_mode():
            mask = torch.from_numpy(known).to(self.device).unsqueeze(1)
            vectors = torch.where(mask, self.module.user.weight[user], self.head()["output"])
            scores: FloatArray = self.logits(vectors, None).cpu().numpy()
        return scores

    def inputs(self, items: Tensor | None) -> Tensor:
        """Vectors of items, and their biases in the last column, [n, D + C + 1]; constants."""
        self.module.eval()
        with torch.no_grad():
            vectors, bias = self.module.vectors(self.everything if items is None else items)
            return torch.cat([vectors, bias.unsqueeze(-1)], dim=-1)

    def head(self) -> Mapping[str, Tensor]:
        """The mean user vector, [D + C]."""
        return {"output": self.module.user.weight.detach().mean(0)}

    def head_score(self, params: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        """Scores [n] of `inputs` [n, D + C + 1] for one user's vector."""
        return inputs[..., :-1] @ params["output"] + inputs[..., -1]

    def state(self) -> State:
        """The network's parameters; encoded columns are none."""
        return state_of(self.module)

    def load(self, state: State) -> None:
        """Take the network's parameters."""
        load_into(self.module, state)


def build(config: VBPRConfig, context: BuildContext) -> VBPR:
    """An untrained model whose weights follow from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(context.seed)
        return VBPR(config, context)


def memory(config: VBPRConfig, sizes: Sizes) -> float:
    """Bytes at most: see `VBPR`."""
    D, C, W = config.dim, config.content_dim, sizes.width
    parameters = (D + C) * sizes.users + (D + 1) * sizes.items + C * (sizes.features + C)
    rows = rows_at_once(config.training.batch_size, config.training, sizes.items)
    content = content_bytes(sizes.items, W, 0) + 4 * rows * (6 * W + 12 * (D + C))
    return content + pairs_bytes(parameters, D + C, config.training, sizes)


@hookimpl
def provide_models() -> list[ModelSpec]:
    """VBPR."""
    return [
        ModelSpec(
            name="vbpr",
            api_version=1,
            config=VBPRConfig,
            needs=frozenset({"item_features"}),
            offers=frozenset({"ranking", "new_users", "new_items"}),
            source=(
                "He and McAuley 2016, VBPR: Visual Bayesian Personalized Ranking from Implicit Feedback, "
                "https://arxiv.org/abs/1510.01784"
            ),
            build=build,
            training="gradient",
            examples="pairs",
            memory=memory,
            cost="minutes",
        )
    ]
