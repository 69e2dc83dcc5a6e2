"""The optimisers that settings name, and their state as plain arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from recsmith.contracts.training import Training

SEPARATOR = "/"  # between a parameter's name and its slot; parameter names hold dots


def make_optimizer(training: Training, module: torch.nn.Module) -> torch.optim.Optimizer:
    """The optimiser of `training` over the module's parameters.

    Weight decay acts on matrices (weights and embeddings) and leaves biases, norms and other vectors alone.
    """
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    matrices = [parameter for parameter in trained if parameter.ndim > 1]
    vectors = [parameter for parameter in trained if parameter.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": training.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    groups = [group for group in groups if group["params"]]
    if training.optimizer == "adagrad":
        return torch.optim.Adagrad(groups, lr=training.learning_rate, foreach=True)
    kind = torch.optim.AdamW if training.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=training.learning_rate, fused=True)


def optimizer_arrays(optimizer: torch.optim.Optimizer, module: torch.nn.Module) -> dict[str, npt.NDArray[Any]]:
    """The optimiser's moments and step counts, as "parameter/slot" -> array."""
    return {
        f"{name}{SEPARATOR}{slot}": value.detach().cpu().numpy().copy()
        for name, parameter in module.named_parameters()
        for slot, value in optimizer.state.get(parameter, {}).items()
    }


def load_optimizer(
    optimizer: torch.optim.Optimizer, module: torch.nn.Module, arrays: Mapping[str, npt.NDArray[Any]]
) -> None:
    """Continue from kept arrays."""
    parameters = dict(module.named_parameters())
    for key, array in arrays.items():
        name, slot = key.rsplit(SEPARATOR, 1)
        device = "cpu" if slot == "step" and parameters[name].device.type == "cpu" else parameters[name].device
        optimizer.state[parameters[name]][slot] = torch.from_numpy(array.copy()).to(device)
