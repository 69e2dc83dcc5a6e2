"""Is the updated artifact better, and what has it forgotten? Both versions on the same requests, pair by pair."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from recsmith.contracts.artifact import Compared
from recsmith.contracts.data import ABSENT, Holdout, Requests
from recsmith.evaluation.compare import paired
from recsmith.evaluation.judge import judge
from recsmith.evaluation.names import direction

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from recsmith.contracts.data import BoolArray, DoubleArray, Fold, Histories
    from recsmith.contracts.models import Model
    from recsmith.contracts.results import Figure
    from recsmith.evaluation.judge import Evaluation
    from recsmith.updates.growth import Renumbering
    from recsmith.wiring.registry import Registry

FEWEST = 2  # interactions of a known user who is asked for the last of them
ASKED = 20_000  # known users at most


@dataclass(frozen=True, eq=False)
class Bench:
    """What two versions are judged by."""

    objective: str
    metrics: Sequence[str]  # more figures of the later one
    scenario: str  # "rating", or "next_item" for everything that ranks
    mask_seen: bool
    registry: Registry
    seed: int


@dataclass(frozen=True, eq=False)
class Judgement:
    """What was found."""

    objective: str
    figures: Mapping[str, Figure]  # of the later version on new rows
    judged: Mapping[str, Compared]  # on new rows: "all", "known", "new"
    forgetting: Compared  # on known users' old rows

    def refusal(self, bound: float) -> str | None:
        """Why the later version should not take the place of the earlier; None where nothing speaks against it."""
        new, old = self.judged["all"], self.forgetting
        if new.requests and new.high < 0:
            return (
                f"it is worse on new rows: {self.objective} {new.after:.4f} instead of {new.before:.4f} on "
                f"{new.requests:,} requests (gain {new.gain:+.4f}, {new.low:+.4f} to {new.high:+.4f})"
            )
        if old.requests and -old.gain > bound:
            return (
                f"it forgets: on {old.requests:,} known users' old rows {self.objective} goes from {old.before:.4f} to "
                f"{old.after:.4f} ({old.gain:+.4f}), and it may lose {bound:g}"
            )
        return None


def compare_on(
    before: Model, after: Model, fold: Fold, known: BoolArray, bench: Bench
) -> tuple[dict[str, Figure], dict[str, Compared]]:
    """Judge two versions on new rows that neither learnt from, the fold's holdout.

    Returns the later version's figures, and the comparisons for "all" requests, those of users who are `known` [U] to
    the earlier version, and those of "new" ones. Both models speak in the fold's numbers.
    """
    earlier = _judged(before, fold, (bench.objective,), bench).per_request[bench.objective]
    found = _judged(after, fold, tuple(dict.fromkeys((bench.objective, *bench.metrics))), bench)
    later = found.per_request[bench.objective]
    user_num = fold.holdout.requests.user_num
    knew = (user_num != ABSENT) & known[user_num]
    groups = {"all": np.ones(len(knew), np.bool_), "known": knew, "new": ~knew}
    judged = {name: compared(earlier[rows], later[rows], bench) for name, rows in groups.items()}
    return found.intervals(bench.seed), judged


def forgetting(before: Model, after: Model, fold: Fold, old: Holdout, bench: Bench) -> Compared:
    """Both versions on known users' old rows: what the later one lost of what the earlier one knew."""
    past = replace(fold, holdout=old)
    earlier, later = (
        _judged(model, past, (bench.objective,), bench).per_request[bench.objective] for model in (before, after)
    )
    return compared(earlier, later, bench)


def _judged(model: Model, fold: Fold, metrics: tuple[str, ...], bench: Bench) -> Evaluation:
    return judge(model, fold, metrics, bench.registry, scenario=bench.scenario, mask_seen=bench.mask_seen)


def compared(before: DoubleArray, after: DoubleArray, bench: Bench) -> Compared:
    """One value per request of each version, [B] and [B]."""
    if not len(before):
        return Compared(requests=0, before=0.0, after=0.0, gain=0.0, low=0.0, high=0.0)
    sign = 1.0 if direction(bench.objective, bench.registry) == "maximize" else -1.0
    found = paired(sign * after, sign * before, bench.seed)
    return Compared(
        requests=found.n,
        before=float(before.mean()),
        after=float(after.mean()),
        gain=found.difference,
        low=found.low,
        high=found.high,
    )


def old_requests(histories: Histories, numbers: Renumbering, *, ordered: bool, seed: int) -> Holdout:
    """Known users asked for one interaction of their old history, the last one, from the rest of it.

    Where order means nothing it is one at random. At most `ASKED` users, drawn by the seed.
    """
    rng = np.random.default_rng(seed)
    users = np.flatnonzero(histories.lengths >= FEWEST)
    users = np.sort(rng.permutation(users)[:ASKED])
    lists = histories.take(users)
    place = lists.lengths - 1 if ordered else rng.integers(0, np.maximum(lists.lengths, 1))
    targets = lists.indptr[:-1] + place
    keep = np.ones(len(lists.item_num), np.bool_)
    keep[targets] = False
    renumbered = numbers.histories(lists)
    return Holdout(
        Requests(numbers.users[users].astype(np.int32), renumbered.where(keep)),
        np.arange(len(users) + 1, dtype=np.int64),
        renumbered.item_num[targets],
        None if lists.value is None else lists.value[targets],
    )
