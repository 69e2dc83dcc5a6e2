"""Model averaging: a user gets the mean of the heads that the inner steps pass through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import torch
from torch import nn

from recsmith.contracts.config import Config
from recsmith.contracts.domains import Categorical, Float, Int
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, MetaLearnerSpec
from recsmith_plugins.blocks.inner_loop import descend

if TYPE_CHECKING:
    from torch import Tensor

    from recsmith.contracts.tasks import Params, Score, Shots, TaskBlock


class AveragingConfig(Config):
    """Settings. `memory` is the share of the outer mean that a block leaves as it is."""

    adapts: Annotated[str, Categorical(("output", "context", "all"))] = "all"
    steps: Annotated[int, Int(2, 10)] = 4
    rate: Annotated[float, Float(1e-3, 1.0, log=True)] = 0.1
    memory: Annotated[float, Float(0.5, 0.999)] = 0.98


class Mean(nn.Module):
    """The running mean of the common head over the blocks of training."""

    def __init__(self, params: Params) -> None:
        super().__init__()
        self.names = tuple(params)
        self.register_buffer("blocks", torch.zeros(()))
        for place, tensor in enumerate(params.values()):
            self.register_buffer(f"mean_{place}", tensor.detach().clone())

    def update(self, params: Params, memory: float) -> None:
        """Take a block's head in; early on it is a plain mean."""
        blocks: Tensor = self.get_buffer("blocks")
        keep = torch.minimum(torch.tensor(memory, device=blocks.device), blocks / (blocks + 1))
        for place, name in enumerate(self.names):
            self.get_buffer(f"mean_{place}").mul_(keep).add_((1 - keep) * params[name].detach())
        blocks.add_(1)

    def head(self) -> dict[str, Tensor]:
        """The mean."""
        return {name: self.get_buffer(f"mean_{place}") for place, name in enumerate(self.names)}


class Averaging:
    """Stochastic weight averaging in both loops (Izmailov et al. 2018).

    A user's head is the mean of those after each inner step; when the model serves, the steps start from the running
    mean of the common head. Its case: noisy supports and high rates, where the last step is a matter of luck.
    """

    def __init__(self, config: AveragingConfig) -> None:
        self.config = config
        self.adapts = config.adapts

    def learns(self, params: Params, width: int) -> Mean:
        """The outer mean."""
        self.module = Mean(params)
        return self.module

    def adapt(self, score: Score, params: Params, support: Shots) -> Params:
        """One user's parameters."""
        head: Params = params
        if not self.module.training and not torch.is_grad_enabled():
            head = self.module.head()
        total = {name: torch.zeros_like(tensor) for name, tensor in head.items()}
        for _ in range(self.config.steps):
            head = descend(score, head, support, steps=1, rate=lambda *_: self.config.rate)
            total = {name: total[name] + tensor / self.config.steps for name, tensor in head.items()}
        return total

    def outer(self, block: TaskBlock) -> Tensor:
        """The mean loss of the queries; the start of this block is taken into the outer mean."""
        self.module.update(block.start, self.config.memory)
        return block.query_loss(block.adapted()).mean()


def build(config: AveragingConfig, context: BuildContext) -> Averaging:
    """A meta-learner."""
    return Averaging(config)


@hookimpl
def provide_meta_learners() -> list[MetaLearnerSpec]:
    """Model averaging."""
    return [
        MetaLearnerSpec(
            name="averaging",
            api_version=1,
            config=AveragingConfig,
            source=(
                "Izmailov, Podoprikhin, Garipov, Vetrov and Wilson 2018, Averaging Weights Leads to Wider Optima and "
                "Better Generalization, https://arxiv.org/abs/1803.05407"
            ),
            build=build,
        )
    ]
