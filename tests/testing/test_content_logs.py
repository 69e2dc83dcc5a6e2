"""The content log has the answers that its docstrings state, and nothing but its media tells the kinds."""

import csv
import io
import re
import wave
from collections import Counter

import numpy as np
import pytest

from recsmith.contracts.config import Choice
from recsmith.contracts.data import Histories, Requests
from recsmith.contracts.plan import DataPlan
from recsmith.data.dataset import load_dataset
from recsmith.evaluation.judge import judge
from recsmith.study.prepare import learn, prepare
from recsmith.testing.content_logs import (
    WORDS,
    ContentLog,
    Oracle,
    chance,
    content_fold,
    kinds_of,
    kinds_of_items,
    write_content_log,
)
from recsmith.testing.media import KIND_RATE, KIND_SECONDS, KINDS, SIDE, kind_picture, kind_sound
from recsmith.wiring.plugins import load_plugins

TEXTS = ContentLog(media=("text",))
PLUGINS = [
    "reader.folder",
    "reader.table",
    "model.content_knn",
    "model.popularity",
    "model.ease",
    "fuser.concatenate",
    "metric.ndcg",
]
PLUGINS += ["encoder.tfidf", "encoder.image_statistics", "encoder.audio_statistics"]


@pytest.fixture(scope="module")
def registry():
    return load_plugins(only=PLUGINS).registry


@pytest.fixture(scope="module")
def fold(tmp_path_factory):
    return content_fold(tmp_path_factory.mktemp("content"), TEXTS)


def judged(registry, fold, model):
    return judge(model, fold, ["ndcg@10"], registry, scenario="cold_item")


def ndcg(registry, fold, model):
    return judged(registry, fold, model).figures["ndcg@10"]


def fitted(registry, fold, name, **params):
    prepared = prepare(Choice(name=name, params=params), fold, registry, seed=1)
    list(learn(prepared, fold.train))
    return prepared.serving


# --- known answers ----------------------------------------------------------------------------------------------------


def test_the_oracle_reaches_what_is_stated_and_four_times_chance(registry, tmp_path):
    reached = []
    for seed in range(4):
        each = content_fold(tmp_path, ContentLog(seed=seed, media=()))
        reached.append(ndcg(registry, each, Oracle(kinds_of(each))))
    assert np.mean(reached) == pytest.approx(0.55, abs=0.01)
    assert min(reached) > 4 * chance(each)


def test_chance_is_what_random_orders_have_on_average(registry, fold):
    """With 4 targets among 80 items every place holds one with 1 / 20."""
    discount = 1 / np.log2(np.arange(10) + 2)
    assert chance(fold) == pytest.approx(discount.sum() / 20 / discount[:4].sum())

    class Shuffled:
        generator = np.random.default_rng(0)

        def scores(self, requests):
            return self.generator.random((len(requests), fold.train.items)).astype(np.float32)

    assert np.mean([ndcg(registry, fold, Shuffled()) for _ in range(20)]) == pytest.approx(chance(fold), abs=0.004)


@pytest.mark.parametrize("name", ["popularity", "ease"])
def test_models_that_know_items_by_number_only_stay_at_chance(registry, fold, name):
    found = judged(registry, fold, fitted(registry, fold, name)).intervals(seed=1)["ndcg@10"]
    assert found.low <= chance(fold) <= found.high


def test_text_neighbours_come_near_the_oracle(registry, fold):
    model = fitted(registry, fold, "content_knn", content={"encoders": {"text": {"name": "tfidf"}}})
    assert ndcg(registry, fold, model) > 0.8 * ndcg(registry, fold, Oracle(kinds_of(fold)))


@pytest.mark.parametrize(
    ("medium", "encoder", "whiten", "needs"),
    [("picture", "image_statistics", 32, "PIL"), ("sound", "audio_statistics", 0, "soundfile")],
)
def test_neighbours_by_pictures_or_sounds_come_near_the_oracle(registry, tmp_path, medium, encoder, whiten, needs):
    pytest.importorskip(needs)
    each = content_fold(tmp_path, ContentLog(items=240, media=(medium,)))
    content = {"encoders": {medium: {"name": encoder}}, "whiten": whiten}
    model = fitted(registry, each, "content_knn", content=content)
    assert ndcg(registry, each, model) > 0.8 * ndcg(registry, each, Oracle(kinds_of(each)))


def test_confused_media_tell_less(registry, fold, tmp_path):
    confused = content_fold(tmp_path, ContentLog(media=("text",), confusion=0.4))
    assert np.array_equal(confused.holdout.target_item, fold.holdout.target_item)
    settings = {"content": {"encoders": {"text": {"name": "tfidf"}}}}
    clear, blurred = (ndcg(registry, f, fitted(registry, f, "content_knn", **settings)) for f in (fold, confused))
    assert chance(fold) < blurred < 0.85 * clear


def test_the_oracle_counts_kinds():
    oracle = Oracle(np.array([0, 1, 0, 2]))
    histories = Histories(np.array([0, 3, 3]), np.array([0, 2, 1], np.int32))
    scores = oracle.scores(Requests(np.array([0, 1], np.int32), histories))
    np.testing.assert_allclose(scores, [[2 / 3, 1 / 3, 2 / 3, 0], [0, 0, 0, 0]], rtol=1e-6)
    other = Oracle(np.zeros(4, np.int32))
    other.load(oracle.state())
    np.testing.assert_array_equal(other.scores(Requests(np.array([0, 1], np.int32), histories)), scores)


# --- the log ----------------------------------------------------------------------------------------------------------


