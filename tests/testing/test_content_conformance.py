"""Encoders and fusers: each promise can be broken."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest
import torch
from scipy import sparse
from torch import nn

from recsmith.contracts.config import Config
from recsmith.contracts.data import Column, State
from recsmith.contracts.domains import Categorical, Float, Int
from recsmith.contracts.plugins import GRADIENTS, EncoderSpec, FuserSpec
from recsmith.testing.conformance import run_check
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


class Layered(nn.Module):
    """A sound module of an encoder, which drops features in training only."""

    def __init__(self, config, width):
        super().__init__()
        self.config, self.width = config, width
        self.drop = nn.Dropout(0.3)
        self.out = nn.Linear(2, width)

    def forward(self, rows):
        return self.out(self.drop(rows))


class AlwaysEight(Layered):
    def __init__(self, config, _width):
        super().__init__(config, 8)


class NeverFilled(Layered):
    """What it divides by when it serves is zero: training was to fill it, and did not."""

    def forward(self, rows):
        vectors = super().forward(rows)
        return vectors / (vectors.std(0) + 0.1 if self.training else torch.zeros(self.width))


class CentresTheBatch(Layered):
    def forward(self, rows):
        return super().forward(rows - rows.mean(0))


class Headed(Config):
    heads: Annotated[int, Int(1, 8, log=True)] = 2


class Heads(Layered):
    def forward(self, rows):
        heads = self.config.heads
        return super().forward(rows).view(len(rows), heads, -1, self.width // heads).flatten(1)


class BothFromZero(Layered):
    """Neither layer can leave zero, since the other one is there."""

    def __init__(self, config, width):
        super().__init__(config, width)
        self.scale = nn.Parameter(torch.zeros(width))
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, rows):
        return super().forward(rows) * self.scale + 1.0


class RootOfZero(Layered):
    """The length of a row of zeros has no slope."""

    def __init__(self, config, width):
        super().__init__(config, width)
        self.out = nn.Linear(2, width, bias=False)

    def forward(self, rows):
        vectors = super().forward(rows)
        return vectors * vectors.square().sum(1, keepdim=True).sqrt()


class Freezable(Config):
    frozen: Annotated[bool, Categorical((False, True))] = False


class Frozen(Layered):
    def __init__(self, config, width):
        super().__init__(config, width)
        self.requires_grad_(not config.frozen)


class WithoutGradient(Layered):
    @torch.no_grad()
    def forward(self, rows):
        return super().forward(rows)


class OwnChance(Layered):
    def __init__(self, config, width):
        super().__init__(config, width)
        start = np.random.default_rng().normal(size=(width, 2)).astype(np.float32)
        self.out.weight.data = torch.from_numpy(start)


def encoder(build, config=Plain, **changes):
    spec = EncoderSpec(name="scaled", api_version=1, config=config, build=build, roles=frozenset({"number"}))
    return replace(spec, **changes)


def learning(module, config=Plain):
    """The sound encoder with this module, which learns with a model."""

    def build(config, context):
        made = Scaled(config, context)
        made.module = partial(module, config)
        return made

    build.__name__ = module.__name__
    return encoder(build, config, needs=frozenset({GRADIENTS}))


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
    (learning(AlwaysEight), "module_makes_vectors", "[20, 8] for 20 rows and width 4"),
    (learning(NeverFilled), "module_makes_vectors", "number, the defaults: vectors hold NaN or infinity"),
    (learning(CentresTheBatch), "module_makes_vectors", "a row alone has another vector than among others"),
    (learning(Heads, Headed), "module_makes_vectors", "encoder.scaled.heads=8, width 4: it raised RuntimeError"),
    (learning(BothFromZero), "module_learns", "number, the defaults: no gradient reaches a parameter"),
    (learning(RootOfZero), "module_learns", "number, the defaults: a gradient is NaN or infinite"),
    (learning(Frozen, Freezable), "module_learns", "encoder.scaled.frozen=True: its module has no parameter that"),
    (learning(WithoutGradient), "module_learns", "number, the defaults: it raised RuntimeError: element 0 of tensors"),
    (learning(OwnChance), "module_learns", "the seed of torch's generator does not decide its weights alone"),
]


def states(built_in, kind, spec):
    """How the checks of a kind end that are not about settings."""
    registry = built_in.registry
    specs = {**registry.specs, kind: {**registry.specs[kind], spec.name: spec}}
    beside = replace(built_in, registry=replace(registry, specs=specs))
    return {check.__name__: run_check(beside, kind, spec.name, check).state for check in CHECKS[kind]}


@pytest.mark.parametrize("spec", [encoder(Scaled), learning(Layered)], ids=["plain", "learning"])
def test_a_sound_encoder_breaks_nothing(broken, spec):
    assert broken("encoders", spec) == {}


def test_modules_of_encoders_are_examined_where_they_learn_with_a_model(built_in):
    plain, learns = (states(built_in, "encoders", spec) for spec in (encoder(Scaled), learning(Layered)))
    of_modules = ["module_makes_vectors", "module_learns"]
    assert [check for check in plain if plain[check] == "not applicable"] == of_modules
    assert set(learns.values()) == {"kept"}


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


class Sum(nn.Module):
    """A sound module of a fuser: the sum of the known columns' vectors, each through its own layer."""

    def __init__(self, config, columns, width):
        super().__init__()
        self.config, self.columns, self.width = config, columns, width
        self.own = nn.Parameter(torch.randn(columns, width, width) / width**0.5)

    def forward(self, vectors, known):
        return self.join(torch.einsum("ncd,cde->nce", vectors, self.own), known)

    def join(self, vectors, known):
        return (vectors * known.unsqueeze(2)).sum(1)


