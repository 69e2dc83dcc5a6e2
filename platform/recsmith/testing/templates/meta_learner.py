"""A few gradient steps on a user's own head, each of the best length, held near the head that everybody starts from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from torch.func import grad

from recsmith.contracts.config import Config
from recsmith.contracts.domains import Float, Int
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, MetaLearnerSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from recsmith.contracts.tasks import Params, Score, Shots

TINY = 1e-12  # keeps a step of length 0 from dividing by 0


class MyNameConfig(Config):
    """Settings."""

    steps: Annotated[int, Int(1, 10)] = 3  # the more, the nearer to ridge regression on the user's own interactions
    l2: Annotated[float, Float(1e-3, 1e2, log=True)] = 1.0  # holds the head to the start, in squared errors of one item


@dataclass(frozen=True)
class MyName:
    """Steepest descent on (sum of squared errors of the support + l2 * squared distance from the start) / 2.

    A step's length is the exact minimum along its direction where scores are linear in the head. It needs no outer
    loop: any trained head will do as the start, which is what "closed_form" offers.
    """

    config: MyNameConfig

    def adapt(self, score: Score, params: Params, support: Shots) -> Params:
        """One user's head, named and shaped as `params`: a pure function, run over many users by `vmap`."""
        start, root = dict(params), support.weight.sqrt()

        def scores(head: dict[str, Tensor]) -> Tensor:
            return score(head, support.inputs) * root  # [S]; padded places have no say

        def loss(head: dict[str, Tensor]) -> Tensor:
            errors = support.values * root - scores(head)
            away = {name: head[name] - start[name] for name in start}
            return (errors.square().sum() + self.config.l2 * _squared(away)) / 2

        head = start
        for _ in range(self.config.steps):
            slope = grad(loss)(head)
            ahead = {name: head[name] - slope[name] for name in head}
            bend = (scores(ahead) - scores(head)).square().sum() + self.config.l2 * _squared(slope)
            length = _squared(slope) / bend.clamp_min(TINY)
            head = {name: head[name] - length * slope[name] for name in head}
        return head


def _squared(tree: Mapping[str, Tensor]) -> Tensor:
    """The squared length of all tensors as one vector."""
    first, *others = (tensor.square().sum() for tensor in tree.values())
    return sum(others, start=first)


def build(config: MyNameConfig, context: BuildContext) -> MyName:
    """A meta-learner."""
    return MyName(config)


@hookimpl
def provide_meta_learners() -> list[MetaLearnerSpec]:
    """Offer the meta-learner."""
    return [
        MetaLearnerSpec(
            name="my_name",
            api_version=1,
            config=MyNameConfig,
            offers=frozenset({"closed_form"}),
            source="Nocedal and Wright 2006, Numerical Optimization, section 3.3 (steepest descent, exact line search)",
            build=build,
        )
    ]
