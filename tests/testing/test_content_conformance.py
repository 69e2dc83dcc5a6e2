"""Encoders and fusers: each promise can be broken."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest
from scipy import sparse

from recsmith.contracts.config import Config
from recsmith.contracts.data import Column, State
from recsmith.contracts.domains import Float, Int
from recsmith.contracts.plugins import EncoderSpec, FuserSpec
from recsmith.testing.conformance.suite import CHECKS

# --- encoders ---------------------------------------------------------------------------------------------------------


class Plain(Config):
    pass


class Scaled:
    """A sound encoder of numbers: the standard score, and whether it is known."""

    def __init__(self, config, context):
        self.config, self.seed = config, context.seed
        self.mean, self.deviation, self.informed = 0.0, 1.0, False

    def fit(self, column):
        known = column.values[np.isfinite(column.values)]
        self.informed = len(known) > 0
        if self.informed:
            self.mean = float(known.mean())
            self.deviation = self.spread(known)

    def spread(self, known):
        return float(known.std()) if known.min() < known.max() else 1.0

    def features(self, column):
        known = np.isfinite(column.values)
        scaled = (np.where(known, column.values, 0.0) - self.mean) / self.deviation
        return np.stack([np.where(known, scaled, 0.0), known], axis=1).astype(np.float32)

    def state(self):
        return State({"mean": self.mean, "deviation": self.deviation})

    def load(self, state):
        self.mean, self.deviation = state.values["mean"], state.values["deviation"]


class Doubles(Scaled):
    def features(self, column):
        return super().features(column).astype(np.float64)


class ByColumns(Scaled):
    def features(self, column):
        return sparse.csc_array(super().features(column))


class Imputing(Scaled):
    def features(self, column):
        rows = super().features(column)
        rows[:, 0] += self.informed & (rows[:, 1] == 0)
        return rows

    def state(self):
        return State({**super().state().values, "informed": self.informed})

    def load(self, state):
        super().load(state)
        self.informed = state.values["informed"]


class Silent(Scaled):
    def features(self, column):
        return 0 * super().features(column)


class Bounded(Scaled):
    def features(self, column):
        rows = super().features(column)
        rows[column.values > 1e8, 0] = np.nan
        return rows


class Growing(Scaled):
    def features(self, column):
        rows = super().features(column)
        return np.pad(rows, ((0, 0), (0, 1))) if (column.values > 1e8).any() else rows


class OfTheLargest(Scaled):
    def features(self, column):
        rows = super().features(column)
        rows[:, 0] /= max(np.abs(rows[:, 0]).max(initial=0), 1e-9)
        return rows


class NeedsKnown(Scaled):
    def fit(self, column):
        if len(column.values) and np.isnan(column.values).all():
            raise ValueError("mean of nothing")
        super().fit(column)


class NeedsRows(Scaled):
    def fit(self, column):
        column.values.max()
        super().fit(column)


class Rounding(Scaled):
    def spread(self, known):
        return float(known.std()) or 1.0


class Forgetful(Scaled):
    def state(self):
        return State({"mean": self.mean, "deviation": 1.0})


class NotJson(Scaled):
    def state(self):
        return State({"mean": self.mean, "deviation": float("nan")})


class Pickling(Scaled):
    def state(self):
        import pickle

        return State(super().state().values, {"model": np.frombuffer(pickle.dumps({"a": 1}), np.uint8)})


class OfTheSeed(Scaled):
    def features(self, column):
        return super().features(column) * np.float32(1 + self.seed)


class Drawing(Scaled):
    def fit(self, column):
        super().fit(column)
        self.mean += 1e-3 * np.random.default_rng().random()


class SharedBuffer(Scaled):
    buffer = None

    def features(self, column):
        rows = super().features(column)
        if len(rows) != 20:
            return rows
        self.buffer = rows if self.buffer is None else self.buffer
        self.buffer[:] = rows
        return self.buffer


class Writing(Scaled):
    def fit(self, column):
        if len(column.values) > 1:
            column.values[0] = column.values[1]
        super().fit(column)


class Windowed(Config):
    window: Annotated[int, Int(0, 4)] = 2


class Divided(Scaled):
    def fit(self, column):
        super().fit(column)
        self.mean /= self.config.window


def encoder(build, config=Plain, **changes):
    spec = EncoderSpec(name="scaled", api_version=1, config=config, build=build, roles=frozenset({"number"}))
    return replace(spec, **changes)


BROKEN_ENCODERS = [
    (encoder(Scaled, roles=frozenset({"number", "colour"})), "reads_roles_that_exist", "names colour"),
    (encoder(Scaled, default_for=frozenset({"time"})), "reads_roles_that_exist", "names time, which `roles` does not"),
    (encoder(Doubles), "features_are_finite_float32_rows", "are float64"),
    (encoder(ByColumns), "features_are_finite_float32_rows", "a csc_array, neither"),
    (encoder(Imputing), "missing_values_are_rows_of_zeros", "the missing value in place 3 became [1. 0.]"),
    (encoder(Silent), "known_values_are_told_from_missing_ones", "all features of 19 known values are zero"),
    (encoder(Bounded), "unseen_values_are_encoded", "NaN or infinity"),
    (encoder(Growing), "width_is_fixed_by_fit", "features of unseen values are 3 wide, those it was fitted on 2"),
    (encoder(OfTheLargest), "value_alone_is_encoded_as_among_others", "has other features alone"),
    (encoder(NeedsKnown), "column_without_a_known_value_is_encoded", "raised ValueError: mean of nothing"),
    (encoder(NeedsRows), "empty_column_is_encoded", "fitting a column without rows: it raised ValueError"),
    (encoder(Rounding), "one_value_does_not_blow_up", "zero but for rounding"),
    (encoder(Forgetful), "loaded_state_gives_bit_equal_features", "loaded, it gives other features"),
    (encoder(NotJson), "loaded_state_gives_bit_equal_features", "plain JSON values"),
    (encoder(Pickling), "loaded_state_gives_bit_equal_features", "holds a pickle"),
    (encoder(OfTheSeed), "loaded_state_gives_bit_equal_features", "loaded, it gives other features"),
    (encoder(Drawing), "same_seed_same_features", "fitted again with the same seed"),
    (encoder(SharedBuffer), "same_seed_same_features", "that it gave earlier change"),
    (encoder(Writing), "column_is_not_written_to", "the column (role number) was changed"),
    (encoder(Divided, Windowed), "every_corner_fits", "encoder.scaled.window=0: it raised ZeroDivisionError"),
]


def test_a_sound_encoder_breaks_nothing(broken):
    assert broken("encoders", encoder(Scaled)) == {}


@pytest.mark.parametrize(
    ("spec", "check", "sentence"),
    BROKEN_ENCODERS,
    ids=lambda value: getattr(value, "build", None) and value.build.__name__,
)
def test_a_broken_encoder_breaks_the_promise_that_is_about_it(broken, spec, check, sentence):
    found = broken("encoders", spec)
    assert list(found) == [check]
    assert sentence in found[check]


def test_every_promise_of_encoders_can_be_broken():
    assert {check for _, check, _ in BROKEN_ENCODERS} == {check.__name__ for check in CHECKS["encoders"]}


@pytest.mark.parametrize("role", ["image", "audio"])
def test_media_are_files_that_are_there(broken, role):
    class Sizes(Scaled):
        def _sizes(self, column):
            sizes = [np.nan if path is None else Path(path).stat().st_size for path in column.values]
            return Column(column.name, "number", np.array(sizes, np.float64))

        def fit(self, column):
            super().fit(self._sizes(column))

        def features(self, column):
            return super().features(self._sizes(column))

    assert broken("encoders", encoder(Sizes, roles=frozenset({role}))) == {}


# --- fusers -----------------------------------------------------------------------------------------------------------


class Beside:
    """A sound fuser: the columns side by side in order of their names."""

    def __init__(self, config, _context):
        self.config = config

    def fuse(self, features):
        return np.concatenate([self.block(features[name]) for name in sorted(features)], axis=1)

    def block(self, features):
        return features.toarray() if sparse.issparse(features) else features


class BesideInDoubles(Beside):
    def fuse(self, features):
        return super().fuse(features).astype(np.float64)


class RowMissing(Beside):
    def fuse(self, features):
        fused = super().fuse(features)
        return (
            fused[1:]
            if len(features) == 3 and all(isinstance(each, np.ndarray) for each in features.values())
            else fused
        )


class NeedsTwo(Beside):
    def fuse(self, features):
        names = list(features)
        if len(names) == 1 and features[names[0]].shape[1]:
            raise IndexError("no second column")
        return super().fuse(features)


class CountsSparse(Beside):
    def block(self, features):
        return (features.toarray() != 0).astype(np.float32) if sparse.issparse(features) else features


class SharesWidth(Beside):
    def block(self, features):
        return super().block(features) * np.float32(1 / features.shape[1])


class Norming(Beside):
    def block(self, features):
        block = super().block(features)
        return block / np.linalg.norm(block, axis=1, keepdims=True)


class Numbering(Beside):
    def fuse(self, features):
        fused = super().fuse(features).copy()
        fused[:, :1] += np.arange(len(fused), dtype=np.float32)[:, None]
        return fused


class Drifting(Beside):
    asked = 0

    def fuse(self, features):
        self.asked += 1
        return super().fuse(features) * np.float32(1 + 1e-6 * self.asked)


class OfTheFirst(Beside):
    def fuse(self, features):
        return super().fuse(features)[:, : 3 + list(features.values())[0].shape[1]]  # noqa: RUF015


class NormingInPlace(Beside):
    def fuse(self, features):
        for each in features.values():
            if isinstance(each, np.ndarray):
                each /= np.maximum(np.abs(each).max(initial=0), 1e-9)  # noqa: PLW2901 - this is what is wrong
        return super().fuse(features)


class SparseInPlace(Beside):
    def block(self, features):
        if sparse.issparse(features):
            features.data[:] = np.round(features.data, 6)
        return super().block(features)


class Powered(Config):
    power: Annotated[float, Float(0.0, 2.0)] = 1.0


class Root(Beside):
    def block(self, features):
        return super().block(features) * np.float32(1 / self.config.power)


def fuser(build, config=Plain):
    return FuserSpec(name="beside", api_version=1, config=config, build=build)


BROKEN_FUSERS = [
    (fuser(BesideInDoubles), "fused_features_are_finite_float32", "are float64"),
    (fuser(NeedsTwo), "one_column_is_fused", "alone: it raised IndexError: no second column"),
    (fuser(CountsSparse), "sparse_columns_are_fused_as_dense_ones", "with title sparse it gives other numbers"),
    (fuser(SharesWidth), "column_without_features_is_fused", "width 0 beside others: it raised ZeroDivisionError"),
    (fuser(Norming), "rows_of_zeros_stay_finite", "row 4 holds NaN"),
    (fuser(Numbering), "equal_rows_are_fused_alike", "rows 0 and 7 are alike in every column"),
    (fuser(Drifting), "same_columns_same_features", "a second time"),
    (fuser(OfTheFirst), "same_columns_same_features", "in another order of the columns"),
    (fuser(NormingInPlace), "columns_are_not_written_to", "a dense column was changed"),
    (fuser(SparseInPlace), "columns_are_not_written_to", "a sparse column was changed"),
    (fuser(Root, Powered), "every_corner_fuses", "fuser.beside.power=0.0: it raised ZeroDivisionError"),
]


def test_a_sound_fuser_breaks_nothing(broken):
    assert broken("fusers", fuser(Beside)) == {}


@pytest.mark.parametrize(
    ("spec", "check", "sentence"),
    BROKEN_FUSERS,
    ids=lambda value: getattr(value, "build", None) and value.build.__name__,
)
def test_a_broken_fuser_breaks_the_promise_that_is_about_it(broken, spec, check, sentence):
    found = broken("fusers", spec)
    assert list(found) == [check]
    assert sentence in found[check]


def test_every_promise_of_fusers_can_be_broken():
    assert {check for _, check, _ in BROKEN_FUSERS} == {check.__name__ for check in CHECKS["fusers"]}