class NothingToLearn(nn.Module):
    """Sound as well: what it joins can learn."""

    def __init__(self, *_sizes):
        super().__init__()

    def forward(self, vectors, known):
        return (vectors * known.unsqueeze(2)).sum(1)


class SumOfNormed(Sum):
    """Sound as well: vectors that differ by their mean and their size only are one to it."""

    def forward(self, vectors, known):
        return super().forward(nn.functional.layer_norm(vectors, (self.width,)), known)


class SideBySide(Sum):
    def join(self, vectors, known):
        return (vectors * known.unsqueeze(2)).flatten(1)


class OverTheOthers(Sum):
    def join(self, vectors, known):
        return super().join(vectors, known) / torch.tensor(self.columns - 1)


class Placed(Config):
    places: Annotated[int, Int(3, 8)] = 6


class InPlaces(Sum):
    """It has a vector for each of so many columns, and gets more."""

    def __init__(self, config, columns, width):
        super().__init__(config, columns, width)
        self.place = nn.Embedding(config.places, width)

    def join(self, vectors, known):
        return super().join(vectors + self.place(torch.arange(self.columns)), known)


class MeanOfAll(Sum):
    def join(self, vectors, known):
        return vectors.mean(1) * known.any(1, keepdim=True)


class MeanOfAllNormed(SumOfNormed):
    def join(self, vectors, known):
        return vectors.mean(1) * known.any(1, keepdim=True)


class AddsABias(Sum):
    def __init__(self, config, columns, width):
        super().__init__(config, columns, width)
        self.bias = nn.Parameter(torch.randn(width))

    def join(self, vectors, known):
        return super().join(vectors, known) + self.bias


class DropsWhenItServes(Sum):
    """Leaves vectors out, all but what says which columns they are of, when it serves instead of in training."""

    def __init__(self, config, columns, width):
        super().__init__(config, columns, width)
        self.place = nn.Parameter(torch.randn(columns, width))

    def join(self, vectors, known):
        return super().join(vectors * self.training + self.place, known)


class GatesFromZero(Sum):
    """The gates are zero, and nothing that they let through can change that."""

    def __init__(self, config, columns, width):
        super().__init__(config, columns, width)
        nn.init.zeros_(self.own)
        self.gate = nn.Parameter(torch.zeros(columns, 1))

    def forward(self, vectors, known):
        gated = self.gate * torch.einsum("ncd,cde->nce", vectors, self.own)
        return self.join(gated + vectors, known)


