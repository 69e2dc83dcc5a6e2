"""The smallest model that a loss can teach: scores are user vector x item vector."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch

from recsmith.contracts.data import Requests, State

if TYPE_CHECKING:
    from torch import Tensor

    from recsmith.contracts.data import FloatArray
    from recsmith.contracts.training import Batch


class Factorisation:
    """A gradient model of users that training has seen."""

    def __init__(self, users: int, items: int, width: int = 8) -> None:
        generator = torch.Generator().manual_seed(0)
        self.module: torch.nn.Module = torch.nn.ModuleDict(
            {
                name: torch.nn.Embedding(size, width, _weight=0.1 * torch.randn(size, width, generator=generator))
                for name, size in (("user", users), ("item", items))
            }
        )

    def queries(self, batch: Batch) -> Tensor:
        """User vectors [P, D]."""
        return cast("Tensor", self.module.get_submodule("user")(batch.user))

    def logits(self, queries: Tensor, items: Tensor | None) -> Tensor:
        """Logits [P, n], or of all items [P, I]."""
        table = cast("Tensor", self.module.get_parameter("item.weight"))
        if items is not None and items.ndim > 1:
            return torch.einsum("pd,pnd->pn", queries, table[items])
        return queries @ (table if items is None else table[items]).T

    def scores(self, requests: Requests) -> FloatArray:
        """Scores [B, I] of known users."""
        table = cast("Tensor", self.module.get_parameter("user.weight"))
        with torch.no_grad():
            return cast("FloatArray", self.logits(table[requests.user_num.tolist()], None).numpy())

    def state(self) -> State:
        """Nothing: it is never saved."""
        return State({}, {})

    def load(self, state: State) -> None:
        """Nothing to load."""
