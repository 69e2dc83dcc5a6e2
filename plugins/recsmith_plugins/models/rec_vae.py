"""RecVAE: MultVAE with a deeper encoder and a prior that remembers the last one; both sides take turns.

Differs from Shenbin et al. (2020): a turn of the encoder or of the decoder is an epoch of the platform, so epochs,
patience and schedule count both; by default turns are equally many (ml-100k, 60 epochs, validation NDCG@10: .085 with
one epoch of the encoder for each of the decoder's; with three, as in the paper, .079); until its first update the prior
remembers the encoder's first weights, not those of another random network; one optimiser for both sides; decoupled
weight decay; the loss may be another one than the multinomial likelihood.
"""

from __future__ import annotations

import math
from copy import deepcopy
from typing import TYPE_CHECKING, Annotated

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from recsmith.contracts.config import Choice, Config
from recsmith.contracts.domains import Float, Int, Narrowed
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, ModelSpec, Sizes
from recsmith.contracts.training import Training
from recsmith_plugins.blocks.dropout import Dropout
from recsmith_plugins.blocks.next_item import seeded
from recsmith_plugins.blocks.variational import RowModel, log_density, row_memory, unit

if TYPE_CHECKING:
    from collections.abc import Mapping

LAYERS = 5  # of the encoder
NORM_EPS = 0.1
STANDARD = 0.6  # share of the standard normal in what the remembered encoder leaves of the prior; the rest is wide
WIDE = 10.0  # log variance of the wide part


class RecVAEConfig(Config):
    """Settings. A user's divergence weighs `gamma` times the number of its items.

    The encoder learns for `encoder_epochs`, then the decoder for one, and so on.
    """

    hidden: Annotated[int, Int(64, 1024, log=True)] = 256
    latent: Annotated[int, Int(16, 512, log=True)] = 128  # L, and D: the decoder is the output layer alone
    dropout: Annotated[float, Float(0.0, 0.8)] = 0.5  # of the items that the encoder reads while it learns
    gamma: Annotated[float, Float(1e-4, 0.1, log=True)] = 0.005
    memory_share: Annotated[float, Float(0.0, 0.95)] = 0.75  # of the remembered encoder in the prior
    encoder_epochs: Annotated[int, Int(1, 5)] = 1
    training: Annotated[
        Training,
        Narrowed({"learning_rate": Float(1e-4, 1e-2, log=True), "batch_size": Int(16, 512, log=True)}),
    ] = Training(batch_size=32, learning_rate=3e-3, patience=10, loss=Choice(name="full_softmax"))


class Encoder(nn.Module):
    """Layers that each read the sum of all before; swish, layer norm, and two linear heads."""

    def __init__(self, hidden: int, latent: int, items: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(items if layer == 0 else hidden, hidden) for layer in range(LAYERS)])
        self.norms = nn.ModuleList([nn.LayerNorm(hidden, eps=NORM_EPS) for _ in range(LAYERS)])
        self.gaussian = nn.Linear(hidden, 2 * latent)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Rows [B, I] of unit length -> mean and log variance, [B, L] each."""
        before: Tensor | None = None
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = norm(silu(layer(x) if before is None else layer(x) + before))
            before = x if before is None else before + x
        mean, log_variance = self.gaussian(x).chunk(2, dim=1)
        return mean, log_variance


class Network(nn.Module):
    """The encoder, the encoder as it was when the decoder last had its turn, and the decoder."""

    def __init__(self, config: RecVAEConfig, items: int) -> None:
        super().__init__()
        self.config = config
        self.decoding = False
        self.dropout = Dropout(config.dropout)
        self.encoder = Encoder(config.hidden, config.latent, items)
        self.remembered = deepcopy(self.encoder).requires_grad_(requires_grad=False)
        self.output = nn.Linear(config.latent, items)

    def encode(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Rows [B, I] -> mean and log variance, [B, L] each; without dropout in the decoder's turn."""
        x = unit(rows)
        mean, log_variance = self.encoder(x if self.decoding else self.dropout(x))
        return mean, log_variance

    def decode(self, latent: Tensor) -> Tensor:
        """The latent vectors themselves, [B, L]."""
        return latent

    def term(self, rows: Tensor, latent: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
        """Gamma times the items of each user times one draw of its divergence; nothing in the decoder's turn."""
        if self.decoding:
            return latent.new_zeros(())
        distance = (log_density(latent, mean, log_variance) - self.log_prior(rows, latent)).sum(1)
        return self.config.gamma * (rows.sum(1) * distance).sum()

    def log_prior(self, rows: Tensor, latent: Tensor) -> Tensor:
        """Log density of each latent element, [B, L], under the mixture: remembered, standard and wide normals."""
        share = self.config.memory_share
        parts = [
            log_density(latent, 0.0, 0.0) + math.log((1.0 - share) * STANDARD),
            log_density(latent, 0.0, WIDE) + math.log((1.0 - share) * (1.0 - STANDARD)),
        ]
        if share > 0.0:
            with torch.no_grad():
                mean, log_variance = self.remembered(unit(rows))
            parts.append(log_density(latent, mean.float(), log_variance.float()) + math.log(share))
        return torch.logsumexp(torch.stack(parts), dim=0)

    def begin(self, epoch: int) -> None:
        """Give the turn to the encoder or the decoder; the prior remembers the encoder as it is after its turn."""
        self.decoding = self._is_decoders(epoch)
        if self.decoding:
            self.remembered.load_state_dict(self.encoder.state_dict())

    def pace(self, epoch: int) -> Mapping[str, float]:
        """Only the side whose turn it is learns."""
        decoding = self._is_decoders(epoch)
        return {"encoder.": 0.0 if decoding else 1.0, "output.": 1.0 if decoding else 0.0}

    def _is_decoders(self, epoch: int) -> bool:
        return epoch % (self.config.encoder_epochs + 1) == 0


def memory(config: RecVAEConfig, sizes: Sizes) -> float:
    """Bytes at most: see `row_memory`. The encoder counts a second time as the one that is remembered."""
    H, L = config.hidden, config.latent
    encoder = (sizes.items + (LAYERS - 1) * H + 2 * L + 3 * LAYERS) * (H + 1)
    decoder = sizes.items * (L + 1)
    return row_memory(encoder + decoder, decoder, L, config.training, sizes) + 2 * 4 * encoder


def build(config: RecVAEConfig, context: BuildContext) -> RowModel:
    """An untrained model whose weights follow from the seed."""
    return RowModel(seeded(lambda: Network(config, context.items), context), context.items, context.device)


@hookimpl
def provide_models() -> list[ModelSpec]:
    """RecVAE."""
    return [
        ModelSpec(
            name="rec_vae",
            api_version=1,
            config=RecVAEConfig,
            offers=frozenset({"ranking", "new_users"}),
            source=(
                "Shenbin, Alekseev, Tutubalina, Malykh and Nikolenko 2020, RecVAE: A New Variational Autoencoder for "
                "Top-N Recommendations with Implicit Feedback, https://arxiv.org/abs/1912.11160"
            ),
            build=build,
            training="gradient",
            examples="user_rows",
            memory=memory,
            cost="minutes",
        )
    ]
