"""The optimisers that settings name, and their state as plain arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.optim import SparseAdam

from recsmith.contracts.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import numpy.typing as npt
    from torch.optim import Optimizer

    from recsmith.contracts.training import Training

SEPARATOR = "/"  # between a parameter's name and its slot; parameter names hold dots


def make_optimizers(training: Training, module: nn.Module, parts: Collection[str] = ()) -> list[Optimizer]:
    """The optimiser of `training` over the module's parameters, and where tables learn sparsely a second for those.

    Weight decay acts on matrices (weights and embeddings) and leaves biases, norms and other vectors alone. The groups
    of parameters whose names begin with one of `parts` say so under "part", those of the rest say None.
    """
    tables = _made_sparse(module) if training.sparse else set()
    groups: dict[tuple[str | None, bool, bool], dict[str, Any]] = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            part = next((part for part in parts if name.startswith(part)), None)
            matrix, sparse = parameter.ndim > 1, parameter in tables
            decay = training.weight_decay if matrix and not sparse else 0.0
            group = groups.setdefault((part, matrix, sparse), {"params": [], "weight_decay": decay, "part": part})
            group["params"].append(parameter)
    dense = [group for (*_, sparse), group in groups.items() if not sparse]
    rows = [group for (*_, sparse), group in groups.items() if sparse]
    if training.optimizer == "adagrad":  # it takes both kinds of gradient
        return [torch.optim.Adagrad(dense + rows, lr=training.learning_rate, foreach=not rows)]
    kind = torch.optim.AdamW if training.optimizer == "adamw" else torch.optim.Adam
    made: list[Optimizer] = [kind(dense, lr=training.learning_rate, fused=True)] if dense else []
    return [*made, SparseAdam(rows, lr=training.learning_rate)] if rows else made


def _made_sparse(module: nn.Module) -> set[torch.Tensor]:
    """The module's tables, which from now on get sparse gradients."""
    tables = [part for part in module.modules() if isinstance(part, (nn.Embedding, nn.EmbeddingBag))]
    for table in tables:
        table.sparse = True
    return {table.weight for table in tables}


def gradients(module: nn.Module, *, sparse: bool) -> tuple[list[torch.Tensor], list[nn.Parameter]]:
    """The numbers of all gradients, to be changed in place, and the parameters whose gradient is dense.

    Raises:
        PluginError: a table that should learn sparsely has a dense gradient.
    """
    tables = _made_sparse(module) if sparse else set()
    numbers, dense = [], []
    for name, parameter in module.named_parameters():
        if parameter.grad is None:
            continue
        if parameter.grad.is_sparse:
            parameter.grad = parameter.grad.coalesce()
            numbers.append(parameter.grad._values())  # noqa: SLF001 - values() is a detached copy
        elif parameter in tables:
            raise PluginError(
                f"training.sparse: the whole table {name!r} got a gradient: this model or its loss reads all rows. "
                "Take a loss with sampled negatives, or sparse: false."
            )
        else:
            numbers.append(parameter.grad)
            dense.append(parameter)
    return numbers, dense


def clip(numbers: list[torch.Tensor], largest: float) -> None:
    """Shrink all gradients together so that their norm is at most `largest`."""
    norm = torch.nn.utils.get_total_norm(numbers)
    torch._foreach_mul_(numbers, (largest / (norm + 1e-6)).clamp(max=1.0))


def optimizer_arrays(optimizers: Sequence[Optimizer], module: nn.Module) -> dict[str, npt.NDArray[Any]]:
    """The optimisers' moments and step counts, as "parameter/slot" -> array."""
    return {
        f"{name}{SEPARATOR}{slot}": torch.as_tensor(value).detach().cpu().numpy().copy()
        for optimizer in optimizers
        for name, parameter in module.named_parameters()
        for slot, value in optimizer.state.get(parameter, {}).items()
    }


def load_optimizers(optimizers: Sequence[Optimizer], module: nn.Module, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Continue from kept arrays."""
    parameters = dict(module.named_parameters())
    owners = {
        parameter: optimizer
        for optimizer in optimizers
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    for key, array in arrays.items():
        name, slot = key.rsplit(SEPARATOR, 1)
        parameter = parameters[name]
        optimizer = owners[parameter]
        if isinstance(optimizer, SparseAdam) and slot == "step":
            optimizer.state[parameter][slot] = int(array)  # it counts with a Python number
            continue
        device = "cpu" if slot == "step" and parameter.device.type == "cpu" else parameter.device
        optimizer.state[parameter][slot] = torch.from_numpy(array.copy()).to(device)
