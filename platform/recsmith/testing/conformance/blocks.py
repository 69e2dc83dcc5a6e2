"""What every plugin of the kind blocks promises; how blocks are joined is not agreed yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recsmith.testing.conformance.subject import Violation, expect

if TYPE_CHECKING:
    from recsmith.testing.conformance.subject import Subject


def builds_at_every_corner(subject: Subject) -> None:
    """`build` gives something at every corner of the space."""
    context = subject.registry.context(item_counts=np.arange(1, 31), users=20)
    for label, choice in subject.corners():
        try:
            block = subject.registry.build(subject.kind, choice, context)
        except Exception as error:
            raise Violation(f"{label}: build raised {type(error).__name__}: {error}") from error
        expect(block is not None, f"{label}: build returned None")


CHECKS = (builds_at_every_corner,)
