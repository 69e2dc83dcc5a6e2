"""What every fuser promises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy import sparse

from recsmith.contracts.plugins import GRADIENTS
from recsmith.testing.conformance.attempt import attempt
from recsmith.testing.conformance.columns import dense, expect_features, expect_finite
from recsmith.testing.conformance.modules import close, expect_learns, seeded
from recsmith.testing.conformance.subject import NotApplicableError, bits, expect, unchanged

if TYPE_CHECKING:
    from torch import Tensor

    from recsmith.contracts.config import Choice
    from recsmith.contracts.data import FloatArray
    from recsmith.testing.conformance.subject import Subject

ROWS = 12
EQUAL = (0, 7)  # rows that are the same in every column
UNKNOWN, WIDTH = 4, 8  # a row of which no column is known; of the vectors that a module joins
WIDTHS = {"genre": 3, "price": 2, "title": 6}


def fused_features_are_finite_float32(subject: Subject) -> None:
    """It makes one finite float32 matrix, dense or sparse, with the rows of its columns."""
    expect_features(_built(subject).fuse(_features()), ROWS, "three columns")


def one_column_is_fused(subject: Subject) -> None:
    """A single column is fused like several."""
    for name, features in _features().items():
        with attempt(f"fusing one column of {features.shape[1]} features alone"):
            fused = _built(subject).fuse({name: features})
            expect(fused.shape[0] == ROWS, f"{fused.shape[0]} rows came of one column of {ROWS}")
            expect_finite(fused, "one column")


def sparse_columns_are_fused_as_dense_ones(subject: Subject) -> None:
    """Sparse columns, and sparse and dense ones together, are fused to the numbers that dense ones are."""
    plain = _features()
    expected = dense(_built(subject).fuse(plain))
    for names in (("title",), ("genre", "title"), tuple(WIDTHS)):
        mixed = {name: sparse.csr_array(plain[name]) if name in names else plain[name] for name in plain}
        with attempt(f"fusing with {', '.join(names)} sparse"):
            got = dense(_built(subject).fuse(mixed))
            same = got.shape == expected.shape and np.allclose(got, expected, rtol=1e-4, atol=1e-6)
            expect(same, f"with {', '.join(names)} sparse it gives other numbers than with all columns dense")


def column_without_features_is_fused(subject: Subject) -> None:
    """A column whose encoder found nothing, and so has no features, is fused with others and alone."""
    nothing = np.zeros((ROWS, 0), np.float32)
    for name, features in (("beside others", {**_features(), "none": nothing}), ("alone", {"none": nothing})):
        for form in (np.asarray, sparse.csr_array):
            with attempt(f"fusing a column of width 0 {name}"):
                rows = _built(subject).fuse({**features, "none": form(nothing)}).shape[0]
                expect(rows == ROWS, f"{rows} rows came of {ROWS} where a column has no features ({name})")


def rows_of_zeros_stay_finite(subject: Subject) -> None:
    """An item of which a column, or every column, knows nothing gets finite features."""
    for names in (("price",), tuple(WIDTHS)):
        features = _features()
        for name in names:
            features[name][4] = 0
        with np.errstate(all="ignore"):
            fused = _built(subject).fuse(features)
        expect_finite(fused, f"where row 4 is zeros in {', '.join(names)}")


def equal_rows_are_fused_alike(subject: Subject) -> None:
    """Rows stay in their places: two items with the same features get the same fused features."""
    fused = dense(_built(subject).fuse(_features()))
    one, other = EQUAL
    same = np.allclose(fused[one], fused[other], rtol=1e-4, atol=1e-6)
    expect(same, f"rows {one} and {other} are alike in every column, but not when they are fused")


def same_columns_same_features(subject: Subject) -> None:
    """Fused again, by it or by a fresh one, the columns give bit-equal features, of one shape in whatever order."""
    features = _features()
    fuser = _built(subject)
    first = fuser.fuse(features)
    before = bits(first)
    expect(before == bits(fuser.fuse(_features())), "asked a second time, it gives other features")
    expect(before == bits(_built(subject).fuse(_features())), "a fresh one gives other features")
    turned = fuser.fuse(dict(reversed(features.items()))).shape
    expect(turned == first.shape, f"in another order of the columns the shape is {turned}, not {first.shape}")


def module_joins_vectors(subject: Subject) -> None:
    """Its module makes one finite vector of the asked width of one, two or five, in every corner."""
    for label, choice in _corners_of_modules(subject):
        for columns in (1, 2, 5):
            vectors, known = _vectors(columns)
            with attempt(f"{label}: joining the vectors of {columns} columns"):
                fused = _module(subject, columns, choice)(vectors, known)
            shape = list(fused.shape)
            expect(shape == [ROWS, WIDTH], f"{label}: {columns} columns became {shape}, not {[ROWS, WIDTH]}")
            expect(bool(fused.isfinite().all()), f"{label}: of {columns} columns it makes NaN or infinity")


def module_passes_over_what_is_not_known(subject: Subject) -> None:
    """The vector of a column that is not known has no say, and where none is known the result is zeros."""
    vectors, known = _vectors(3)
    module = _module(subject, 3)
    first = module(vectors, known)
    others = vectors.roll(1, 0)  # of other rows: a sum would be lost on a module that brings vectors to one size
    hidden = torch.where(known.unsqueeze(2), vectors, others)
    expect(close(module(hidden, known), first), "vectors of columns that are not known change the result")
    expect(not first[UNKNOWN].any(), f"where no column is known the result is {first[UNKNOWN][:4].tolist()}, not zeros")
    expect(not close(module(others, known), first), "vectors of known columns do not change the result")


def module_learns(subject: Subject) -> None:
    """Gradients are finite and reach its parameters and the vectors, in every corner, also where nothing is known."""
    for label, choice in _corners_of_modules(subject):
        vectors, known = _vectors(3)
        with attempt(label):
            expect_learns(_module(subject, 3, choice).train(), (vectors.requires_grad_(), known), label)
        reached = torch.zeros(()) if vectors.grad is None else vectors.grad
        expect(bool(reached.any()), f"{label}: no gradient reaches the vectors that it joins")
        expect(bool(reached.isfinite().all()), f"{label}: a gradient of the vectors is NaN or infinite")


def columns_are_not_written_to(subject: Subject) -> None:
    """It does not write into the features that it is given, dense or sparse."""
    plain = _features()
    unchanged(plain, lambda: _built(subject).fuse(plain), "the features of a dense column")
    packed = {name: sparse.csr_array(features) for name, features in _features().items()}
    unchanged(packed, lambda: _built(subject).fuse(packed), "the features of a sparse column")


def every_corner_fuses(subject: Subject) -> None:
    """Every corner of its search space gives finite features, one row for each of the columns'."""
    for label, choice in subject.corners():
        with attempt(label):
            fused = _built(subject, choice).fuse(_features())
            expect(fused.shape[0] == ROWS, f"{label}: {fused.shape[0]} rows came of {ROWS}")
            expect_finite(fused, label)