class SoftmaxOfNothing(Sum):
    """Zeros where nothing is known, but their slope is NaN."""

    def join(self, vectors, known):
        scores = vectors.sum(2) + known.float().log()
        return (scores.softmax(1).nan_to_num().unsqueeze(2) * vectors).sum(1)


class LengthOfNothing(NothingToLearn):
    """The same, of what it reads: where nothing is known the length has no slope."""

    def forward(self, vectors, known):
        fused = super().forward(vectors, known)
        return fused * fused.square().sum(1, keepdim=True).sqrt()


class Detachable(Config):
    detached: Annotated[bool, Categorical((False, True))] = False


class Detached(Sum):
    def forward(self, vectors, known):
        return super().forward(vectors.detach() if self.config.detached else vectors, known)


def fuser(build, config=Plain, **changes):
    return replace(FuserSpec(name="beside", api_version=1, config=config, build=build), **changes)


class ByModuleOnly:
    """A fuser that cannot do without a model that learns by gradients."""

    def __init__(self, config, _context):
        self.config = config


def joining(module, config=Plain, plain=Beside, **changes):
    """The sound fuser, or `plain`, with this module."""

    def build(config, context):
        made = plain(config, context)
        made.module = partial(module, config)
        return made

    build.__name__ = module.__name__
    return fuser(build, config, **changes)


LEARNS_ONLY = frozenset({GRADIENTS})
SOUND_FUSERS = {
    "plain": fuser(Beside),
    "both": joining(Sum),
    "module_only": joining(Sum, plain=ByModuleOnly, needs=LEARNS_ONLY),
    "nothing_to_learn": joining(NothingToLearn),
    "normed": joining(SumOfNormed),
}
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
    (joining(SideBySide), "module_joins_vectors", "the defaults: 2 columns became [12, 16], not [12, 8]"),
    (joining(OverTheOthers), "module_joins_vectors", "the defaults: of 1 columns it makes NaN or infinity"),
    (joining(InPlaces, Placed), "module_joins_vectors", "places=3: joining the vectors of 5 columns: it raised Index"),
    (joining(MeanOfAll), "module_passes_over_what_is_not_known", "that are not known change the result"),
    (joining(MeanOfAllNormed), "module_passes_over_what_is_not_known", "that are not known change the result"),
    (joining(AddsABias), "module_passes_over_what_is_not_known", "where no column is known the result is ["),
    (joining(DropsWhenItServes), "module_passes_over_what_is_not_known", "of known columns do not change the result"),
    (joining(GatesFromZero), "module_learns", "the defaults: no gradient reaches a parameter"),
    (joining(SoftmaxOfNothing), "module_learns", "the defaults: a gradient is NaN or infinite"),
    (joining(LengthOfNothing), "module_learns", "the defaults: a gradient of the vectors is NaN or infinite"),
    (joining(Detached, Detachable), "module_learns", "detached=True: no gradient reaches the vectors that it joins"),
]


@pytest.mark.parametrize("spec", SOUND_FUSERS.values(), ids=SOUND_FUSERS)
def test_a_sound_fuser_breaks_nothing(broken, spec):
    assert broken("fusers", spec) == {}


@pytest.mark.parametrize(("spec", "left_out"), [("plain", "module"), ("both", "neither"), ("module_only", "fusing")])
def test_a_fuser_is_examined_in_each_way_that_it_serves(built_in, spec, left_out):
    found = states(built_in, "fusers", SOUND_FUSERS[spec])
    of_modules = {"module_joins_vectors", "module_passes_over_what_is_not_known", "module_learns"}
    aside = {"module": of_modules, "neither": set(), "fusing": set(found) - of_modules}[left_out]
    assert found == {check: "not applicable" if check in aside else "kept" for check in found}


def test_a_fuser_that_needs_gradients_has_a_module(broken):
    found = broken("fusers", fuser(ByModuleOnly, needs=LEARNS_ONLY))
    assert "module_joins_vectors" in found
    assert set(found.values()) == {"it needs 'gradients', but has no module"}


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
