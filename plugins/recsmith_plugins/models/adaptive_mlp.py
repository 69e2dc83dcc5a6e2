"""Adaptive MLP: a small network over item vectors, part of which a meta-learner fits to each user."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import numpy as np
import torch
from torch import Tensor, nn

from recsmith.contracts.config import Choice, Config
from recsmith.contracts.content import ItemContent
from recsmith.contracts.domains import Float, Int, Narrowed, OneOf
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, ModelSpec, Sizes
from recsmith.contracts.tasks import Tasks
from recsmith.contracts.training import Training
from recsmith_plugins.blocks.content_tower import Tower, TowerConfig, pace
from recsmith_plugins.blocks.memory import BASE, DRAWN, KEYS, LEARNT, content_bytes, rows_at_once
from recsmith_plugins.blocks.next_item import seeded
from recsmith_plugins.blocks.parameters import load_into, state_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recsmith.contracts.data import FloatArray, Interactions, Requests, State

LARGEST = 0.9  # share of users who took an item, where some took it more than once
CELLS = 1 << 23  # numbers of inputs that the heads of several users look at in one go


class AdaptiveMLPConfig(Config):
    """Settings. With no hidden layer the head is linear: matrix factorisation whose users are fitted when they come."""

    dim: Annotated[int, Int(8, 128, log=True)] = 32  # of an item's vector
    context: Annotated[int, Int(1, 32, log=True)] = 8  # numbers of a user's context
    layers: Annotated[int, Int(0, 2)] = 1  # hidden
    hidden: Annotated[int, Int(8, 128, log=True)] = 32
    item_damping: Annotated[float, Float(0.1, 100.0, log=True)] = 5.0  # of their mean ratings, in ratings at the mean
    content: ItemContent = ItemContent()
    tower: TowerConfig = TowerConfig()
    meta_learner: Annotated[Choice, OneOf("meta_learners")] = Choice(name="r2d2")
    tasks: Tasks = Tasks(taken="first", support=20, query=32)
    training: Annotated[
        Training, Narrowed({"batch_size": Int(16, 512, log=True), "weight_decay": Float(1e-4, 10.0, log=True)})
    ] = Training(batch_size=64, learning_rate=3e-3, weight_decay=1.0)


class Network(nn.Module):
    """The items' vectors and biases, and the head that every user starts from."""

    def __init__(self, config: AdaptiveMLPConfig, context: BuildContext, bias: Tensor) -> None:
        super().__init__()
        tower = config.tower
        if not _has_columns(context):
            tower = tower.model_copy(update={"id_dropout": 0.0})  # identities are all there is
        self.items = Tower(tower, context.item_counts > 0, context.item_content, config.dim)
        self.bias = nn.Parameter(torch.zeros_like(bias))  # beyond the first one, so that its decay leads back there
        self.first: Tensor
        self.register_buffer("first", bias)
        sizes: dict[str, tuple[int, ...]] = {"context": (config.context,)}
        width = config.dim + config.context
        for layer in range(config.layers):
            sizes |= {f"hidden.{layer}.weight": (width, config.hidden), f"hidden.{layer}.bias": (config.hidden,)}
            width = config.hidden
        width = config.dim + config.context + (config.hidden if config.layers else 0)
        sizes |= {"output.weight": (width,), "output.bias": ()}
        self.names = tuple(sizes)
        self.head = nn.ParameterList([nn.Parameter(_first(name, size)) for name, size in sizes.items()])


def _has_columns(context: BuildContext) -> bool:
    content = context.item_content
    return content is not None and any(features.shape[1] for features in content.features.values())


def _first(name: str, size: tuple[int, ...]) -> Tensor:
    """The first value of a parameter: zeros but for the weights, which keep the scale of what they multiply."""
    if not name.endswith("weight"):
        return torch.zeros(size)
    return torch.randn(size) * math.sqrt((2.0 if name.startswith("hidden") else 0.1) / size[0])


