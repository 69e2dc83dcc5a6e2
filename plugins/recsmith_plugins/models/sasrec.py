"""SASRec: a causal Transformer over a user's history; every position predicts the next item.

Differs from Kang and McAuley (2018): trained on whole histories with a softmax instead of one binary negative; keys and
values are normalised like queries; dropout on sublayers but not on attention weights (which would leave the fused
kernel); a learned start token opens every history, so that an empty one has a query of its own; positions count from
the oldest item of the window.
"""

from __future__ import annotations

from typing import Annotated

from recsmith.contracts.config import Choice, Config
from recsmith.contracts.domains import Categorical, Float, Int, Narrowed
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, ModelSpec, Sizes
from recsmith.contracts.training import Training
from recsmith_plugins.blocks.causal_stack import CausalStack, stack_bytes
from recsmith_plugins.blocks.next_item import NextItemModel, seeded
from recsmith_plugins.blocks.transformer import Block


class SASRecConfig(Config):
    """Settings. `init_std` is the deviation of the first weights."""

    heads: Annotated[int, Int(1, 4)] = 2
    head_dim: Annotated[int, Int(8, 64, log=True)] = 32  # the width D is heads x head_dim
    blocks: Annotated[int, Int(1, 4)] = 2
    max_length: Annotated[int, Int(20, 400, log=True)] = 100  # T, items of a history that are looked at
    dropout: Annotated[float, Float(0.0, 0.6)] = 0.3
    expansion: Annotated[int, Int(1, 4)] = 1  # hidden width of the feed-forward layers, in D
    activation: Annotated[str, Categorical(("relu", "gelu", "silu"))] = "gelu"
    norm: Annotated[str, Categorical(("layer", "rms"))] = "layer"
    norm_first: Annotated[bool, Categorical((True, False))] = True  # before or after each sublayer
    tied: Annotated[bool, Categorical((True, False))] = True  # one item table for inputs and outputs
    init_std: Annotated[float, Float(0.005, 0.2, log=True)] = 0.02
    recompute: bool = False  # less memory for a third more time; the numbers stay the same
    training: Annotated[
        Training,
        Narrowed({"learning_rate": Float(2e-4, 2e-2, log=True), "batch_size": Int(16, 256, log=True)}),
    ] = Training(batch_size=32, learning_rate=2e-3, loss=Choice(name="sampled_softmax", params={"negatives": 512}))


def network(config: SASRecConfig, items: int) -> CausalStack:
    """The network, untrained."""
    return CausalStack(config, items, lambda D: Block(config, D))


def build(config: SASRecConfig, context: BuildContext) -> NextItemModel:
    """An untrained model whose weights follow from the seed."""
    made = seeded(lambda: network(config, context.items), context)
    return NextItemModel(made, context.items, config.max_length, context.device)


def memory(config: SASRecConfig, sizes: Sizes) -> float:
    """Bytes, see `stack_bytes`: a position holds (16 + 4 expansion) D numbers in each block."""
    return stack_bytes(config, 16 + 4 * config.expansion, lambda: network(config, sizes.items), sizes)


@hookimpl
def provide_models() -> list[ModelSpec]:
    """SASRec."""
    return [
        ModelSpec(
            name="sasrec",
            api_version=1,
            config=SASRecConfig,
            needs=frozenset({"order"}),
            offers=frozenset({"ranking", "new_users"}),
            source=(
                "Kang and McAuley 2018, Self-Attentive Sequential Recommendation, https://arxiv.org/abs/1808.09781"
            ),
            build=build,
            training="gradient",
            examples="sequences",
            cost="minutes",
            memory=memory,
        )
    ]
