"""Policy gradient: a policy that learns by reward decides how many steps a user gets and which tasks teach."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from recsmith.contracts.config import Config
from recsmith.contracts.domains import Categorical, Float, Int
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, MetaLearnerSpec
from recsmith_plugins.blocks.inner_loop import descend

if TYPE_CHECKING:
    from recsmith.contracts.tasks import Params, Score, Shots, TaskBlock

FACTS = 4  # that the policy knows of a support


class PolicyGradientConfig(Config):
    """Settings. `weight` is that of the policy's loss beside the outer loss."""

    adapts: Annotated[str, Categorical(("output", "context", "all"))] = "all"
    steps: Annotated[int, Int(1, 6)] = 4  # at most
    rate: Annotated[float, Float(1e-3, 1.0, log=True)] = 0.05
    weight: Annotated[float, Float(0.01, 10.0, log=True)] = 1.0
    hidden: int = 16


class Policy(nn.Module):
    """Facts of a support to logits of 0, 1, ... steps, and to that of learning from the task."""

    def __init__(self, config: PolicyGradientConfig) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(FACTS, config.hidden), nn.Tanh())
        self.steps = nn.Linear(config.hidden, config.steps + 1)
        self.learns = nn.Linear(config.hidden, 1)
        for last in (self.steps, self.learns):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
        nn.init.constant_(self.learns.bias, 2.0)  # nearly every task, at first
        with torch.no_grad():
            self.steps.bias[-1] = 1.0  # and more often than not all steps

    def forward(self, facts: Tensor) -> tuple[Tensor, Tensor]:
        """Facts [..., FACTS] -> logits of the number of steps [..., A], logit of learning [...]."""
        read = self.body(facts)
        return self.steps(read), self.learns(read).squeeze(-1)


class PolicyGradient:
    """REINFORCE (Williams 1992) over two choices at each task: the number of inner steps, and whether to learn from it.

    The reward is the fall of the query's loss that adaptation brings, less its mean over the block; a task that was
    passed over has none. Facts of a support:
    its size, the mean and spread of what scores lack, and its error. When it serves the likeliest number of steps is
    taken. Its case: supports of mixed worth, some of which a step makes worse (Xu et al. 2020, Meta-reinforcement of
    task selection, choose tasks in that way too).
    """

    def __init__(self, config: PolicyGradientConfig) -> None:
        self.config = config
        self.adapts = config.adapts
        self.taken: int | None = None  # in training: the steps that all tasks of a block take

    def learns(self, params: Params, width: int) -> Policy:
        """The policy."""
        self.module = Policy(self.config)
        return self.module

    def adapt(self, score: Score, params: Params, support: Shots) -> Params:
        """One user's parameters."""
        if self.taken is not None:
            return self._after(score, params, support, self.taken)
        logits, _ = self.module(facts_of(score(params, support.inputs), support))
        chosen = logits.argmax(dim=-1)
        found, head = dict(params), params
        for step in range(1, self.config.steps + 1):
            head = self._after(score, head, support, 1)
            found = {name: torch.where(chosen >= step, head[name], found[name]) for name in found}
        return found

    def _after(self, score: Score, params: Params, support: Shots, steps: int) -> Params:
        return descend(score, params, support, steps=steps, rate=lambda *_: self.config.rate, second_order=0.0)

    def outer(self, block: TaskBlock) -> Tensor:
        """The loss of the queries that were chosen, after as many steps as were chosen, and the policy's."""
        losses = []
        for steps in range(self.config.steps + 1):
            self.taken = steps
            losses.append(block.query_loss(block.adapted() if steps else block.start))
        self.taken = None
        table = torch.stack(losses, dim=1)  # [B, A]
        logits, learns = self.module(block.read(facts_of))
        taken = torch.multinomial(logits.softmax(dim=-1), 1)  # [B, 1]
        used = torch.bernoulli(learns.sigmoid())  # [B]
        loss = table.gather(1, taken).squeeze(1)
        fall = (table[:, 0] - loss).detach()
        fall = fall - fall.mean()
        chosen = logits.log_softmax(dim=-1).gather(1, taken).squeeze(1) + used * logsigmoid(learns)
        policy = -(fall * chosen).mean()
        whole: Tensor = (loss * used).sum() / used.sum().clamp_min(1.0) + self.config.weight * policy
        return whole


def facts_of(scores: Tensor, support: Shots) -> Tensor:
    """What the policy knows of a support, [FACTS]."""
    weight, total = support.weight, support.weight.sum()
    lacks = support.lacks(scores)
    mean = (lacks * weight).sum() / total.clamp_min(1e-6)
    spread = ((lacks - mean).square() * weight).sum() / total.clamp_min(1e-6)
    return torch.stack([total.log1p(), mean, spread, support.error(scores)]).detach()


def build(config: PolicyGradientConfig, context: BuildContext) -> PolicyGradient:
    """A meta-learner."""
    return PolicyGradient(config)


@hookimpl
def provide_meta_learners() -> list[MetaLearnerSpec]:
    """Policy gradient."""
    return [
        MetaLearnerSpec(
            name="policy_gradient",
            api_version=1,
            config=PolicyGradientConfig,
            source=(
                "Williams 1992, Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement "
                "Learning, doi:10.1007/BF00992696"
            ),
            build=build,
        )
    ]
