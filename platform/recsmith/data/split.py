"""The two folds of a study: train -> valid to search on, and train + valid -> test, sealed until the search ends."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from recsmith.contracts.config import Choice
from recsmith.contracts.data import ABSENT, TEST, TEST_SUPPORT, TRAIN, UNUSED, VALID, VALID_SUPPORT
from recsmith.contracts.errors import DataError, PlanError, StudyError
from recsmith.data.fold import judged_users, numbered

if TYPE_CHECKING:
    import numpy.typing as npt

    from recsmith.contracts.data import BoolArray, Fold
    from recsmith.contracts.plan import Plan, Scenario
    from recsmith.contracts.plugins import SplitterSpec
    from recsmith.data.coded import Dataset
    from recsmith.wiring.registry import Registry

USUAL: dict[Scenario, Choice] = {  # the split of a scenario whose plan names none
    "next_item": Choice(name="leave_last"),
    "rating": Choice(name="random_ratio"),
    "cold_user": Choice(name="cold_user"),
    "cold_item": Choice(name="cold_item"),
    "both_cold": Choice(name="both_cold"),
    "cross_domain": Choice(name="cross_domain"),
    "streaming": Choice(name="time_cut", params={"test": 0.5, "valid": 0.1}),
}
WITH_TABLE: tuple[Scenario, ...] = ("cold_item", "both_cold")  # their catalogue holds the items of the item table
FEWEST = 3  # interactions of a user who is judged
IN_WORDS = {"split": "a column `split` of labels"}  # needs whose name alone says little


@dataclass(eq=False)
class Sealed:
    """The test rows. Nothing gives them out before `release`, and they never leave the process that made them."""

    _dataset: Dataset = field(repr=False)
    _assignment: npt.NDArray[np.int8] = field(repr=False)
    _with_table: bool
    _domain: str | None
    _hash: str
    _released: str | None = None

    def release(self, reason: str) -> None:
        """Say that the search is over; `reason` stands in the message of whoever asks later."""
        self._released = reason

    def open(self) -> Fold:
        """Train + valid -> test.

        Raises:
            StudyError: the search has not ended.
        """
        self._refuse_early()
        return _fold(
            self._dataset,
            self._assignment,
            sealed=True,
            with_table=self._with_table,
            domain=self._domain,
            split_hash=self._hash,
        )

    def everything(self) -> Fold:
        """Every interaction to learn from, nothing held out.

        Raises:
            StudyError: the search has not ended.
        """
        self._refuse_early()
        every = np.ones(len(self._dataset), bool)
        return numbered(self._dataset, every, with_table=self._with_table, domain=self._domain, split_hash=self._hash)

    def _refuse_early(self) -> None:
        if self._released is None:
            raise StudyError("the test split is sealed: it is opened once, after the search has ended.")

    def __reduce__(self) -> NoReturn:
        raise StudyError("the test split is sealed: it is never sent to another process. Send `split.search`.")


@dataclass(frozen=True, eq=False)
class Split:
    """What a study searches on, what it is judged on once, and the hash that names both."""

    search: Fold  # its `split_hash` covers its own rows only
    sealed: Sealed
    hash: str  # over all rows
    splitter: Choice
    judged: dict[str, int]  # users judged on "valid" and on "test"
    domain: str | None = None  # the target domain, in the scenario cross_domain


def make_split(dataset: Dataset, plan: Plan, registry: Registry) -> Split:
    """Divide the log as the plan says, or as is usual for its scenario.

    Raises:
        PlanError: the splitter does not make this scenario, lacks something in the log, or leaves no validation.
        DataError: after the rules nobody is left to be judged on valid or test.
    """
    choice = plan.split or USUAL[plan.scenario]
    spec: SplitterSpec = registry.spec("splitters", choice.name)
    _refuse_unfit(spec, plan.scenario, dataset)
    settings = registry.config("splitters", choice)
    if settings.model_dump().get("valid") == 0:
        raise PlanError(f"split {choice.name}: `valid: 0` leaves no validation, and a study never tunes on the test.")
    splitter = registry.build("splitters", choice, registry.context())
    assignment = splitter.split(dataset.log, plan.seed)
    with_table = plan.scenario in WITH_TABLE
    judged = {name: _judged(dataset, assignment, sealed=name == "test", choice=choice) for name in ("valid", "test")}
    own_hash = _search_hash(dataset, assignment)
    domain = _target_domain(dataset, assignment, choice) if plan.scenario == "cross_domain" else None
    search = _fold(dataset, assignment, sealed=False, with_table=with_table, domain=domain, split_hash=own_hash)
    _refuse_unseen(search, dataset, choice)
    named = split_hash(dataset, assignment)
    return Split(
        search=search,
        sealed=Sealed(dataset, assignment, with_table, domain, named),
        hash=named,
        splitter=Choice(name=choice.name, params=settings.model_dump()),
        judged=judged,
        domain=domain,
    )


def _refuse_unfit(spec: SplitterSpec, scenario: Scenario, dataset: Dataset) -> None:
    if scenario not in spec.scenarios:
        makes = ", ".join(sorted(spec.scenarios))
        raise PlanError(f"split {spec.name}: it does not make the scenario {scenario}, but {makes}. Name another one.")
    if "split" in spec.needs and dataset.split_fault:
        raise DataError(dataset.split_fault)
    lacking = spec.needs - dataset.capabilities
    if lacking:
        words = ", ".join(IN_WORDS.get(need, need) for need in sorted(lacking))
        raise PlanError(f"split {spec.name}: it needs {words}, which {dataset.source} lacks.")
    if scenario == "rating" and dataset.value is None:
        raise DataError(f"{dataset.source}: the scenario rating needs ratings. Name them: `data.columns.value`.")


def _masks(assignment: npt.NDArray[np.int8], *, sealed: bool) -> tuple[BoolArray, BoolArray, BoolArray | None]:
    """Which rows train, which are to be predicted, which are only known."""
    if sealed:
        train = (assignment == TRAIN) | (assignment == VALID) | (assignment == VALID_SUPPORT)
        target, support = assignment == TEST, assignment == TEST_SUPPORT
    else:
        train, target, support = assignment == TRAIN, assignment == VALID, assignment == VALID_SUPPORT
    return train, target, support if support.any() else None


def _fold(
    dataset: Dataset,
    assignment: npt.NDArray[np.int8],
    *,
    sealed: bool,
    with_table: bool,
    domain: str | None,
    split_hash: str,
) -> Fold:
    train, target, support = _masks(assignment, sealed=sealed)
    unborn = None if sealed or not with_table else _only_in_test(dataset, assignment)
    return numbered(
        dataset,
        train,
        target,
        support,
        with_table=with_table,
        without=unborn,
        domain=domain,
        split_hash=split_hash,
    )


def _target_domain(dataset: Dataset, assignment: npt.NDArray[np.int8], choice: Choice) -> str:
    """The domain of everything that is held out.

    Raises:
        PlanError: there are several.
    """
    held_out = np.isin(assignment, (VALID, TEST))
    found = set() if dataset.domain is None else set(dataset.domain[dataset.item[held_out]].tolist())
    if len(found) != 1:
        raise PlanError(
            f"split {choice.name}: the interactions held out are of {len(found)} domains, and cross_domain judges one."
        )
    (name,) = found
    return str(name)


def _only_in_test(dataset: Dataset, assignment: npt.NDArray[np.int8]) -> BoolArray:
    """The items that nobody takes before the test, [I]: in validation they do not exist yet.

    As candidates there they would count against whoever recommends them, though users take them, a little later.
    """
    in_test = np.isin(assignment, (TEST, TEST_SUPPORT))
    elsewhere = ~in_test & (assignment != UNUSED)
    occurs = [np.bincount(dataset.item[rows], minlength=len(dataset.item_ids)) > 0 for rows in (in_test, elsewhere)]
    return occurs[0] & ~occurs[1]


def _judged(dataset: Dataset, assignment: npt.NDArray[np.int8], *, sealed: bool, choice: Choice) -> int:
    """How many users a fold judges; for the sealed one, users are counted and no item is looked at.

    Raises:
        DataError: nobody.
    """
    users = len(judged_users(dataset, *_masks(assignment, sealed=sealed)))
    if not users:
        counts = np.bincount(dataset.user)
        raise DataError(
            f"{dataset.source}: split {choice.name}: nobody can be judged on {'test' if sealed else 'valid'}: "
            f"{(counts >= FEWEST).sum()} of {(counts > 0).sum()} users have {FEWEST} interactions or more. Use a "
            "larger log or another `split`."
        )
    return users


def _refuse_unseen(search: Fold, dataset: Dataset, choice: Choice) -> None:
    if (search.holdout.target_item == ABSENT).all():
        raise DataError(
            f"{dataset.source}: split {choice.name}: all items to be predicted on valid are unseen in training, so "
            "every model would miss them all. Use a larger log or another `split`."
        )


def split_hash(dataset: Dataset, assignment: npt.NDArray[np.int8]) -> str:
    """sha256 over user id, item id, timestamp and assignment of every row, by user, then in log order.

    It does not depend on the order of the source's rows where a user's timestamps are distinct.
    """
    order = np.argsort(dataset.user, kind="stable")
    digest = hashlib.sha256()
    for codes, ids in ((dataset.user, dataset.user_ids), (dataset.item, dataset.item_ids)):
        occurs = np.bincount(codes, minlength=len(ids)) > 0
        digest.update(json.dumps(ids[occurs].tolist()).encode())
        digest.update((np.cumsum(occurs) - 1).astype("<i4")[codes[order]].tobytes())
    if dataset.timestamp is not None:
        digest.update(dataset.timestamp[order].astype("<i8").tobytes())
    digest.update(assignment[order].astype("<i1").tobytes())
    return digest.hexdigest()


def _search_hash(dataset: Dataset, assignment: npt.NDArray[np.int8]) -> str:
    used = ~np.isin(assignment, (TEST, TEST_SUPPORT, UNUSED))
    return split_hash(dataset.take(used), assignment[used])
