"""A network's parameters as the state of the model that holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from recsmith.contracts.data import State

if TYPE_CHECKING:
    from torch import nn


def state_of(module: nn.Module) -> State:
    """Copies of all parameters and kept buffers, by name."""
    return State({}, {name: value.cpu().numpy().copy() for name, value in module.state_dict().items()})


def load_into(module: nn.Module, state: State) -> None:
    """Take them; the module serves from then on."""
    module.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in state.arrays.items()})
    module.eval()
