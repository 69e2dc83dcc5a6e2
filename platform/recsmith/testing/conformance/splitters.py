"""What every splitter promises."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from recsmith.contracts.data import TEST, TEST_SUPPORT, TRAIN, UNUSED, VALID, VALID_SUPPORT, Column, LogColumns
from recsmith.contracts.errors import DataError, PlanError
from recsmith.contracts.plan import DataPlan, Plan, Scenario
from recsmith.data.coded import Dataset
from recsmith.data.split import make_split
from recsmith.testing.conformance.attempt import attempt
from recsmith.testing.conformance.subject import NotApplicableError, Violation, expect, unchanged

if TYPE_CHECKING:
    import numpy.typing as npt

    from recsmith.contracts.config import Choice
    from recsmith.contracts.data import BoolArray, LongArray
    from recsmith.testing.conformance.subject import Subject

    Labels = npt.NDArray[np.int8]

USERS, ITEMS, EACH = 60, 40, 12  # 720 interactions, 12 of each user, at distinct moments
FIRST_MOMENT, HOUR = 1_600_000_000, 3_600  # Unix seconds, seconds
SEED = 7
DOMAINS = np.array(["books", "films"], object)  # of the items in turn
NAMES = {
    TRAIN: "TRAIN",
    VALID: "VALID",
    TEST: "TEST",
    VALID_SUPPORT: "VALID_SUPPORT",
    TEST_SUPPORT: "TEST_SUPPORT",
    UNUSED: "UNUSED",
}
# What a fold learns from, and what it holds back: the search sees validation, the refit learns from it too.
FOLDS = (
    ("validation", (TRAIN,), (VALID, VALID_SUPPORT)),
    ("test", (TRAIN, VALID, VALID_SUPPORT), (TEST, TEST_SUPPORT)),
)


def scenarios_exist(subject: Subject) -> None:
    """It makes at least one scenario, and only scenarios that there are."""
    known = get_args(Scenario)
    expect(subject.spec.scenarios, f"`scenarios` is empty: name those that it makes, out of {', '.join(known)}")
    strange = sorted(set(subject.spec.scenarios) - set(known))
    expect(not strange, f"`scenarios` names {', '.join(strange)}: there are only {', '.join(known)}")


def labels_are_known_int8(subject: Subject) -> None:
    """It gives every interaction one of the six labels, [N] int8."""
    log = _log()
    labels = _split(subject, log)
    shape, dtype = getattr(labels, "shape", None), getattr(labels, "dtype", type(labels).__name__)
    expect(shape == log.user.shape, f"the labels have the shape {shape} for {len(log.user)} interactions")
    expect(dtype == np.int8, f"the labels are {dtype}, not int8")
    strange = sorted(set(labels.tolist()) - set(NAMES))
    expect(not strange, f"a label is {strange[:1]}: there are only those of contracts.data, 0 to 5")


def same_seed_same_split(subject: Subject) -> None:
    """The same log and seed give the same split, also by a fresh splitter."""
    splitter = _built(subject)
    first = splitter.split(_log(), SEED)
    for which, other in (("it", splitter), ("a fresh one", _built(subject))):
        moved = np.flatnonzero(first != other.split(_log(), SEED))
        expect(not len(moved), f"with the same seed {which} labels {len(moved)} of {len(first)} interactions otherwise")


def leaves_training_validation_and_test(subject: Subject) -> None:
    """A log that is large enough gets a split on which a study can learn, be tuned, and be tested."""
    dataset = _dataset(subject)
    for scenario in _scenarios(subject):
        labels = _split(subject, dataset.log)
        for label in (TRAIN, VALID, TEST):
            expect((labels == label).any(), f"none of {len(labels)} interactions of {USERS} users is {NAMES[label]}")
        plan = Plan(data=DataPlan(source="log"), scenario=scenario, split=subject.choice(), seed=SEED)
        try:
            make_split(dataset, plan, subject.registry)
        except (DataError, PlanError) as error:
            raise Violation(f"no study can use its split in the scenario {scenario}: {error}") from error


def log_is_not_written_to(subject: Subject) -> None:
    """It does not write into the log."""
    log = _log(subject)
    unchanged(log, lambda: _built(subject).split(log, SEED), "the log")


def new_users_are_new(subject: Subject) -> None:
    """In the user-cold scenarios nobody who is judged is learnt from, neither in the search nor in the refit."""
    _absent(subject, {"cold_user", "both_cold"}, "user")


def new_items_are_new(subject: Subject) -> None:
    """In the item-cold scenarios no item to be recommended is learnt from, neither in the search nor in the refit."""
    _absent(subject, {"cold_item", "both_cold"}, "item")


def training_is_never_later_than_what_follows(subject: Subject) -> None:
    """A splitter that goes by time learns nothing of a user that is later than what it is judged on."""
    log = _log()
    labels = _split(subject, log)
    drawn = bool((labels != _split(subject, log, seed=SEED + 1)).any())
    if drawn and not {"timestamps", "order"} & set(subject.spec.needs):
        raise NotApplicableError("it draws with the seed, and needs neither timestamps nor an order")
    for earlier, later in ((TRAIN, VALID), (TRAIN, TEST), (VALID, TEST)):
        _expect_order(log, labels == earlier, labels == later, f"{NAMES[earlier]} is later than {NAMES[later]}")


def support_comes_before_what_follows(subject: Subject) -> None:
    """Where the log has an order, what is known of a user before the request is earlier than what is asked for."""
    log = _log()
    labels = _split(subject, log)
    if not np.isin(labels, (VALID_SUPPORT, TEST_SUPPORT)).any():
        raise NotApplicableError("it knows nothing of a user but what it learns from")
    for support, later in ((VALID_SUPPORT, VALID), (TEST_SUPPORT, TEST)):
        _expect_order(log, labels == support, labels == later, f"{NAMES[support]} is later than {NAMES[later]}")


def tiny_logs_are_split_or_refused(subject: Subject) -> None:
    """A log that is too small is split all the same, or refused by a DataError; nothing else is raised."""
    tiny = {
        "one interaction": ([0], [0]),
        "three interactions of one user": ([0, 0, 0], [0, 1, 2]),
        "one interaction of each of two users": ([0, 1], [0, 0]),
        "three users and one item": ([0, 1, 2, 0, 1, 2], [0] * 6),
    }
    for name, (user, item) in tiny.items():
        with attempt(f"splitting a log of {name}"):
            try:
                labels = _split(subject, _columns(np.array(user), np.array(item)))
            except (DataError, PlanError):
                continue
            expect(len(labels) == len(user), f"{len(labels)} labels for {name}")


def logs_without_time_are_split(subject: Subject) -> None:
    """A log without timestamps, values and labels is split, unless the spec says that it needs them."""
    needs = set(subject.spec.needs)
    if "timestamps" in needs:
        raise NotApplicableError("it needs timestamps")
    log = replace(
        _log(),
        timestamp=None,
        value=_log().value if "values" in needs else None,
        split=_log().split if "split" in needs else None,
        domain=_log().domain if "domains" in needs else None,
    )
    for ordered in (True,) if "order" in needs else (True, False):
        name = "with an order" if ordered else "without an order"
        with attempt(f"splitting a log without timestamps, {name}"):
            labels = _split(subject, replace(log, ordered=ordered))
            for label in (TRAIN, VALID, TEST):
                expect((labels == label).any(), f"without timestamps, {name}, no interaction is {NAMES[label]}")


def codes_may_have_gaps(subject: Subject) -> None:
    """Codes of users and items that a filter has left out do not occur, and do no harm."""
    log = replace(_log(), user=3 * _log().user + 2, item=5 * _log().item + 1)
    with attempt("splitting a log in which two of three user codes and four of five item codes do not occur"):
        labels = _split(subject, log)
        for label in (TRAIN, VALID, TEST):
            expect((labels == label).any(), f"where codes have gaps no interaction is {NAMES[label]}")


def every_corner_splits(subject: Subject) -> None:
    """Every corner of its search space splits the log: something to learn from, one label per interaction."""
    log = _log()
    for label, choice in subject.corners():
        with attempt(label):
            labels = _split(subject, log, choice=choice)
            expect(len(labels) == len(log.user), f"{label}: {len(labels)} labels for {len(log.user)} interactions")
            expect((labels == TRAIN).any(), f"{label}: nothing is left to learn from")


CHECKS = (
    scenarios_exist,
    labels_are_known_int8,
    same_seed_same_split,
    leaves_training_validation_and_test,
    log_is_not_written_to,
    new_users_are_new,
    new_items_are_new,
    training_is_never_later_than_what_follows,
    support_comes_before_what_follows,
    tiny_logs_are_split_or_refused,
    logs_without_time_are_split,
    codes_may_have_gaps,
    every_corner_splits,
)


# --- the work ---------------------------------------------------------------------------------------------------------


def _scenarios(subject: Subject) -> list[Scenario]:
    known: tuple[Scenario, ...] = get_args(Scenario)
    return [scenario for scenario in known if scenario in subject.spec.scenarios]


def _columns(user: LongArray, item: LongArray) -> LogColumns:
    size = len(user)
    timestamp = FIRST_MOMENT + HOUR * np.arange(size, dtype=np.int64)
    value = np.random.default_rng(1).integers(1, 11, size) / 2
    log = LogColumns(user.astype(np.int64), item.astype(np.int64), timestamp, value, ordered=True)
    return replace(log, split=_published(log), domain=DOMAINS[item % 2])


def _published(log: LogColumns) -> Labels:
    """The split that the log carries: each user's last two interactions are the test, the two before the validation.

    The first interaction of every fifth user has no label.
    """
    place = log.places()
    from_end = log.user_counts[log.user] - 1 - place
    labels = np.full(len(log.user), TRAIN, np.int8)
    labels[from_end < 4], labels[from_end < 2] = VALID, TEST  # noqa: PLR2004 - as said above
    labels[(place == 0) & (log.user % 5 == 0) & (labels == TRAIN)] = UNUSED
    return labels


def _log(_subject: Subject | None = None) -> LogColumns:
    """Users in turn by chance, each item at random; anew for every use."""
    generator = np.random.default_rng(0)
    user = generator.permutation(np.repeat(np.arange(USERS), EACH))
    return _columns(user, generator.integers(0, ITEMS, USERS * EACH))


def _dataset(subject: Subject) -> Dataset:
    """The same log, with all that a splitter can need."""
    log = _log(subject)
    names = [
        np.array([f"{kind}{number:02}" for number in range(size)], object)
        for kind, size in (("u", USERS), ("i", ITEMS))
    ]
    tables = [Column("kind", "category", np.array(["a", "b"] * (len(ids) // 2), object)) for ids in names]
    return Dataset(
        user=log.user.astype(np.int32),
        item=log.item.astype(np.int32),
        user_ids=names[0],
        item_ids=names[1],
        ordered=True,
        timestamp=log.timestamp,
        value=log.value,
        split=log.split,
        users=(tables[0],),
        items=(tables[1],),
        in_table=np.ones(ITEMS, bool),
        domain=DOMAINS[np.arange(ITEMS) % 2],
        source="log",
    )


def _built(subject: Subject, choice: Choice | None = None) -> Any:
    return subject.registry.build("splitters", choice or subject.choice(), subject.registry.context())


def _split(subject: Subject, log: LogColumns, seed: int = SEED, choice: Choice | None = None) -> Labels:
    labels: Labels = _built(subject, choice).split(log, seed)
    return labels


def _absent(subject: Subject, scenarios: set[str], what: str) -> None:
    """See that what a fold judges is not among what it learns from."""
    if not scenarios & set(subject.spec.scenarios):
        raise NotApplicableError(f"it makes none of the scenarios {', '.join(sorted(scenarios))}")
    log = _log()
    labels, codes = _split(subject, log), getattr(log, what)
    for name, learnt, held in FOLDS:
        new = held if what == "user" else held[:1]  # a new user's support is of items that are known
        both = np.intersect1d(codes[np.isin(labels, learnt)], codes[np.isin(labels, new)])
        expect(
            not len(both),
            f"{len(both)} {what}s of the {name} are also learnt from ({both[:3].tolist()} …): they are not new",
        )


def _expect_order(log: LogColumns, earlier: BoolArray, later: BoolArray, sentence: str) -> None:
    """See that no user's last row of `earlier` stands below the first of `later`; rows are sorted by time."""
    row = np.arange(len(log.user))
    last, first = np.full(USERS, -1), np.full(USERS, len(row))
    np.maximum.at(last, log.user[earlier], row[earlier])
    np.minimum.at(first, log.user[later], row[later])
    wrong = np.flatnonzero(last > first)
    expect(not len(wrong), f"{sentence} for {len(wrong)} of {USERS} users ({wrong[:3].tolist()} …)")
