"""User offset: a user rates so much above or below what everybody would; nothing else is personal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from recsmith.contracts.config import Config
from recsmith.contracts.domains import Float
from recsmith.contracts.errors import PluginError
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, MetaLearnerSpec

if TYPE_CHECKING:
    from torch import Tensor

    from recsmith.contracts.tasks import Params, Score, Shots, TaskBlock


class UserOffsetConfig(Config):
    """Settings: `damping` is how many interactions without any offset are added to a user's own."""

    damping: Annotated[float, Float(0.1, 100.0, log=True)] = 10.0


@dataclass(frozen=True)
class UserOffset:
    """Adds the damped mean of what scores lack to the offset of the output, "output.bias".

    The simplest of the closed forms that a claim of learning to adapt must beat: it cannot change a ranking.
    """

    config: UserOffsetConfig
    adapts: str = "output"

    def adapt(self, score: Score, params: Params, support: Shots) -> Params:
        """One user's parameters: all but the offset are the common ones.

        Raises:
            PluginError: the head has no offset.
        """
        if "output.bias" not in params:
            raise PluginError(f"user_offset: the head has no 'output.bias', only {', '.join(params)}.")
        missing = (support.lacks(score(params, support.inputs)) * support.weight).sum()
        offset = missing / (support.weight.sum() + self.config.damping)
        return {**params, "output.bias": params["output.bias"] + offset}

    def outer(self, block: TaskBlock) -> Tensor:
        """The mean loss of the queries before adaptation."""
        return block.query_loss(block.start).mean()


def build(config: UserOffsetConfig, context: BuildContext) -> UserOffset:
    """A meta-learner."""
    return UserOffset(config)


@hookimpl
def provide_meta_learners() -> list[MetaLearnerSpec]:
    """The user offset."""
    return [
        MetaLearnerSpec(
            name="user_offset",
            api_version=1,
            config=UserOffsetConfig,
            source=(
                "Koren 2010, Factor in the Neighbors, doi:10.1145/1644873.1644874, section 2.1 (damped means as "
                "baseline predictors)"
            ),
            build=build,
        )
    ]
