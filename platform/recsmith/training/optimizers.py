"""The optimisers that settings name, and their state as plain arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import numpy.typing as npt

    from recsmith.contracts.training import Training

SEPARATOR = "/"  # between a parameter's name and its slot; parameter names hold dots


def make_optimizer(training: Training, module: torch.nn.Module, parts: Collection[str] = ()) -> torch.optim.Optimizer:
    """The optimiser of `training` over the module's parameters.

    Weight decay acts on matrices (weights and embeddings) and leaves biases, norms and other vectors alone. The groups
    of parameters whose names begin with one of `parts` say so under "part", those of the rest say None.
    """
    groups: dict[tuple[str | None, bool], dict[str, Any]] = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            part = next((part for part in parts if name.startswith(part)), None)
            matrix = parameter.ndim > 1
            decay = training.weight_decay if matrix else 0.0
            group = groups.setdefault((part, matrix), {"params": [], "weight_decay": decay, "part": part})
            group["params"].append(parameter)
    return _optimizer(training, list(groups.values()))


def _optimizer(training: Training, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
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