class AdaptiveMLP:
    """Score of item i: b_i + w [v_i; c; h] + b, where h is a ReLU network of [v_i; c].

    The head is the user's own: context c, layers, w and b start from common values and are adapted, all or some, to
    the user's interactions by the meta-learner; vectors v_i, of the items' identities and columns, and biases b_i are
    learnt over all tasks. Biases start from damped mean ratings or, to rank, from the logit of the share of users who
    took the item (the mean of these for one that nobody took, but that has columns). It unites what MeLU (Lee et al.
    2019: decision layers adapt, embeddings do not), CAVIA (Zintgraf et al. 2019: a context adapts) and a linear head
    (Bertinetto et al. 2019) have. Users have no table: known ones are fitted like new ones.

    Memory, in bytes: `LEARNT` for each parameter; `KEYS` for each interaction; 160 for each of the numbers that the
    layers give for the items of a block (supports, background, queries, negatives), or for those of a batch of
    requests, whichever are more; what `content_bytes` says of W stored numbers of an item's columns, and 24 W for each
    item of a block.
    """

    def __init__(self, config: AdaptiveMLPConfig, context: BuildContext) -> None:
        self.config = config
        counts = torch.from_numpy(context.item_counts).float()
        self.ratings = context.ratings
        taken = (counts + 1) / (context.users + 2)  # by this share of the users, about
        bias = taken.clamp_max(LARGEST).logit() if self.ratings is None else torch.full_like(counts, self.ratings.mean)
        if _has_columns(context) and counts.any():
            bias[counts == 0] = bias[counts > 0].mean()  # new, not unpopular
        self.module: Network = seeded(lambda: Network(config, context, bias), context).to(context.device)  # type: ignore[assignment]

    def graph(self, interactions: Interactions) -> None:
        """Take the first biases from the training rows, where there are ratings: damped means of the items."""
        value = interactions.histories.value
        if self.ratings is not None and value is not None:
            item, mean, damping = interactions.histories.item_num, self.ratings.mean, self.config.item_damping
            sums = np.bincount(item, value.astype(np.float64) - mean, interactions.items)
            first = mean + sums / (interactions.counts + damping)
            self.module.first.copy_(torch.from_numpy(first.astype(np.float32)))

    def pace(self, epoch: int) -> Mapping[str, float]:
        """Encoders that learn with the model have a pace of their own (`PacedModel`)."""
        return pace(self.config.tower, epoch, "items.")

    def inputs(self, items: Tensor | None) -> Tensor:
        """Vectors of items, and their biases in the last column, [..., D + 1]."""
        chosen = slice(None) if items is None else items
        bias = self.module.bias[chosen] + self.module.first[chosen]
        vectors = self.module.items.table() if items is None else self.module.items(items)
        return torch.cat([vectors, bias.unsqueeze(-1)], dim=-1)

    def head(self) -> Mapping[str, Tensor]:
        """The common head."""
        return dict(zip(self.module.names, self.module.head, strict=True))

    def head_score(self, params: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        """Scores [n] of `inputs` [n, D + 1] for one user."""
        context = params["context"]
        given = torch.cat([inputs[..., :-1], context.expand(*inputs.shape[:-1], -1)], dim=-1)
        parts, hidden = [given], given
        for layer in range(self.config.layers):
            hidden = torch.relu(hidden @ params[f"hidden.{layer}.weight"] + params[f"hidden.{layer}.bias"])
        if self.config.layers:
            parts.append(hidden)
        return inputs[..., -1] + torch.cat(parts, dim=-1) @ params["output.weight"] + params["output.bias"]

    def scores(self, requests: Requests) -> FloatArray:
        """Scores of all items by the common head, [B, I]: those of a user of whom nothing is known."""
        with torch.no_grad():
            scores = self.head_score(self.head(), self.inputs(None)).cpu().numpy()
        return np.tile(scores, (len(requests), 1))

    def state(self) -> State:
        """All parameters."""
        return state_of(self.module)

    def load(self, state: State) -> None:
        """Take them."""
        load_into(self.module, state)


def build(config: AdaptiveMLPConfig, context: BuildContext) -> AdaptiveMLP:
    """An untrained model."""
    return AdaptiveMLP(config, context)


def memory(config: AdaptiveMLPConfig, sizes: Sizes) -> float:
    """Bytes at most: see `AdaptiveMLP`."""
    tasks, training = config.tasks, config.training
    layers = config.dim + config.context + config.hidden * config.layers
    parameters = sizes.items * (config.dim + 1) + layers * (1 + config.hidden) + config.dim * sizes.features
    queries = training.batch_size * tasks.query
    judged = rows_at_once(queries, training, sizes.items) if training.loss.name in DRAWN else sizes.items
    block = training.batch_size * (tasks.support + tasks.background + tasks.query + judged)
    requests = 256 * (200 + tasks.background) + max(sizes.items, CELLS // (config.dim + 1))
    content = content_bytes(sizes.items, sizes.width, config.tower.lookalikes) if sizes.features else 0.0
    content += 24 * sizes.width * min(sizes.items, block)
    return BASE + LEARNT * parameters + KEYS * sizes.interactions + 160 * layers * max(block, requests) + content


@hookimpl
def provide_models() -> list[ModelSpec]:
    """The adaptive MLP."""
    return [
        ModelSpec(
            name="adaptive_mlp",
            api_version=1,
            config=AdaptiveMLPConfig,
            needs=frozenset({"cold_users"}),
            offers=frozenset({"ranking", "ratings", "new_users", "new_items"}),
            source=(
                "Lee, Im, Jang, Cho and Chung 2019, MeLU: Meta-Learned User Preference Estimator for Cold-Start "
                "Recommendation, https://arxiv.org/abs/1908.00413; Zintgraf et al. 2019, CAVIA, "
                "https://arxiv.org/abs/1810.03642"
            ),
            build=build,
            training="gradient",
            examples="tasks",
            memory=memory,
            cost="minutes",
        )
    ]
