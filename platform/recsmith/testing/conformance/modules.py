"""What is asked of modules that learn with a model: they draw from torch's generator, compute, and are reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from recsmith.testing.conformance.subject import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


def seeded(make: Callable[[], Any], seed: int = 0) -> Any:
    """What `make` gives when torch's generator is seeded; the generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def close(one: Tensor, other: Tensor) -> bool:
    """Equal but for rounding."""
    return one.shape == other.shape and bool(torch.allclose(one, other, rtol=1e-4, atol=1e-5))


def expect_learns(module: Any, read: tuple[Tensor, ...], what: str) -> None:
    """See that gradients of what the module makes of what it reads are finite and reach some of its parameters.

    Raises:
        Violation: they are not, or do not.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = module(*read)
        (made * torch.randn_like(made)).sum().backward()
    gradients = [parameter.grad for parameter in module.parameters() if parameter.requires_grad]
    if gradients:
        reached = [gradient for gradient in gradients if gradient is not None]
        expect(any(bool(gradient.any()) for gradient in reached), f"{what}: no gradient reaches a parameter")
        finite = all(bool(gradient.isfinite().all()) for gradient in reached)
        expect(finite, f"{what}: a gradient is NaN or infinite")
