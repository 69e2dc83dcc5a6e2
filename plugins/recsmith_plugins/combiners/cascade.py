"""Cascade: the first member's list, filled up from the second where it ends, then from the third, and so on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import CombinerSpec
from recsmith_plugins.blocks.chained_lists import chained

if TYPE_CHECKING:
    from recsmith.contracts.config import Config
    from recsmith.contracts.data import FloatArray, IntArray, LongArray
    from recsmith.contracts.plugins import BuildContext


class Cascade:
    """The fallback for users and items that a member cannot serve: every member answers where those before it end.

    An item stands where the first member that holds it puts it. Its score is that member's own, or lowered so that
    scores descend (see `chained`). So a request that the first member cannot serve gets the second's list as it is. The
    order of the members is the only setting, and the artifact holds it.
    """

    def combine(
        self, items: list[IntArray], scores: list[FloatArray], k: int, lengths: LongArray
    ) -> tuple[IntArray, FloatArray]:
        """Chain M lists [B, K_m] to items [B, k] and scores [B, k]; ABSENT and -inf where all of them end."""
        return chained(items, scores, k)


def _build(_config: Config, _context: BuildContext) -> Cascade:
    return Cascade()


@hookimpl
def provide_combiners() -> list[CombinerSpec]:
    """Offer the combiner."""
    return [CombinerSpec(name="cascade", api_version=1, build=_build, source="none: lists one after another")]
