"""Ridge fold-in: one user's head by least squares from few interactions, pulled towards the common head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from recsmith.contracts.config import Config
from recsmith.contracts.domains import Float
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, MetaLearnerSpec
from recsmith_plugins.blocks.ridge_head import moved, ridge_step, ridge_system

if TYPE_CHECKING:
    from torch import Tensor

    from recsmith.contracts.tasks import Params, Score, Shots, TaskBlock


class RidgeFoldInConfig(Config):
    """Settings: `l2` holds the head to the common one, in units of one interaction's squared error."""

    l2: Annotated[float, Float(1e-3, 1e3, log=True)] = 1.0


@dataclass(frozen=True)
class RidgeFoldIn:
    """w0 + (J'J + l2)^-1 J'(y - f(w0)), J the Jacobian of the scores f at the common head w0.

    Exact where the scores are linear in the head's parameters, one Gauss-Newton step elsewhere. The common head learns
    as if nobody adapted, on queries alone, so it is what a claim of learning to adapt must beat; `r2d2` learns through
    the same step.
    """

    config: RidgeFoldInConfig
    adapts: str = "output"

    def adapt(self, score: Score, params: Params, support: Shots) -> Params:
        """One user's parameters, named and shaped as `params`; a shot counts by its weight."""
        rows, sides = ridge_system(score, params, support)
        return moved(params, ridge_step(rows, sides, self.config.l2))

    def outer(self, block: TaskBlock) -> Tensor:
        """The mean loss of the queries before adaptation."""
        return block.query_loss(block.start).mean()


def build(config: RidgeFoldInConfig, context: BuildContext) -> RidgeFoldIn:
    """A meta-learner."""
    return RidgeFoldIn(config)


@hookimpl
def provide_meta_learners() -> list[MetaLearnerSpec]:
    """Ridge fold-in."""
    spec = MetaLearnerSpec(
        name="ridge_fold_in",
        api_version=1,
        config=RidgeFoldInConfig,
        offers=frozenset({"closed_form"}),
        source=(
            "Hoerl and Kennard 1970, doi:10.1080/00401706.1970.10488634; of a new user among fixed items, Hu, Koren "
            "and Volinsky 2008, doi:10.1109/ICDM.2008.22"
        ),
        build=build,
    )
    return [spec]
