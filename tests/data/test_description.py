"""Descriptions of logs: planted duplicates and nothing else, broken files by item, figures worked out by hand, and a
page that holds everything, loads nothing and is the same every time."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics.pairwise import cosine_similarity, euclidean_distances

from recsmith.contracts.data import Column
from recsmith.contracts.errors import DataError
from recsmith.contracts.plan import Columns, DataPlan
from recsmith.contracts.plugins import EncoderSpec, RawTables
from recsmith.data.dataset import load_dataset
from recsmith.data.description.describe import describe
from recsmith.data.description.facts import Bar, spread_of
from recsmith.data.description.item_map import project
from recsmith.data.description.near import near_rows, near_texts
from recsmith.data.description.page import figure, page, percent, signed, size, write_page
from recsmith.data.description.texts import telling
from recsmith.testing.media import png, wav
from recsmith.wiring.plugins import load_plugins
from recsmith.wiring.registry import freeze

WORDS = [
    f"{first}{second}" for first in ("ba", "do", "fe", "gu", "ki") for second in ("lan", "mor", "pes", "rit", "sun")
]


ENCODERS = ("category", "categories", "number", "tfidf", "topics", "image_statistics", "audio_statistics")
PLUGINS = (
    "reader.dataframe",
    "reader.folder",
    "reader.table",
    "fuser.concatenate",
    *(f"encoder.{name}" for name in ENCODERS),
)


@pytest.fixture(scope="module")
def registry():
    return load_plugins(only=PLUGINS).registry


@pytest.fixture
def described(registry):
    """The description of a small log in which every item is taken once, with the columns of its items."""

    def described(base=None, columns=None, context=None, **items):
        count = len(next(iter(items.values())))
        ids = [f"i{item:03}" for item in range(count)]
        log = pd.DataFrame({"user_id": [f"u{item % 7}" for item in range(count)], "item_id": ids})
        for name, values in (context or {}).items():
            log[name] = values
        raw = RawTables(log, items=pd.DataFrame({"item_id": ids, **items}), base=base)
        plan = DataPlan(source=str(base or "log"), columns=Columns(**(columns or {})))
        return describe(load_dataset(plan, registry, raw), registry)

    return described


def clusters(found):
    return [{member.row for member in cluster.members} for cluster in found.largest]


def planted(first, second, count=5):
    """Rows first, first + 1, … each with row second, second + 1, …"""
    return [{f"i{first + step:03}", f"i{second + step:03}"} for step in range(count)]


# --- near-duplicates --------------------------------------------------------------------------------------------------


def test_planted_duplicates_of_texts_are_found_and_nothing_else(described):
    draw = np.random.default_rng(3)
    texts = [" ".join([*draw.choice(WORDS, 12, replace=False), f"own{row}"]) for row in range(40)]
    texts += [text.upper().replace(" ", ", ") for text in texts[:5]]  # the same words
    texts += [" ".join([text, *draw.choice(text.split()[:12], 3)]) for text in texts[5:10]]  # some words once more
    found = described(columns={"items": {"about": "text"}}, about=texts).duplicates[0]
    assert sorted(clusters(found), key=min) == planted(0, 40, 5) + planted(5, 45, 5)
    assert (found.pairs, found.equal_pairs, found.clusters, found.rows, found.compared) == (10, 5, 10, 20, 50)
    weights = TfidfVectorizer(sublinear_tf=True).fit_transform(texts)
    assert found.pairs == (np.triu(cosine_similarity(weights), 1) >= 0.95).sum()


def smooth_picture(draw):
    """A picture of 48 x 48 with 4 x 4 patches of its own."""
    return np.kron(draw.integers(20, 230, (4, 4, 3)), np.ones((12, 12, 1), int)).astype(np.uint8)


def test_planted_duplicates_of_pictures_are_found_and_nothing_else(described, tmp_path):
    pytest.importorskip("PIL")
    draw = np.random.default_rng(5)
    pictures = [smooth_picture(draw) for _ in range(30)]
    pictures += pictures[:5] + [(1.03 * picture).astype(np.uint8) for picture in pictures[5:10]]  # brighter
    for row, picture in enumerate(pictures):
        (tmp_path / f"{row}.png").write_bytes(png(picture))
    found = described(tmp_path, cover=[f"{row}.png" for row in range(40)]).duplicates[0]
    assert sorted(clusters(found), key=min) == planted(0, 30) + planted(5, 35)
    assert (found.pairs, found.equal_pairs) == (10, 5)


def chord(draw):
    """Two seconds of four tones that swell."""
    moment = np.arange(16_000) / 8_000
    pitches, swells = draw.uniform(150, 1500, 4), draw.uniform(0.3, 4, 4)
    tones = [
        np.sin(2 * np.pi * pitch * moment) * np.sin(swell * moment)
        for pitch, swell in zip(pitches, swells, strict=True)
    ]
    return 0.2 * np.sum(tones, axis=0) + draw.uniform(0, 0.1) * (draw.random(16_000) - 0.5)


def test_planted_duplicates_of_sounds_are_found_and_nothing_else(described, tmp_path):
    pytest.importorskip("soundfile")
    draw = np.random.default_rng(5)
    sounds = [chord(draw) for _ in range(30)]
    sounds += sounds[:5] + [0.95 * sound for sound in sounds[5:10]]  # quieter
    for row, sound in enumerate(sounds):
        (tmp_path / f"{row}.wav").write_bytes(wav(sound))
    found = described(tmp_path, clip=[f"{row}.wav" for row in range(40)]).duplicates[0]
    assert sorted(clusters(found), key=min) == planted(0, 30) + planted(5, 35)
    assert (found.pairs, found.equal_pairs) == (10, 5)


def test_a_value_that_occurs_often_is_one_cluster_with_all_its_pairs(described):
    texts = ["nothing to say about it"] * 200 + [f"a text of its own number{row}" for row in range(10)]
    found = described(columns={"items": {"about": "text"}}, about=texts).duplicates[0]
    assert (found.pairs, found.equal_pairs, found.clusters) == (200 * 199 // 2, 200 * 199 // 2, 1)
    assert (found.largest[0].size, len(found.largest[0].members), found.largest[0].loosest) == (200, 10, 1.0)


def test_pairs_between_groups_of_equal_rows_are_all_counted(described):
    base = " ".join(WORDS)
    texts = [base] * 3 + [f"{base} {WORDS[0]}"] * 2 + [f"a text of its own number{row}" for row in range(5)]
    found = described(columns={"items": {"about": "text"}}, about=texts).duplicates[0]
    assert (found.pairs, found.equal_pairs, found.rows, found.clusters) == (3 + 1 + 3 * 2, 3 + 1, 5, 1)
    assert 0.95 <= found.largest[0].loosest < 1


def test_words_of_one_letter_count(described):
    texts = ["I.Q. (1994)", "S.F.W. (1994)", "X Y Z (1994)", "x.y.z. (1994)"]
    assert clusters(described(columns={"items": {"about": "text"}}, about=texts).duplicates[0]) == [{"i002", "i003"}]


@pytest.mark.parametrize("least", [0.3, 0.7, 0.95])
def test_near_texts_are_all_pairs_of_that_cosine(least, monkeypatch):
    monkeypatch.setattr("recsmith.data.description.near.AT_ONCE", 500)  # many blocks
    draw = np.random.default_rng(1)
    dense = draw.random((120, 15)) * (draw.random((120, 15)) < 0.4)
    dense[:, 0] += 0.1
    dense[60:70] = 3 * dense[:10] + 0.1 * draw.random((10, 15))  # of the same direction, all but
    found = near_texts(sparse.csr_array(dense), least)
    expected = np.argwhere(np.triu(cosine_similarity(dense), 1) >= least)
    assert np.stack([found.first, found.second], axis=1).tolist() == expected.tolist()
    assert len(expected) > 5
    np.testing.assert_allclose(found.value, cosine_similarity(dense)[found.first, found.second])


@pytest.mark.parametrize("radius", [0.0, 0.3, 1.0])
def test_near_rows_are_all_pairs_of_that_distance(radius, monkeypatch):
    monkeypatch.setattr("recsmith.data.description.near.BLOCK", 16)
    monkeypatch.setattr("recsmith.data.description.near.AT_ONCE", 16 * 10)
    points = np.random.default_rng(2).normal(size=(150, 3))
    points[100] = points[7]
    found = near_rows(points, radius)
    expected = np.argwhere(np.triu(euclidean_distances(points) <= max(radius, 1e-9), 1))
    assert np.stack([found.first, found.second], axis=1).tolist() == expected.tolist()
    assert found.complete


def test_a_search_that_grows_too_large_stops_and_says_so(described, monkeypatch):
    monkeypatch.setattr("recsmith.data.description.near.MOST_PAIRS", 10)
    monkeypatch.setattr("recsmith.data.description.near.AT_ONCE", 100)
    texts = [f"{' '.join(WORDS)} {' '.join(WORDS[:row])}" for row in range(20)]
    found = described(columns={"items": {"about": "text"}}, about=texts).duplicates[0]
    assert 10 < found.pairs < 190
    assert "not all were looked at" in found.note


# --- files, texts, columns, interactions ------------------------------------------------------------------------------


def test_files_that_are_not_what_they_should_be_are_named_with_the_reason(described, tmp_path):
    image = pytest.importorskip("PIL.Image")
    whole = png(smooth_picture(np.random.default_rng(0)))
    for row in range(6):
        (tmp_path / f"{row}.png").write_bytes(whole)
    (tmp_path / "1.png").unlink()
    (tmp_path / "2.png").write_bytes(b"")
    (tmp_path / "3.png").write_bytes(whole[: len(whole) // 2])
    image.open(tmp_path / "0.png").save(tmp_path / "4.png", "JPEG")
    (tmp_path / "5.png").write_bytes(b"<html>404</html>")
    names = [f"{row}.png" for row in range(6)]
    media = described(tmp_path, title=[f"Thing number {row}" for row in range(6)], cover=names).media[0]
    assert [(fault.row, fault.name, fault.file, fault.kind) for fault in media.faults] == [
        ("i001", "Thing number 1", "1.png", "missing"),
        ("i002", "Thing number 2", "2.png", "empty"),
        ("i003", "Thing number 3", "3.png", "broken"),
        ("i004", "Thing number 4", "4.png", "mislabelled"),
        ("i005", "Thing number 5", "5.png", "broken"),
    ]
    assert media.faults[3].reason == "its name says PNG, its content is JPEG"
    assert "truncated" in media.faults[2].reason
    assert media.counts == {"missing": 1, "empty": 1, "broken": 2, "mislabelled": 1}
    assert media.formats == (Bar(label="JPEG", count=1), Bar(label="PNG", count=2), Bar(label="unknown", count=1))


def test_topics_have_labels_shares_and_examples_that_show_them(described):
    draw = np.random.default_rng(0)
    sea, farm = ["ship", "wave", "harbour", "sailor", "storm"], ["cow", "barn", "field", "plough", "hay"]
    texts = [f"the {' and the '.join(draw.choice(sea if row < 12 else farm, 3, replace=False))}" for row in range(20)]
    found = described(columns={"items": {"plot": "text"}}, plot=texts).texts[0]
    assert [topic.count for topic in found.topics] == [12, 8]
    assert [topic.share for topic in found.topics] == [0.6, 0.4]
    assert [set(topic.label.split(", ")) for topic in found.topics] == [set(sea), set(farm)]
    assert all(int(example.row[1:]) >= 12 for example in found.topics[1].examples)
    assert (found.words.least, found.words.median, found.words.most) == (8, 8, 8)


def test_numbers_and_common_words_tell_no_topic_unless_there_is_nothing_else():
    def left(*texts):
        values = np.empty(len(texts), object)
        values[:] = texts
        return list(telling(Column("title", "text", values)).values)

    assert left("The Return of the King (1980)", None) == ["Return King", ""]
    assert left("4711 815 12", "7 the") == ["4711 815 12", "7"]


class Moods:
    """A sentiment encoder that knows two words."""

    def fit(self, column):
        pass

    def features(self, column):
        score = [
            0.0 if text is None else text.count("good") / 2 - text.count("bad") / 2 - text.count("meh") / 25
            for text in list(column.values)
        ]
        return np.stack([np.ones(len(score)), score], axis=1).astype(np.float32)

    def labels(self):
        return ["known", "compound"]


def test_sentiment_is_the_compound_score_by_text(registry, monkeypatch):
    spec = EncoderSpec(
        name="sentiment", api_version=1, roles=frozenset({"text"}), build=lambda _config, _context: Moods()
    )
    kept = [
        ("encoders", spec),
        *(("encoders", other) for name, other in registry.specs["encoders"].items() if name != "sentiment"),
    ]
    kept += [(kind, other) for kind in ("readers", "fusers") for other in registry.specs[kind].values()]
    log = pd.DataFrame(
        {"user_id": list("aabbc"), "item_id": list("xyxyx"), "review": ["good good", "bad", "so meh", "good", None]}
    )
    plan = DataPlan(source="<dataframe>", columns=Columns(context={"review": "text"}))
    other = freeze({"test": kept}, {})
    found = describe(load_dataset(plan, other, log), other).texts[0]
    mood = found.sentiment
    assert (found.table, found.texts) == ("interactions", 4)
    assert (mood.negative, mood.neutral, mood.positive, mood.mean) == (0.25, 0.25, 0.5, 0.24)
    assert [bar.count for bar in mood.bars if bar.count] == [1, 1, 1, 1]
    assert [(bar.label, bar.count) for bar in mood.bars][-1] == ("0.9", 1)
    assert [example.row for example in mood.most_positive] == ["user a, item x", "user b, item y"]
    assert [(example.text, example.score) for example in mood.most_negative] == [("bad", -0.5), ("so meh", -0.04)]


def test_an_encoder_that_is_not_installed_is_said_in_a_sentence_where_it_is_missed(tmp_path):
    registry = load_plugins(only=["encoder.category", "fuser.concatenate"]).registry
    (tmp_path / "a.png").write_bytes(b"\x89PNG and no more")
    items = pd.DataFrame(
        {"item_id": ["x", "y"], "plot": ["one two three four five", "six seven"], "cover": ["a.png", None]}
    )
    log = pd.DataFrame({"user_id": ["a", "b"], "item_id": ["x", "y"]})
    plan = DataPlan(source=str(tmp_path), columns=Columns(items={"plot": "text"}))
    found = describe(load_dataset(plan, registry, RawTables(log, items=items, base=tmp_path)), registry)
    reason = "is not among the plugins that were asked for"
    for note, name in (
        (found.texts[0].topics_note, "topics"),
        (found.duplicates[0].note, "tfidf"),
        (found.media[0].note, "image_statistics"),
    ):
        assert f"the encoder {name!r} is not" in note
    assert found.texts[0].sentiment is None
    assert "the encoder 'sentiment' is not" in found.texts[0].sentiment_note
    assert "There is no map" in found.item_map.notes[-1]
    assert reason in page(found)


def test_columns_tell_role_missing_share_distinct_values_and_an_example(described):
    found = described(
        columns={"items": {"tags": "categories", "year": "number"}},
        tags=["a|b", None, "b", "b|c"],
        year=[1990.0, 1994.0, None, 1990.0],
        kind=["red", "red", "blue", "red"],
    )
    told = {column.name: (column.role, column.missing, column.distinct, column.example) for column in found.columns}
    assert told["tags"] == ("categories", 0.25, 3, "a, b")
    assert told["year"] == ("number", 0.25, 2, "1990 to 1994")
    assert told["kind"] == ("category", 0.0, 2, "red")
    assert told["item_id"] == ("item", 0.0, 4, "i000")


def test_interactions_are_counted_and_those_that_are_even_have_a_gini_of_zero(registry):
    log = pd.DataFrame({"user_id": list("aaaabbc"), "item_id": list("wxyzwww"), "timestamp": range(0, 700, 100)})
    found = describe(load_dataset(DataPlan(source="<dataframe>"), registry, log), registry).interactions
    assert (found.users, found.items, found.untaken, found.interactions) == (3, 4, 0, 7)
    assert found.density == pytest.approx(6 / 12)
    assert found.histories.bars == (Bar(label="1", count=1), Bar(label="2", count=1), Bar(label="3-4", count=1))
    # Mean absolute difference of (1, 2, 4) over twice the mean: (1 + 3 + 2) * 2 / 9 / (2 * 7 / 3)
    assert found.histories.gini == pytest.approx(2 / 7)
    assert sum(bar.count for bar in found.over_time) == 7
    assert spread_of(np.full(9, 4)).gini == 0


def test_bins_double_and_hold_their_upper_end():
    bars = spread_of(np.array([0, 1, 2, 3, 4, 5, 8, 9, 1024, 1025])).bars
    counted = {bar.label: bar.count for bar in bars if bar.count}
    assert counted == {"0": 1, "1": 1, "2": 1, "3-4": 2, "5-8": 2, "9-16": 1, "513-1,024": 1, "1,025-2,048": 1}


# --- map and page -----------------------------------------------------------------------------------------------------


def test_items_of_a_group_lie_together_on_the_map(described):
    draw = np.random.default_rng(0)
    group = np.arange(90) % 3
    plots = [" ".join([f"kind{number}", *draw.choice(WORDS[8 * number : 8 * number + 8], 4)]) for number in group]
    found = described(columns={"items": {"plot": "text"}}, plot=plots, kind=[f"group {n}" for n in group]).item_map
    assert found.columns == ("plot (tfidf)", "kind (category)")
    places = np.array([(point.x, point.y) for point in found.points])
    apart = euclidean_distances(places)
    np.fill_diagonal(apart, np.inf)
    assert (group[apart.argmin(axis=1)] == group).mean() > 0.95
    assert found.colourings[0].groups == ("group 0", "group 1", "group 2", "other or none")
    assert found.colourings[0].of == tuple(group)
    assert places.min() >= 0
    assert places.max() <= 1


def test_few_or_equal_items_have_a_map_too(described):
    few = described(price=[1.0, 2.0, 40.0])
    assert few.item_map.method == "the two strongest directions (PCA)"
    assert few.item_map.colourings[0].groups[-1] == "none"
    assert project(np.ones((60, 4), np.float32))[1] == "none: all items look alike"
    alike = described(kind=["red"] * 60)
    assert len({(point.x, point.y) for point in alike.item_map.points}) == 1


def test_rare_categories_are_coloured_together_after_the_frequent_ones(described):
    kinds = [f"kind {number}" for number in range(8) for _ in range(10 - number)]
    colouring = described(kind=kinds).item_map.colourings[0]
    assert colouring.groups == (*(f"kind {number}" for number in range(6)), "other or none")
    assert np.bincount(colouring.of).tolist() == [10, 9, 8, 7, 6, 5, 4 + 3]


def test_more_items_than_the_map_holds_are_sampled_with_a_note(described, monkeypatch):
    monkeypatch.setattr("recsmith.data.description.item_map.MOST_POINTS", 20)
    found = described(price=np.arange(60.0)).item_map
    assert len(found.points) == 20
    assert "20 of 60 items are drawn, picked at random." in found.notes


class Page(HTMLParser):
    """The tags with their attributes, and the content of scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.inside, self.content, self.text = [], None, [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside = tag if tag in {"script", "style"} else None

    def handle_endtag(self, tag):  # noqa: ARG002
        self.inside = None

    def handle_data(self, data):
        (self.content if self.inside else self.text).append(data)


EVIL = "</script><script>alert('a')</script><img src=x onerror=alert(1)>"


@pytest.fixture
def shown(described):
    titles = [f"A thing that is number {row}" for row in range(58)] + [EVIL, EVIL + " &amp; more"]
    found = described(
        columns={"items": {"title": "text", EVIL: "category"}}, **{"title": titles, EVIL: ["a", "b"] * 30}
    )
    return found, page(found)


def test_markup_in_the_log_stays_text(shown):
    _, html = shown
    read = Page(html)
    scripts = [attrs for tag, attrs in read.tags if tag == "script"]
    assert scripts == [{"type": "application/json", "id": "map-data"}, {}]
    assert not [tag for tag, _ in read.tags if tag == "img"]
    assert EVIL in "".join(read.text)
    assert "<script>alert" not in html


def test_the_page_loads_nothing_and_only_its_own_script_may_run(shown):
    _, html = shown
    read = Page(html)
    for _, attributes in read.tags:
        assert not {"src", "style", "onclick", "onerror"} & set(attributes)
        assert attributes.get("href", "#").startswith("#")
    assert not re.search(r"https?://|url\(|@import", "".join(read.content).replace(EVIL, ""))
    policy = next(attrs["content"] for tag, attrs in read.tags if attrs.get("http-equiv"))
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy


def test_the_policy_names_the_script_and_the_style_as_they_stand(shown):
    import base64
    import hashlib

    _, html = shown
    for tag in ("script", "style"):
        text = re.search(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL).group(1)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in html


def test_the_page_is_written_whole_or_not_at_all(shown, tmp_path):
    found, html = shown
    place = tmp_path / "new" / "page.html"
    write_page(found, place)
    write_page(found, place)
    assert place.read_text() == html
    assert [path.name for path in place.parent.iterdir()] == ["page.html"]
    with pytest.raises(DataError, match=r"page\.txt: the page is HTML"):
        write_page(found, tmp_path / "page.txt")
    with pytest.raises(DataError, match="cannot be written"):
        write_page(found, place / "below.html")


ELSEWHERE = """
import sys
from recsmith.contracts.plan import DataPlan
from recsmith.data.dataset import load_dataset
from recsmith.data.description.describe import describe
from recsmith.data.description.page import page
from recsmith.wiring.plugins import load_plugins
registry = load_plugins(only=sys.argv[2:]).registry
sys.stdout.write(page(describe(load_dataset(DataPlan(source=sys.argv[1]), registry), registry)))
"""


def test_another_process_with_more_threads_writes_the_same_page(registry, tmp_path):
    draw = np.random.default_rng(0)
    plots = [" ".join(draw.choice(WORDS, 6)) for _ in range(80)]
    (tmp_path / "items.csv").write_text("\n".join(["item_id,plot", *(f"i{n},{plot}" for n, plot in enumerate(plots))]))
    rows = [f"u{n % 9},i{n},{n}" for n in range(80)]
    (tmp_path / "interactions.csv").write_text("\n".join(["user_id,item_id,timestamp", *rows]))
    here = page(describe(load_dataset(DataPlan(source=str(tmp_path)), registry), registry))
    environment = {**os.environ, "PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
    command = [sys.executable, "-c", ELSEWHERE, tmp_path, *PLUGINS]
    there = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert here == there
    assert "t-SNE" in here


def test_figures_are_shown_as_people_read_them():
    assert [percent(share) for share in (0.0, 0.0001, 0.5, 1.0)] == ["0.0 %", "<0.1 %", "50.0 %", "100.0 %"]
    assert [figure(number) for number in (4.1104, 96.0, 165.6, 12_345.6)] == ["4.11", "96", "166", "12,346"]
    assert [signed(score) for score in (-0.001, 0.5, -0.93)] == ["0.00", "+0.50", "-0.93"]
    assert [size(number) for number in (12, 3172, 4.2e6, 3e9)] == ["12 bytes", "3.17 kB", "4.2 MB", "3 GB"]
