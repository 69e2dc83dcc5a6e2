"""MultVAE: a variational autoencoder of users' rows under a multinomial likelihood.

Differs from Liang et al. (2018): the weight of the divergence grows epoch by epoch, not step by step, and its end value
is searched rather than read off an annealing run; decoupled weight decay; the loss may be another one than the
likelihood (a sampled softmax for large catalogues).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from torch import Tensor, nn, tanh

from recsmith.contracts.config import Choice, Config
from recsmith.contracts.domains import Float, Int, Narrowed
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, ModelSpec, Sizes
from recsmith.contracts.training import Training
from recsmith_plugins.blocks.dropout import Dropout
from recsmith_plugins.blocks.next_item import seeded
from recsmith_plugins.blocks.variational import RowModel, divergence, row_memory, unit

if TYPE_CHECKING:
    from collections.abc import Mapping


class MultVAEConfig(Config):
    """Settings. The weight of the divergence grows to `beta` in equal steps over the first `annealing` epochs."""

    hidden: Annotated[int, Int(64, 1024, log=True)] = 600  # D, width of the layers on both sides
    latent: Annotated[int, Int(16, 512, log=True)] = 200  # L
    dropout: Annotated[float, Float(0.0, 0.8)] = 0.5  # of the items that are read
    beta: Annotated[float, Float(0.0, 1.0)] = 0.2
    annealing: Annotated[int, Int(1, 50, log=True)] = 10  # epochs
    training: Annotated[
        Training,
        Narrowed({"learning_rate": Float(2e-4, 1e-2, log=True), "batch_size": Int(16, 512, log=True)}),
    ] = Training(batch_size=32, learning_rate=3e-3, loss=Choice(name="full_softmax"))


class Network(nn.Module):
    """One layer to the latent Gaussian, one back."""

    def __init__(self, config: MultVAEConfig, items: int) -> None:
        super().__init__()
        self.config = config
        self.beta = config.beta
        self.dropout = Dropout(config.dropout)
        self.inputs = nn.Linear(items, config.hidden)
        self.gaussian = nn.Linear(config.hidden, 2 * config.latent)
        self.hidden = nn.Linear(config.latent, config.hidden)
        self.output = nn.Linear(config.hidden, items)
        for layer in (self.inputs, self.gaussian, self.hidden, self.output):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.normal_(layer.bias, std=0.001)

    def encode(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Rows [B, I] -> mean and log variance, [B, L] each."""
        mean, log_variance = self.gaussian(tanh(self.inputs(self.dropout(unit(rows))))).chunk(2, dim=1)
        return mean, log_variance

    def decode(self, latent: Tensor) -> Tensor:
        """[B, L] -> [B, D]."""
        return tanh(self.hidden(latent))

    def term(self, rows: Tensor, latent: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
        """Beta times the divergence from the standard normal distribution, in closed form."""
        return self.beta * divergence(mean, log_variance).sum()

    def begin(self, epoch: int) -> None:
        """Take this epoch's beta."""
        self.beta = self.config.beta * min(1.0, epoch / self.config.annealing)

    def pace(self, epoch: int) -> Mapping[str, float]:
        """All parts learn alike."""
        return {}


def memory(config: MultVAEConfig, sizes: Sizes) -> float:
    """Bytes at most: see `row_memory`."""
    outer = (sizes.items + 1) * config.hidden
    inner = (config.hidden + 1) * 2 * config.latent + (config.latent + 1) * config.hidden
    decoder = outer + sizes.items
    return row_memory(outer + inner + decoder, decoder, config.hidden, config.training, sizes)


def build(config: MultVAEConfig, context: BuildContext) -> RowModel:
    """An untrained model whose weights follow from the seed."""
    return RowModel(seeded(lambda: Network(config, context.items), context), context.items, context.device)


@hookimpl
def provide_models() -> list[ModelSpec]:
    """MultVAE."""
    return [
        ModelSpec(
            name="mult_vae",
            api_version=1,
            config=MultVAEConfig,
            offers=frozenset({"ranking", "new_users"}),
            source=(
                "Liang, Krishnan, Hoffman and Jebara 2018, Variational Autoencoders for Collaborative Filtering, "
                "https://arxiv.org/abs/1802.05814"
            ),
            build=build,
            training="gradient",
            examples="user_rows",
            memory=memory,
            cost="minutes",
        )
    ]
