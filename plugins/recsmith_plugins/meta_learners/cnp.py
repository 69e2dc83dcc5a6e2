"""Feed-forward context: a network reads the support and writes the user's parameters, without a single step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import torch
from torch import Tensor, nn

from recsmith.contracts.config import Config
from recsmith.contracts.domains import Categorical, Int
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, MetaLearnerSpec
from recsmith_plugins.blocks.ridge_head import moved

if TYPE_CHECKING:
    from recsmith.contracts.tasks import Params, Score, Shots


class CNPConfig(Config):
    """Settings."""

    adapts: Annotated[str, Categorical(("context", "output", "all"))] = "output"
    hidden: Annotated[int, Int(16, 128, log=True)] = 64


class Encoder(nn.Module):
    """Shots to one vector, by a network of each and their mean; that and their number to a step of the head."""

    def __init__(self, config: CNPConfig, width: int, numbers: int) -> None:
        super().__init__()
        hidden = config.hidden
        self.shot = nn.Sequential(nn.Linear(width + 2, hidden), nn.ReLU(), nn.Linear(hidden, hidden))
        last = nn.Linear(hidden, numbers)
        nn.init.zeros_(last.weight)  # nobody moves before something is learnt
        nn.init.zeros_(last.bias)
        self.step = nn.Sequential(nn.ReLU(), nn.Linear(hidden + 1, hidden), nn.ReLU(), last)

    def forward(self, shots: Tensor, weight: Tensor) -> Tensor:
        """Shots [S, F + 2], their weights [S] -> a step [D]."""
        total = weight.sum()
        mean = (self.shot(shots) * weight[:, None]).sum(dim=0) / total.clamp_min(1e-6)
        found: Tensor = self.step(torch.cat([mean, total.log1p()[None]]))
        return found


class CNP:
    """A step of the head by a network of the shots, each as inputs, value and what the common head lacks of it.

    Its case: very few interactions, and users of whom there are many alike: what they have in common is learnt, not
    searched for at each user. Differs from Garnelo et al. 2018: the code of the support moves the head that exists
    instead of feeding a decoder of its own, and the number of shots is told.
    """

    def __init__(self, config: CNPConfig) -> None:
        self.config = config
        self.adapts = config.adapts

    def learns(self, params: Params, width: int) -> Encoder:
        """The network."""
        self.module = Encoder(self.config, width, sum(tensor.numel() for tensor in params.values()))
        return self.module

    def adapt(self, score: Score, params: Params, support: Shots) -> Params:
        """One user's parameters."""
        lacks = support.lacks(score(params, support.inputs))
        shots = torch.cat([support.inputs, support.values[:, None], lacks[:, None]], dim=1)
        return moved(params, self.module(shots, support.weight))


def build(config: CNPConfig, context: BuildContext) -> CNP:
    """A meta-learner."""
    return CNP(config)


@hookimpl
def provide_meta_learners() -> list[MetaLearnerSpec]:
    """The feed-forward context."""
    return [
        MetaLearnerSpec(
            name="cnp",
            api_version=1,
            config=CNPConfig,
            source=(
                "Garnelo et al. 2018, Conditional Neural Processes, https://arxiv.org/abs/1807.01613; in "
                "recommendation Lin et al. 2021, TaNP, https://arxiv.org/abs/2103.06137"
            ),
            build=build,
        )
    ]