def test_new_items_have_no_training_row_and_are_all_that_is_held_out(fold):
    new = fold.train.counts == 0
    assert new.sum() == 80
    assert new[fold.holdout.target_item].all()
    assert np.diff(fold.holdout.target_indptr).tolist() == [4] * 400
    assert fold.train.histories.lengths.tolist() == [16] * 400
    assert [(column.name, column.role) for column in fold.items] == [("text", "text")]


def test_kinds_are_equally_frequent_among_known_and_new_items_and_follow_no_number(fold):
    kinds, new = kinds_of(fold), fold.train.counts == 0
    assert Counter(kinds[new].tolist()) == dict.fromkeys(range(KINDS), 10)
    assert Counter(kinds[~new].tolist()) == dict.fromkeys(range(KINDS), 40)
    assert len({tuple(kinds[start : start + KINDS]) for start in range(0, 400, KINDS)}) > 40
    assert kinds_of_items(["i399", "i0"]).tolist() == [kinds[399], kinds[0]]


def test_users_take_nine_in_ten_items_of_one_or_two_kinds(fold):
    of_kind = fold.train.histories.matrix(400).toarray() @ np.eye(KINDS)[kinds_of(fold)]
    shares = -np.sort(-of_kind, axis=1) / 16
    assert 0.85 < shares[:, :2].sum(axis=1).mean() < 0.95
    assert 0.4 < (shares[:, 0] > 0.82).mean() < 0.6


def test_no_item_comes_twice_and_order_tells_nothing(fold):
    kinds = kinds_of(fold)
    for user in range(fold.train.users):
        assert len(set(fold.train.histories.of(user))) == 16
    table = fold.train.histories.item_num.reshape(400, 16)
    usual = np.array([np.bincount(row).argmax() for row in kinds[table]])
    hits = (kinds[table] == usual[:, None]).mean(axis=0)
    assert abs(hits[:8].mean() - hits[8:].mean()) < 0.03


def test_without_noise_nobody_takes_what_they_do_not_like(tmp_path):
    quiet = content_fold(tmp_path, ContentLog(noise=0.0, media=(), users=80))
    kinds = kinds_of(quiet)
    assert max(len(set(kinds[quiet.train.histories.of(user)])) for user in range(80)) == 2


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"kinds": 9}, "kinds is 9; there are 2 to 8"),
        ({"media": ("smell",)}, "media are"),
        ({"items": 16}, "too few for 20 interactions each"),
    ],
)
def test_what_cannot_be_made_is_refused(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        ContentLog(**changes)


# --- its media --------------------------------------------------------------------------------------------------------


def test_texts_have_15_to_40_words_and_no_word_decides(fold):
    texts, kinds = fold.items[0].values, kinds_of(fold)
    assert all(15 <= len(text.split()) <= 40 for text in texts)
    assert not any(re.search(r"[{}]|\ba [aeiou]", text) for text in texts)
    for kind, words in enumerate(WORDS):
        shares = [
            np.mean([word in re.findall(r"\w+", text) for text in texts[kinds == kind]]) for word in words.split()
        ]
        assert max(shares) < 0.75


@pytest.mark.parametrize("kind", range(KINDS))
def test_pictures_and_sounds_are_files_of_their_format(kind):
    image = pytest.importorskip("PIL.Image")
    with image.open(io.BytesIO(kind_picture(kind, np.random.default_rng(0)))) as picture:
        assert (picture.format, picture.size, picture.mode) == ("PNG", (SIDE, SIDE), "RGB")
        assert np.asarray(picture).std() > 10
    for seed in range(10):
        with wave.open(io.BytesIO(kind_sound(kind, np.random.default_rng(seed)))) as sound:
            assert (sound.getnchannels(), sound.getframerate()) == (1, KIND_RATE)
            assert sound.getnframes() == KIND_RATE * KIND_SECONDS
            samples = np.frombuffer(sound.readframes(sound.getnframes()), "<i2")
        assert 0.15 < np.abs(samples).max() / 32767 < 0.95
        assert samples.std() > 300


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_bytes_follow_from_the_settings(tmp_path):
    small = {"users": 6, "items": 24, "length": 10}
    one, two, other = (
        write_content_log(tmp_path / name, ContentLog(seed=seed, **small))
        for name, seed in (("a", 5), ("b", 5), ("c", 6))
    )
    assert contents(one) == contents(two)
    assert len(contents(one)) == 2 + 24 + 24
    assert all(blob != contents(other)[name] for name, blob in contents(one).items())
    sizes = {(name[:2], len(blob)) for name, blob in contents(one).items() if "/" in name}
    assert len(sizes) == 2  # the size of a file tells nothing


def test_the_files_hold_the_log_of_the_fold(registry, tmp_path):
    log = ContentLog(users=30, items=40, length=10)
    written, made = write_content_log(tmp_path / "files", log), content_fold(tmp_path / "fold", log)
    dataset = load_dataset(DataPlan(source=str(written)), registry)
    assert {column.name: column.role for column in dataset.items} == {
        "picture": "image",
        "sound": "audio",
        "text": "text",
    }
    with (written / "interactions.csv").open(encoding="utf-8", newline="") as source:
        rows = list(csv.DictReader(source))
    assert sorted(rows, key=lambda row: int(row["timestamp"])) == rows
    new = made.train.counts == 0
    for user in range(30):
        taken = [int(row["item_id"][1:]) for row in rows if row["user_id"] == f"u{user}"]
        assert [item for item in taken if not new[item]] == made.train.histories.of(user).tolist()
        start, stop = made.holdout.target_indptr[user : user + 2]
        assert [item for item in taken if new[item]] == made.holdout.target_item[start:stop].tolist()
    assert contents(written / "audio") == contents(tmp_path / "fold" / "audio")
