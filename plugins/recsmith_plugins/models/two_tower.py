"""Two towers: a vector for the user, from what was done so far, and one for each item, from content and identity.

The history is read as vectors of the item tower, so users and items that training has not seen are served alike. With
`history: transformer` this is SASRec over content, with an identity on top that may be left out (DropoutNet); with
`history: mean` a classical two-tower model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np
import torch
from torch import Tensor, nn

from recsmith.contracts.config import Choice, Config
from recsmith.contracts.content import ItemContent, UserContent
from recsmith.contracts.data import ABSENT, FloatArray, Requests, State
from recsmith.contracts.domains import Categorical, Float, Int, Narrowed, OneOf
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, ModelSpec, Sizes
from recsmith.contracts.training import Training
from recsmith_plugins.blocks.content_tower import Tower, TowerConfig, pace
from recsmith_plugins.blocks.histories import padded
from recsmith_plugins.blocks.memory import (
    BASE,
    LEARNT,
    SHUFFLED,
    chunk_bytes,
    content_bytes,
    logits_at_once,
    rows_at_once,
)
from recsmith_plugins.blocks.parameters import load_into, state_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recsmith.contracts.training import Batch

CHUNK = 256  # requests scored at once


class TwoTowerConfig(Config):
    """Settings. A user that training has not seen is what the history says: neither identity nor user columns."""

    dim: Annotated[int, Categorical((16, 32, 64, 128, 256))] = 64  # D
    max_length: Annotated[int, Int(20, 400, log=True)] = 100  # T, items of a history that are looked at
    history: Annotated[Choice, OneOf("blocks", needs=frozenset({"history"}))] = Choice(name="mean")
    content: ItemContent = ItemContent()
    user_content: UserContent = UserContent()
    user_ids: Annotated[bool, Categorical((False, True))] = False  # users have an identity as items have one
    tower: TowerConfig = TowerConfig()
    training: Annotated[
        Training,
        Narrowed({"learning_rate": Float(2e-4, 2e-2, log=True), "batch_size": Int(16, 256, log=True)}),
    ] = Training(batch_size=64, learning_rate=2e-3, loss=Choice(name="sampled_softmax", params={"negatives": 512}))


class Network(nn.Module):
    """Both towers."""

    seen: Tensor  # [I] items of the training rows

    def __init__(self, config: TwoTowerConfig, context: BuildContext) -> None:
        super().__init__()
        D = config.dim
        self.items = Tower(config.tower, context.item_counts > 0, context.item_content, D)
        with_users = config.user_ids or bool(context.user_content and context.user_content.features)
        identities = np.full(context.users, config.user_ids)
        self.users = Tower(config.tower, identities, context.user_content, D) if with_users else None
        self.start = nn.Parameter(config.tower.init_std * torch.randn(D))
        self.history = context.part("blocks", config.history).module(D, config.max_length)
        self.norm = nn.LayerNorm(D)
        self.bias = nn.Parameter(torch.zeros(context.items))
        self.register_buffer("seen", torch.from_numpy(context.item_counts > 0), persistent=False)

    def forward(self, user: Tensor, inputs: Tensor) -> Tensor:
        """Users [B] (ABSENT for new ones) and inputs [B, T] to queries [B, T, D]; no position sees what follows it."""
        vectors = self.items((inputs - 1).clamp_min(0))
        vectors = torch.where((inputs == 0).unsqueeze(2), self.start, vectors)
        summaries = self.history(vectors)
        if self.users is not None:
            known = (user != ABSENT).to(summaries.dtype).view(-1, 1, 1)
            summaries = summaries + known * self.users(user.clamp_min(0)).unsqueeze(1)
        queries: Tensor = self.norm(summaries)
        return queries


class TwoTower:
    """Scores are the products of the last position's query with the items' vectors, plus a bias of the seen ones.

    Memory, in bytes: `LEARNT` for each of (D + 1) I + D (F + 16 D) parameters for F features (and D U for identities of
    users), what `content_bytes` says of W stored numbers of an item, and `BASE`. In learning, for each of the B T
    positions of a batch 4 D H + 128, where H is 16, and 16 + 4 expansion more for each layer of a history that is no
    mean; for each item of which a batch needs the vector 4 (6 W + 12 D); 128 for each window, `SHUFFLED` for each
    interaction, 24 for each logit that is judged at once. In scoring, 4 D H for each position of 256 histories, 8 D for
    each item and four times the scores of a chunk. Columns of users, and encoders that learn with the model, come on
    top.
    """

    def __init__(self, config: TwoTowerConfig, context: BuildContext) -> None:
        self.config = config
        self.max_length = config.max_length
        self.device = context.device
        self.module: Network = Network(config, context).to(context.device)

    def queries(self, batch: Batch) -> Tensor:
        """Queries of the positions that have a target, [P, D]."""
        if batch.inputs is None or batch.targets is None:
            raise TypeError("two_tower learns from sequences")
        queries: Tensor = self.module(batch.user, batch.inputs)
        return queries[batch.targets >= 0]

    def logits(self, queries: Tensor, items: Tensor | None) -> Tensor:
        """Queries [P, D] with items [n] or [P, n] -> [P, n]; with None -> [P, I]."""
        network = self.module
        bias: Tensor = network.bias * network.seen
        if items is None:
            return queries @ network.items.table().T + bias
        vectors: Tensor = network.items(items)
        if items.ndim == 1:
            return queries @ vectors.T + bias[items]
        return torch.einsum("pd,pnd->pn", queries, vectors) + bias[items]

    def pace(self, epoch: int) -> Mapping[str, float]:
        """Encoders that learn with the model have a pace of their own (`PacedModel`)."""
        paces: dict[str, float] = {}
        for prefix in ("items.", "users."):
            paces |= pace(self.config.tower, epoch, prefix)
        return paces

    def scores(self, requests: Requests) -> FloatArray:
        """Scores of all items, [B, I]."""
        order = np.argsort(requests.histories.lengths, kind="stable")  # similar lengths together: little padding
        scores = np.empty((len(requests), self.module.items.rows), np.float32)
        user = torch.from_numpy(requests.user_num.astype(np.int64))
        self.module.eval()
        with torch.inference_mode():
            for start in range(0, len(order), CHUNK):
                rows = order[start : start + CHUNK]
                inputs, last = padded(requests.histories.take(rows), self.max_length)
                queries = self.module(user[rows].to(self.device), torch.from_numpy(inputs).to(self.device))
                query = queries[torch.arange(len(rows)), torch.from_numpy(last)]
                scores[rows] = self.logits(query, None).cpu().numpy()
        return scores

    def state(self) -> State:
        """The network's parameters; encoded columns are none."""
        return state_of(self.module)

    def load(self, state: State) -> None:
        """Take the network's parameters."""
        load_into(self.module, state)


