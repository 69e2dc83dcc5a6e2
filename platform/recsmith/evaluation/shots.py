"""How much a model makes of few interactions: the same requests, of which it is told the first k only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recsmith.contracts.data import FloatArray, Requests, State
    from recsmith.contracts.models import Model


@dataclass(frozen=True, eq=False)
class FirstShots:
    """A model that is told the first `shots` interactions of each request.

    What is asked and which items may be answered stay those of the whole request, so that figures at several k differ
    by what was known and by nothing else.
    """

    model: Model
    shots: int  # k, 0 or more

    def scores(self, requests: Requests) -> FloatArray:
        """Scores of all items, [B, I], from the first interactions alone."""
        told = requests.histories.first(self.shots)
        return self.model.scores(replace(requests, histories=told, histories_are_training=False))

    def state(self) -> State:
        """That of the model."""
        return self.model.state()

    def load(self, state: State) -> None:
        """Load the model."""
        self.model.load(state)
