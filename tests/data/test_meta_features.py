"""Meta-features against plain formulas and scipy; nothing that names anybody is among them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from recsmith.data.meta_features import gini, meta_features, relative_entropy, skewness
from recsmith.testing.logs import cycle_fold, popular_fold, ratings_fold


def test_inequality_entropy_and_skew_are_those_of_the_text_books():
    counts = np.random.default_rng(0).integers(1, 50, 200)
    apart = np.abs(counts[:, None] - counts[None, :]).sum()
    assert gini(counts) == pytest.approx(apart / (2 * len(counts) ** 2 * counts.mean()))
    assert relative_entropy(counts) == pytest.approx(stats.entropy(counts) / np.log(len(counts)))
    assert skewness(np.log(counts)) == pytest.approx(stats.skew(np.log(counts)))
    assert (gini(np.full(5, 7)), relative_entropy(np.full(5, 7)), skewness(np.full(5, 7.0))) == pytest.approx((0, 1, 0))


def test_counts_and_density_of_a_fold_are_powers_of_ten():
    fold = cycle_fold(users=40, items=12, length=10, seed=0)
    found, train = meta_features(fold), fold.train
    assert 10 ** found["users"] == pytest.approx(40)
    assert 10 ** found["interactions"] == pytest.approx(len(train.histories.item_num))
    pairs = {(user, item) for user in range(40) for item in train.histories.of(user).tolist()}
    taken = len(set(train.histories.item_num.tolist()))
    assert 10 ** found["density"] == pytest.approx(len(pairs) / (40 * taken))
    assert found["repeats"] == pytest.approx(1 - len(pairs) / len(train.histories.item_num))


def test_what_a_log_lacks_is_left_out():
    rated = meta_features(ratings_fold())
    assert "values.entropy" in rated
    fold = popular_fold()
    bare = replace(fold.train, histories=replace(fold.train.histories, timestamp=None, value=None))
    found = meta_features(replace(fold, train=bare))
    assert not [name for name in found if name.startswith(("time.", "values."))]
    assert set(found) <= set(meta_features(fold))


def test_time_is_told_in_days():
    fold = cycle_fold(users=2, items=6, length=6, seed=0)
    size = len(fold.train.histories.item_num)
    stamps = np.arange(size, dtype=np.int64) * 86_400
    train = replace(fold.train, histories=replace(fold.train.histories, timestamp=stamps))
    found = meta_features(replace(fold, train=train))
    assert 10 ** found["time.days"] - 1 == pytest.approx(size - 1)
    assert found["time.ties"] == 0.0


def test_every_feature_is_a_finite_number():
    for fold in (cycle_fold(), popular_fold(), ratings_fold()):
        assert all(isinstance(value, float) and np.isfinite(value) for value in meta_features(fold).values())