def build(config: TwoTowerConfig, context: BuildContext) -> TwoTower:
    """An untrained model whose weights follow from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(context.seed)
        return TwoTower(config, context)


def memory(config: TwoTowerConfig, sizes: Sizes) -> float:
    """Bytes at most: see `TwoTower`."""
    D, F, W, training = config.dim, sizes.features, sizes.width, config.training
    with_content = bool(F or config.content.encoders)
    parameters = (D + 1) * sizes.items + D * (F + 16 * D) + D * sizes.users * config.user_ids
    T = min(config.max_length, sizes.longest + 1)
    windows = sizes.users + sizes.interactions // T
    positions = min(training.batch_size, windows) * T
    kept = 4 * D * (16 + _layers(config.history))
    rows = rows_at_once(positions, training, sizes.items)
    batch = positions * (kept + 128) + 4 * rows * (6 * W + 12 * D) + 24 * logits_at_once(training, sizes.items)
    learning = batch + 128 * windows + SHUFFLED * sizes.interactions
    scoring = min(CHUNK, sizes.users) * T * kept + 8 * D * sizes.items + 4 * chunk_bytes(sizes)
    content = content_bytes(sizes.items, W, config.tower.lookalikes) if with_content else 0.0
    return BASE + LEARNT * parameters + content + max(learning, scoring)


def _layers(history: Choice) -> int:
    """Numbers that a history holds for each of D, at most."""
    if history.name == "mean":
        return 0
    depth = max(int(history.params.get(name, 2)) for name in ("blocks", "layers"))
    return (depth + 1) * (16 + 4 * int(history.params.get("expansion", 1)))


@hookimpl
def provide_models() -> list[ModelSpec]:
    """The two-tower model."""
    return [
        ModelSpec(
            name="two_tower",
            api_version=1,
            config=TwoTowerConfig,
            offers=frozenset({"ranking", "new_users", "new_items"}),
            source=(
                "Covington, Adams and Sargin 2016, doi:10.1145/2959100.2959190; Volkovs, Yu and Poutanen 2017, "
                "DropoutNet: Addressing Cold Start in Recommender Systems (identity dropout)"
            ),
            build=build,
            training="gradient",
            examples="sequences",
            memory=memory,
            cost="minutes",
        )
    ]
