"""The generated logs have the answers that their docstrings state, shown with references of a few numpy lines."""

import csv
import wave
from collections import Counter, defaultdict

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from recsmith.testing.logs import cycle_fold, demo_log, groups_fold, histories_of, popular_fold, ratings_fold

K = 10


def judged(fold, scores, *, mask_seen=True):
    """NDCG@10 and HR@10 of `scores` [U, I] on the one target of each user."""
    scores = np.array(scores, float)
    if mask_seen:
        history = fold.holdout.requests.histories
        scores[history.rows, history.item_num] = -np.inf
    rank = np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1)
    place = rank[np.arange(len(scores)), fold.holdout.target_item]
    gain = np.where(place < K, 1 / np.log2(place + 2), 0.0)
    return gain.mean(), (place < K).mean()


def popularity(fold):
    return np.tile(fold.train.counts.astype(float), (fold.train.users, 1))


def knn(fold):
    seen = fold.train.histories.matrix(fold.train.items).toarray()
    norm = np.linalg.norm(seen, axis=0) + 1e-9
    similarity = seen.T @ seen / norm / norm[:, None]
    np.fill_diagonal(similarity, 0)
    return seen @ similarity


def bigram(fold):
    follows = np.zeros((fold.train.items, fold.train.items))
    for user in range(fold.train.users):
        walk = fold.train.histories.of(user)
        np.add.at(follows, (walk[:-1], walk[1:]), 1)
    last = np.array([fold.train.histories.of(user)[-1] for user in range(fold.train.users)])
    return follows[last]


def test_cycle_next_item_is_last_plus_one():
    fold = cycle_fold()
    last = fold.train.histories.last(1).item_num
    assert judged(fold, np.eye(30)[(last + 1) % 30]) == (1.0, 1.0)
    assert judged(fold, bigram(fold))[0] > 0.99
    assert judged(fold, popularity(fold))[1] < 0.75  # ten of the eighteen unseen items


def test_groups_oracle_and_neighbours_beat_popularity():
    fold = groups_fold()
    group_of = np.arange(60) % 4
    oracle = np.where(group_of[None, :] == (np.arange(80) % 4)[:, None], 1.0, 0.0)
    assert judged(fold, oracle)[1] == 1.0
    assert judged(fold, knn(fold))[1] == 1.0
    expected = np.mean(1 / np.log2(np.arange(7) + 2))
    draws = [judged(groups_fold(seed=seed), oracle)[0] for seed in range(20)]
    assert np.mean(draws) == pytest.approx(expected, abs=0.02)
    assert judged(fold, popularity(fold))[1] < 0.5


def test_ratings_known_offsets_reach_the_floor():
    fold = ratings_fold(users=400, seed=3)
    generator = np.random.default_rng(3)
    user, item = generator.normal(0, 0.5, 400), generator.normal(0, 0.7, 50)
    target, actual = fold.holdout.target_item, fold.holdout.target_value
    predicted = 3.5 + np.repeat(user, 3) + item[target]
    assert np.abs(actual - predicted).mean() == pytest.approx(0.3 * np.sqrt(2 / np.pi), abs=0.02)
    train = fold.train.histories
    mean = train.value.mean()
    by_item = np.bincount(train.item_num, train.value - mean) / np.bincount(train.item_num)
    left = train.value - mean - by_item[train.item_num]
    by_user = np.bincount(train.rows, left) / train.lengths
    fitted = np.abs(actual - mean - by_item[target] - np.repeat(by_user, 3)).mean()
    assert 0.22 < fitted < 0.28
    assert np.abs(actual - mean).mean() > 0.6


def test_popular_fold_is_won_by_popularity():
    fold = popular_fold()
    best = judged(fold, np.tile(-np.arange(100.0), (400, 1)))[0]
    assert judged(fold, popularity(fold))[0] == pytest.approx(best, abs=0.03)
    assert judged(fold, knn(fold))[0] < best + 0.03


