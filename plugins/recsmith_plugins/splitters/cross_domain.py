"""Cross-domain: what users did in other domains helps to recommend in one where little is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from recsmith.contracts.config import Config
from recsmith.contracts.data import TEST, TRAIN, UNUSED, VALID
from recsmith.contracts.errors import PlanError, unknown
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import SplitterSpec

if TYPE_CHECKING:
    import numpy.typing as npt

    from recsmith.contracts.data import BoolArray, LogColumns, LongArray
    from recsmith.contracts.plugins import BuildContext


class CrossDomainConfig(Config):
    """The domain to recommend from, and how little is known there."""

    target: str | None = None  # None: the one of the fewest interactions
    keep: Annotated[float, Field(gt=0, le=1)] = 1.0  # share of the target domain's interactions that are no test
    cold: Annotated[float, Field(ge=0, lt=0.5)] = 0.0  # share of new users, on test and again on valid


class CrossDomain:
    """Learns from all other domains, and from what is kept of the target domain.

    Without `cold` the last interaction of a user in the target domain is the test and the one before it the validation,
    at random without an order; with one, what a user did elsewhere after the validation is unused, for it was not known
    then. With `cold` so many of the users of several domains are new to the target domain: all that they did there is
    held out, whenever it was, and nobody else is judged.
    """

    def __init__(self, config: CrossDomainConfig) -> None:
        self.config = config

    def split(self, log: LogColumns, seed: int) -> npt.NDArray[np.int8]:
        """Assign every interaction, [N].

        Raises:
            PlanError: there is no such domain.
        """
        rng = np.random.default_rng(seed)
        inside = self._inside(log)
        assignment = np.full(len(log.user), TRAIN, np.int8)
        if self.config.cold:
            self._hold_out_users(assignment, log.user, inside, rng)
        else:
            _hold_out_last(assignment, log, inside, seed)
        for label in (TRAIN, VALID):
            left = np.flatnonzero(inside & (assignment == label))
            dropped = rng.permutation(left)[max(1, round(len(left) * self.config.keep)) :]
            assignment[dropped] = UNUSED
        return assignment

    def _inside(self, log: LogColumns) -> BoolArray:
        """The interactions in the target domain."""
        domains = np.full(len(log.user), "", object) if log.domain is None else log.domain
        names, counts = np.unique(domains.astype(str), return_counts=True)
        known = {name: int(count) for name, count in zip(names.tolist(), counts.tolist(), strict=True) if name}
        target = self.config.target
        if target is None:
            target = min(known, key=lambda name: (known[name], name), default=None)
        if target not in known:
            raise PlanError(f"split cross_domain: target: {unknown('domain', str(target), list(known))}")
        return np.asarray(domains == target, np.bool_)

    def _hold_out_users(
        self, assignment: npt.NDArray[np.int8], user: LongArray, inside: BoolArray, rng: np.random.Generator
    ) -> None:
        shared = np.intersect1d(user[inside], user[~inside])
        drawn = rng.permutation(shared)
        count = max(1, round(len(drawn) * self.config.cold))
        for place, label in enumerate((TEST, VALID)):
            chosen = np.isin(user, drawn[place * count : (place + 1) * count])
            assignment[inside & chosen] = label


def _hold_out_last(assignment: npt.NDArray[np.int8], log: LogColumns, inside: BoolArray, seed: int) -> None:
    rows, there = np.flatnonzero(inside), log.take(inside)
    counts = there.user_counts[there.user]
    from_end = counts - 1 - there.places(None if log.ordered else seed)
    for label, which in ((TEST, 0), (VALID, 1)):
        assignment[rows[(counts > 1) & (from_end == which)]] = label
    if log.ordered:
        moment = np.full(len(log.user_counts), len(log.user))
        valid = np.flatnonzero(assignment == VALID)
        moment[log.user[valid]] = valid
        assignment[(assignment == TRAIN) & (np.arange(len(log.user)) > moment[log.user])] = UNUSED


def build(config: CrossDomainConfig, context: BuildContext) -> CrossDomain:
    """A splitter with these settings."""
    return CrossDomain(config)


@hookimpl
def provide_splitters() -> list[SplitterSpec]:
    """The splitter `cross_domain`."""
    return [
        SplitterSpec(
            name="cross_domain",
            api_version=1,
            source="Man, Shen, Jin and Cheng 2017, Cross-Domain Recommendation: An Embedding and Mapping Approach, "
            "doi:10.24963/ijcai.2017/343 (with `cold`)",
            config=CrossDomainConfig,
            build=build,
            needs=frozenset({"domains"}),
            scenarios=frozenset({"cross_domain"}),
        )
    ]
