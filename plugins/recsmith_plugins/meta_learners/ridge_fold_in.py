"""Ridge fold-in: one user's head by least squares from few interactions, pulled towards the common head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import torch
from torch.func import jacrev

from recsmith.contracts.config import Config
from recsmith.contracts.domains import Float
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, MetaLearnerSpec, Support

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor


class RidgeFoldInConfig(Config):
    """Settings: `l2` holds the head to the common one, in units of one interaction's squared error."""

    l2: Annotated[float, Float(1e-3, 1e3, log=True)] = 1.0


def _step(jacobian: Tensor, residual: Tensor, l2: float) -> Tensor:
    """The d [D] that minimises |residual - jacobian d|^2 + l2 |d|^2, through the smaller of two equal systems."""
    support, width = jacobian.shape
    if width > support:
        system = jacobian @ jacobian.T + l2 * torch.eye(support, dtype=jacobian.dtype, device=jacobian.device)
        weights: Tensor = torch.linalg.solve(system, residual)
        return jacobian.T @ weights
    system = jacobian.T @ jacobian + l2 * torch.eye(width, dtype=jacobian.dtype, device=jacobian.device)
    step: Tensor = torch.linalg.solve(system, jacobian.T @ residual)
    return step


@dataclass(frozen=True)
class RidgeFoldIn:
    """w0 + (J'J + l2)^-1 J'(y - f(w0)), J the Jacobian of the scores f at the common head w0.

    Exact where the scores are linear in the head's parameters, one Gauss-Newton step elsewhere.
    """

    config: RidgeFoldInConfig

    def adapt(
        self,
        score: Callable[[Mapping[str, Tensor], Tensor], Tensor],
        params: Mapping[str, Tensor],
        support: Support,
    ) -> Mapping[str, Tensor]:
        """One user's parameters, named and shaped as `params`; padded places of `support` have no say."""
        common = dict(params)

        def scores(head: dict[str, Tensor]) -> Tensor:
            return score(head, support.items)

        slopes = jacrev(scores)(common)  # name -> [S, *shape]
        residual = (support.values - scores(common)) * support.mask  # [S]
        jacobian = torch.cat([slopes[name].reshape(len(residual), -1) for name in common], dim=1)  # [S, D]
        step = _step(jacobian * support.mask[:, None], residual, self.config.l2)
        pieces = torch.split(step, [tensor.numel() for tensor in common.values()])
        return {
            name: tensor + piece.reshape(tensor.shape)
            for (name, tensor), piece in zip(common.items(), pieces, strict=True)
        }


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
            "Bertinetto, Henriques, Torr and Vedaldi 2019, Meta-learning with Differentiable Closed-form Solvers, "
            "https://arxiv.org/abs/1805.08136"
        ),
        build=build,
    )
    return [spec]