@pytest.mark.parametrize("make", [cycle_fold, groups_fold, ratings_fold, popular_fold])
def test_a_fold_is_deterministic_and_consistent(make):
    first, again, other = make(seed=1), make(seed=1), make(seed=2)
    assert np.array_equal(first.train.histories.item_num, again.train.histories.item_num)
    assert not np.array_equal(first.train.histories.item_num, other.train.histories.item_num)
    assert len(first.user_ids) == first.train.users == len(first.holdout)
    assert len(first.item_ids) == first.train.items > first.train.histories.item_num.max()
    kept_back = zip(
        np.repeat(np.arange(first.train.users), np.diff(first.holdout.target_indptr)),
        first.holdout.target_item,
        strict=True,
    )
    assert not set(zip(first.train.histories.rows, first.train.histories.item_num, strict=True)) & set(kept_back)


def test_histories_of_no_and_of_empty_lists():
    assert len(histories_of([])) == 0
    assert histories_of([[], [3, 1], []]).lengths.tolist() == [0, 2, 0]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    return demo_log(tmp_path_factory.mktemp("demo"))


def rows(path):
    with path.open(encoding="utf-8", newline="") as source:
        return list(csv.DictReader(source))


def demo_figures(folder):
    """NDCG@10 on each user's last interaction of four references: bigram, item-kNN, text-kNN, popularity."""
    walks = defaultdict(list)
    for row in rows(folder / "interactions.csv"):
        walks[row["user_id"]].append(int(row["item_id"][1:]))
    items = rows(folder / "items.csv")
    train = [walk[:-1] for walk in walks.values()]
    target = np.array([walk[-1] for walk in walks.values()])
    seen = histories_of(train).matrix(len(items)).toarray()
    follows = np.zeros((len(items), len(items)))
    for walk in train:
        np.add.at(follows, (walk[:-1], walk[1:]), 1)
    norm = np.linalg.norm(seen, axis=0)
    collaborative = seen.T @ seen / norm / norm[:, None]
    text = TfidfVectorizer().fit_transform([row["title"] + " " + row["description"] for row in items])
    counts = Counter(item for walk in train for item in walk)
    scores = {
        "bigram": follows[[walk[-1] for walk in train]],
        "knn": seen @ collaborative,
        "text": seen @ (text @ text.T).toarray(),
        "popularity": np.tile([counts[item] for item in range(len(items))], (len(train), 1)),
    }
    figures = {}
    for name, raw in scores.items():
        table = np.where(seen > 0, -np.inf, raw)  # nobody has an item twice
        place = (np.argsort(np.argsort(-table, axis=1, kind="stable"), axis=1))[np.arange(len(train)), target]
        figures[name] = np.where(place < K, 1 / np.log2(place + 2), 0).mean()
    return figures


def test_demo_sequence_beats_neighbours_beat_popularity(demo):
    figures = demo_figures(demo)
    assert figures["bigram"] > 1.5 * figures["knn"]
    assert figures["knn"] > 1.5 * figures["popularity"]
    assert figures["text"] > 1.5 * figures["popularity"]


def test_demo_bytes_follow_from_the_seed(tmp_path):
    def content(folder):
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    one, two, other = (
        demo_log(tmp_path / name, seed, users=20, items=12) for name, seed in (("a", 5), ("b", 5), ("c", 6))
    )
    assert content(one) == content(two)
    assert content(one) != content(other)
    assert len(content(one)) == 3 + 12 + 12


def test_demo_pictures_and_sounds_are_readable(demo):
    image = pytest.importorskip("PIL.Image")
    hues = []
    for row in rows(demo / "items.csv")[:6]:
        with image.open(demo / row["image"]) as picture:
            assert (picture.size, picture.mode) == ((32, 32), "RGB")
            hues.append(np.asarray(picture, float).mean((0, 1)))
        with wave.open(str(demo / row["audio"])) as sound:
            assert sound.getnframes() / sound.getframerate() == 0.25
    assert min(np.abs(a - b).max() for n, a in enumerate(hues) for b in hues[:n]) > 20  # groups differ in colour


def test_demo_moments_are_distinct_within_a_user(demo):
    stamps = defaultdict(list)
    for row in rows(demo / "interactions.csv"):
        stamps[row["user_id"]].append(int(row["timestamp"]))
    assert all(sorted(set(moments)) == moments for moments in stamps.values())
    assert len(stamps) == 400
