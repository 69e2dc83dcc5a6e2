"""What every encoder promises, for each of the roles that it reads."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from recsmith.contracts.plugins import GRADIENTS
from recsmith.testing.conformance.attempt import attempt
from recsmith.testing.conformance.columns import (
    MISSING,
    ROLES,
    ROWS,
    column_of,
    dense,
    expect_features,
    expect_finite,
    unseen_of,
)
from recsmith.testing.conformance.modules import close, expect_learns, seeded
from recsmith.testing.conformance.subject import NotApplicableError, bits, expect, round_trip, unchanged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from recsmith.contracts.config import Choice
    from recsmith.contracts.data import Column
    from recsmith.contracts.plugins import Encoder
    from recsmith.testing.conformance.subject import Subject

TWO = 2  # values of a column that knows nothing
LARGEST = 1e6  # times as large as they should be, features have blown up


def reads_roles_that_exist(subject: Subject) -> None:
    """It reads at least one role, only roles that there are, and is the default for none that it does not read."""
    roles, usual = subject.spec.roles, subject.spec.default_for
    expect(roles, f"`roles` is empty: name the roles that it reads, out of {', '.join(ROLES)}")
    strange = sorted(set(roles) - set(ROLES))
    expect(not strange, f"`roles` names {', '.join(strange)}: there are only {', '.join(ROLES)}")
    unread = sorted(set(usual) - set(roles))
    expect(not unread, f"`default_for` names {', '.join(unread)}, which `roles` does not")


def features_are_finite_float32_rows(subject: Subject) -> None:
    """It gives one finite float32 row per value, dense or sparse."""
    for column in _columns(subject):
        expect_features(_fitted(subject, column).features(column), ROWS, column.role)


def missing_values_are_rows_of_zeros(subject: Subject) -> None:
    """A missing value is a row of zeros."""
    for column in _columns(subject):
        row = dense(_fitted(subject, column).features(column))[MISSING]
        expect(not row.any(), f"{column.role}: the missing value in place {MISSING} became {row[:6]}, not zeros")


def known_values_are_told_from_missing_ones(subject: Subject) -> None:
    """Not every known value is a row of zeros: the features say something."""
    for column in _columns(subject):
        features = dense(_fitted(subject, column).features(column))
        expect(features.any(), f"{column.role}: all features of {ROWS - 1} known values are zero")


def unseen_values_are_encoded(subject: Subject) -> None:
    """Values that it was not fitted on are encoded, not raised on."""
    for column in _columns(subject):
        encoder, unseen = _fitted(subject, column), unseen_of(column.role, subject.folder)
        with attempt(f"{column.role}: encoding values that were not there in fit"):
            features = encoder.features(unseen)
            expect(features.shape[0] == ROWS, f"{features.shape[0]} rows of features for {ROWS} unseen values")
            expect_finite(features, f"{column.role}, unseen values")


def width_is_fixed_by_fit(subject: Subject) -> None:
    """After fit every column becomes features of one width."""
    for column in _columns(subject):
        encoder = _fitted(subject, column)
        width = encoder.features(column).shape[1]
        others = {"of its first half": _part(column, slice(0, ROWS // 2)), "of one missing value": _missing(column)}
        others["of unseen values"] = unseen_of(column.role, subject.folder)
        for name, other in others.items():
            got = encoder.features(other).shape[1]
            expect(got == width, f"{column.role}: features {name} are {got} wide, those it was fitted on {width}")


def value_alone_is_encoded_as_among_others(subject: Subject) -> None:
    """A value is encoded alone as it is among others."""
    for column in _columns(subject):
        encoder = _fitted(subject, column)
        together = dense(encoder.features(column))
        for place in range(ROWS):
            alone = dense(encoder.features(_part(column, slice(place, place + 1))))
            same = alone.shape == (1, together.shape[1]) and np.allclose(
                alone[0], together[place], rtol=1e-4, atol=1e-5
            )
            expect(same, f"{column.role}: the value in place {place} has other features alone than among others")


def column_without_a_known_value_is_encoded(subject: Subject) -> None:
    """A column without a known value can be fitted, its features are zeros, and known values are encoded after it."""
    for column in _columns(subject):
        nothing = _missing(column, times=TWO)
        with attempt(f"{column.role}: fitting a column without a known value"):
            encoder = _fitted(subject, nothing)
            features = dense(encoder.features(nothing))
            zeros = features.shape[0] == TWO and not features.any()
            expect(zeros, f"{column.role}: {TWO} missing values are not {TWO} rows of zeros")
            expect_finite(encoder.features(column), f"{column.role}, fitted on no known value")


def empty_column_is_encoded(subject: Subject) -> None:
    """A column without rows can be fitted, and can be encoded by an encoder that was fitted on another one."""
    for column in _columns(subject):
        empty = _part(column, slice(0, 0))
        with attempt(f"{column.role}: encoding a column without rows"):
            encoder = _fitted(subject, column)
            shape, width = encoder.features(empty).shape, encoder.features(column).shape[1]
            expect(shape == (0, width), f"its features have the shape {shape}, not {(0, width)}")
        with attempt(f"{column.role}: fitting a column without rows"):
            rows = _fitted(subject, empty).features(column).shape[0]
            expect(rows == ROWS, f"{rows} rows of features for {ROWS} values")


def one_value_does_not_blow_up(subject: Subject) -> None:
    """Fitted on a column that holds one value only, it encodes that one and others to features of a sane size."""
    for column in _columns(subject):
        usual = max(1.0, float(np.abs(dense(_fitted(subject, column).features(column))).max(initial=0)))
        with attempt(f"{column.role}: fitting a column that holds one value {ROWS} times"):
            encoder = _fitted(subject, column.take(np.full(ROWS, 1)))
            features = encoder.features(column)
            expect_finite(features, f"{column.role}, fitted on one value only")
            size = float(np.abs(dense(features)).max(initial=0))
        expect(
            size < LARGEST * usual,
            f"{column.role}: fitted on one value only, its features reach {size:.3g}; usually {usual:.3g}. Is a "
            "deviation divided by that is zero but for rounding?",
        )


def loaded_state_gives_bit_equal_features(subject: Subject) -> None:
    """A fresh encoder that loads the state, written and read as an artifact does, gives bit-equal features.

    The fresh one is built with another seed, as a server does: nothing may follow from it any more.
    """
    for column in _columns(subject):
        for label, choice in subject.corners():
            try:
                encoder, loaded = _fitted(subject, column, choice), _built(subject, choice, seed=1)
            except Exception:  # noqa: BLE001, S112 - `every_corner_fits` tells which
                continue
            with attempt(f"{column.role}, {label}: loading the state"):
                loaded.load(round_trip(encoder.state()))
                for which, asked in (("fitted", column), ("unseen", unseen_of(column.role, subject.folder))):
                    same = bits(encoder.features(asked)) == bits(loaded.features(asked))
                    expect(same, f"{column.role}, {label}: loaded, it gives other features of {which} values")


def same_seed_same_features(subject: Subject) -> None:
    """Fitted twice with one seed, or asked twice, it gives bit-equal features."""
    for column in _columns(subject):
        encoder = _fitted(subject, column)
        given = encoder.features(column)
        first = bits(given)
        expect(first == bits(encoder.features(column)), f"{column.role}: asked a second time, it gives other features")
        encoder.features(unseen_of(column.role, subject.folder))
        expect(first == bits(given), f"{column.role}: features that it gave earlier change when others are asked for")
        again = bits(_fitted(subject, column).features(column))
        expect(first == again, f"{column.role}: fitted again with the same seed, it gives other features")


def column_is_not_written_to(subject: Subject) -> None:
    """It does not write into a column that it is given."""
    for column in _columns(subject):

        def work(column: Column = column) -> None:
            encoder = _built(subject)
            encoder.fit(column)
            encoder.features(column)

        unchanged(column, work, f"the column (role {column.role})")


def every_corner_fits(subject: Subject) -> None:
    """Every corner of its search space can be fitted and gives finite features, one row per value."""
    for column in _columns(subject):
        for label, choice in subject.corners():
            with attempt(f"{column.role}, {label}"):
                features = _fitted(subject, column, choice).features(column)
                rows = features.shape[0]
                expect(rows == ROWS, f"{column.role}, {label}: {rows} rows of features for {ROWS} values")
                expect_finite(features, f"{column.role}, {label}")


def module_makes_vectors(subject: Subject) -> None:
    """Its module makes a finite vector of the asked width of every row, alone as among others, in every corner."""
    for what, encoder, rows in _learning(subject):
        for width in (4, 16):
            with attempt(f"{what}, width {width}"), torch.no_grad():
                module = seeded(partial(encoder.module, width)).eval()
                vectors, alone = module(rows), module(rows[:1])
            shape = list(vectors.shape)
            expect(shape == [ROWS, width], f"{what}: {shape} for {ROWS} rows and width {width}")
            expect(bool(vectors.isfinite().all()), f"{what}: vectors hold NaN or infinity")
            expect(close(alone, vectors[:1]), f"{what}: a row alone has another vector than among others")


def module_learns(subject: Subject) -> None:
    """Gradients reach the parameters of its module, in every corner, and a fresh one follows from the seed."""
    for what, encoder, rows in _learning(subject):
        with attempt(what):
            module = seeded(partial(encoder.module, 8)).train()
            learnt = [parameter for parameter in module.parameters() if parameter.requires_grad]
            expect(learnt, f"{what}: its module has no parameter that learns")
            expect_learns(module, (rows,), what)
            one, other = (seeded(partial(encoder.module, 8)).state_dict() for _ in range(2))
            same = one.keys() == other.keys() and all(bits(one[name]) == bits(other[name]) for name in one)
            expect(same, f"{what}: the seed of torch's generator does not decide its weights alone")


CHECKS = (
    reads_roles_that_exist,
    features_are_finite_float32_rows,
    missing_values_are_rows_of_zeros,
    known_values_are_told_from_missing_ones,
    unseen_values_are_encoded,
    width_is_fixed_by_fit,
    value_alone_is_encoded_as_among_others,
    column_without_a_known_value_is_encoded,
    empty_column_is_encoded,
    one_value_does_not_blow_up,
    loaded_state_gives_bit_equal_features,
    same_seed_same_features,
    column_is_not_written_to,
    every_corner_fits,
    module_makes_vectors,
    module_learns,
)


# --- the work ---------------------------------------------------------------------------------------------------------


def _columns(subject: Subject) -> Iterator[Column]:
    """A fresh column of each role that it reads."""
    for role in ROLES:
        if role in subject.spec.roles:
            yield column_of(role, subject.folder)


def _learning(subject: Subject) -> Iterator[tuple[str, Any, Tensor]]:
    """An encoder that learns with the model, fitted for every role and corner, and what its module reads."""
    if GRADIENTS not in subject.spec.needs:
        raise NotApplicableError("it does not learn with the model")
    for column in _columns(subject):
        for label, choice in subject.corners():
            encoder = _fitted(subject, column, choice)
            yield f"{column.role}, {label}", encoder, torch.from_numpy(dense(encoder.features(column)))


def _built(subject: Subject, choice: Choice | None = None, seed: int = 0) -> Any:
    context = subject.registry.context(item_counts=np.ones(ROWS, np.int64), users=ROWS, seed=seed)
    return subject.registry.build("encoders", choice or subject.choice(), context)


def _fitted(subject: Subject, column: Column, choice: Choice | None = None) -> Encoder:
    encoder: Encoder = _built(subject, choice)
    encoder.fit(column)
    return encoder


def _part(column: Column, rows: slice) -> Column:
    return column.take(np.arange(ROWS)[rows])


def _missing(column: Column, times: int = 1) -> Column:
    return column.take(np.full(times, MISSING))