CHECKS = (
    fused_features_are_finite_float32,
    one_column_is_fused,
    sparse_columns_are_fused_as_dense_ones,
    column_without_features_is_fused,
    rows_of_zeros_stay_finite,
    equal_rows_are_fused_alike,
    same_columns_same_features,
    columns_are_not_written_to,
    every_corner_fuses,
    module_joins_vectors,
    module_passes_over_what_is_not_known,
    module_learns,
)


# --- the work ---------------------------------------------------------------------------------------------------------


def _features() -> dict[str, FloatArray]:
    """Dense columns without a zero row, anew for every use."""
    generator = np.random.default_rng(0)
    features = {name: generator.normal(size=(ROWS, width)).astype(np.float32) for name, width in WIDTHS.items()}
    for each in features.values():
        each[EQUAL[1]] = each[EQUAL[0]]
    return features


def _corners_of_modules(subject: Subject) -> list[tuple[str, Choice]]:
    _module(subject, 1)
    return list(subject.corners())


def _module(subject: Subject, columns: int, choice: Choice | None = None) -> Any:
    """A fresh module that serves."""
    fuser = _made(subject, choice)
    if not hasattr(fuser, "module"):
        expect(GRADIENTS not in subject.spec.needs, f"it needs {GRADIENTS!r}, but has no module")
        raise NotApplicableError("it has no module")
    return seeded(lambda: fuser.module(columns, WIDTH)).eval()


def _vectors(columns: int) -> tuple[Tensor, Tensor]:
    """Vectors [ROWS, columns, WIDTH] and which are known; of the row UNKNOWN none is."""
    generator = torch.Generator().manual_seed(0)
    known = torch.rand(ROWS, columns, generator=generator) < 0.6  # noqa: PLR2004 - most, not all
    known[UNKNOWN] = False
    return torch.randn(ROWS, columns, WIDTH, generator=generator), known


def _built(subject: Subject, choice: Choice | None = None) -> Any:
    if GRADIENTS in subject.spec.needs:
        raise NotApplicableError("it joins vectors only, by a module")
    return _made(subject, choice)


def _made(subject: Subject, choice: Choice | None) -> Any:
    context = subject.registry.context(item_counts=np.ones(ROWS, np.int64), users=ROWS)
    return subject.registry.build("fusers", choice or subject.choice(), context)
