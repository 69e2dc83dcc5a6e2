"""What every block promises, and one that offers "history"; what others are is between them and their models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from recsmith.testing.conformance.attempt import attempt
from recsmith.testing.conformance.modules import close, expect_learns, seeded
from recsmith.testing.conformance.subject import NotApplicableError, Violation, expect

if TYPE_CHECKING:
    from torch import Tensor

    from recsmith.contracts.config import Choice
    from recsmith.testing.conformance.subject import Subject

B, T, WIDTH, LENGTH = 3, 7, 8, 10


def builds_at_every_corner(subject: Subject) -> None:
    """`build` gives something at every corner of the space."""
    context = subject.registry.context(item_counts=np.arange(1, 31), users=20)
    for label, choice in subject.corners():
        try:
            block = subject.registry.build(subject.kind, choice, context)
        except Exception as error:
            raise Violation(f"{label}: build raised {type(error).__name__}: {error}") from error
        expect(block is not None, f"{label}: build returned None")


def history_gives_a_summary_at_every_place(subject: Subject) -> None:
    """It makes a finite summary of the asked width at every place, for any length up to the longest."""
    for length in (1, T, LENGTH):
        vectors = _vectors(length)
        with attempt(f"summing up {length} vectors of at most {LENGTH}"):
            summaries = _module(subject)(vectors)
        expect(summaries.shape == vectors.shape, f"{list(vectors.shape)} became {list(summaries.shape)}")
        expect(bool(summaries.isfinite().all()), f"of {length} vectors it makes NaN or infinity")


def history_sees_no_later_vector(subject: Subject) -> None:
    """A summary does not depend on later vectors, and so not on padding; it does depend on earlier ones."""
    module, vectors = _module(subject), _vectors(T)
    whole = module(vectors)
    for place in (0, T // 2):
        cut = module(vectors[:, : place + 1])
        expect(close(cut, whole[:, : place + 1]), f"summary {place} changes when later vectors are there")
    other = vectors.clone()
    other[:, 0] = -vectors[:, 0]
    expect(not close(module(other)[:, -1], whole[:, -1]), "the last summary does not depend on the first vector")


def history_reads_each_list_alone(subject: Subject) -> None:
    """A list alone has the summaries that it has among others."""
    module, vectors = _module(subject), _vectors(T)
    whole = module(vectors)
    for row in range(B):
        expect(close(module(vectors[row : row + 1])[0], whole[row]), f"list {row} alone has other summaries")


def history_learns(subject: Subject) -> None:
    """Gradients reach its parameters and what it reads, in every corner of its search space."""
    for label, choice in _corners(subject):
        with attempt(label):
            vectors = _vectors(T).requires_grad_()
            expect_learns(_module(subject, choice).train(), (vectors,), label)
            reached = torch.zeros(()) if vectors.grad is None else vectors.grad
            expect(bool(reached.any()), f"{label}: no gradient reaches the vectors that it reads")
            expect(bool(reached.isfinite().all()), f"{label}: a gradient of the vectors is NaN or infinite")


CHECKS = (
    builds_at_every_corner,
    history_gives_a_summary_at_every_place,
    history_sees_no_later_vector,
    history_reads_each_list_alone,
    history_learns,
)


# --- the work ---------------------------------------------------------------------------------------------------------


def _corners(subject: Subject) -> list[tuple[str, Choice]]:
    _history_only(subject)
    return list(subject.corners())


def _history_only(subject: Subject) -> None:
    if "history" not in subject.spec.offers:
        raise NotApplicableError("it offers no history")


def _module(subject: Subject, choice: Choice | None = None) -> Any:
    """A fresh module that serves."""
    _history_only(subject)
    context = subject.registry.context(item_counts=np.ones(4, np.int64), users=B)
    block = subject.registry.build("blocks", choice or subject.choice(), context)
    return seeded(lambda: block.module(WIDTH, LENGTH)).eval()


def _vectors(length: int) -> Tensor:
    return torch.randn(B, length, WIDTH, generator=torch.Generator().manual_seed(0))
