"""What is saved comes back: the same models, identifiers, columns, floats and answers."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from recsmith.artifacts.catalogue import Catalogue, catalogue_of, read_catalogue, write_catalogue
from recsmith.artifacts.export import export_artifact
from recsmith.artifacts.files import read_state, write_state
from recsmith.artifacts.load import load_artifact, verify
from recsmith.artifacts.members import EncodedColumn, Member, read_member, write_member
from recsmith.artifacts.save import Combination, save_artifact
from recsmith.contracts.config import Choice
from recsmith.contracts.data import Column, Histories, State
from recsmith.contracts.errors import ArtifactError
from recsmith.inference.ranking import rank
from recsmith.study.prepare import prepare

AWKWARD = [0.1, 1 / 3, 1e-308, 5e-324, 1.7976931348623157e308, -0.0, 2**53 + 1.0, np.nextafter(1, 2)]


@pytest.fixture(scope="module")
def recommender(original):
    return load_artifact(original)


def test_the_answers_are_the_fitted_model_s(recommender, registry, fold, fit):
    member = fit("ease")
    model = registry.build("models", member.configuration, registry.context(item_counts=fold.train.counts, users=80))
    model.load(member.state)
    items, scores = rank(model, fold.holdout.requests, 10, items=fold.train.items, mask_seen=True)
    answers = recommender.recommend()
    assert [answer.items for answer in answers] == [tuple(fold.item_ids[row]) for row in items]
    assert [answer.scores for answer in answers] == [tuple(row) for row in scores.tolist()]
    assert {answer.source for answer in answers} == {"model"}


def test_the_folder_holds_exactly_the_layout(original):
    found = {path.relative_to(original).as_posix() for path in original.rglob("*") if path.is_file()}
    assert found == {
        "manifest.json",
        "README.md",
        "combination.json",
        "golden.json",
        "catalog/items.parquet",
        "catalog/users.parquet",
        "catalog/histories.parquet",
        "catalog/popularity.safetensors",
        "members/0/config.json",
        "members/0/weights.safetensors",
    }
    assert json.loads((original / "combination.json").read_text())["combiner"] is None


def test_the_manifest_tells_facts_plugins_and_full_configuration(original, facts):
    manifest = verify(original)
    assert manifest.facts == facts
    assert [use.entry_point for use in manifest.plugins] == ["model.ease"]
    assert {use.distribution for use in manifest.plugins} == {"recsmith"}
    assert manifest.configurations[0].params["l2"] == 500.0
    assert (manifest.users, manifest.items, manifest.interactions) == (80, 60, 640)


def test_the_card_tells_figures_with_intervals_cost_and_limits(original):
    card = (original / "README.md").read_text()
    for expected in ("| ndcg@10 | 0.3000 | 0.2500 to 0.3333 |", "12 trials in 34 seconds", "## Limits", "learnt from"):
        assert expected in card


def test_a_refit_on_all_rows_says_that_its_figures_are_older(save, tmp_path):
    manifest = verify(save(tmp_path / "all", "popularity", refit="all"))
    assert "measured before" in manifest.note
    assert manifest.note in (tmp_path / "all" / "README.md").read_text()


def test_equal_arguments_give_equal_bytes(save, original, tmp_path):
    again = save(tmp_path / "again", "ease")
    for path in sorted(original.rglob("*.*")):
        assert path.read_bytes() == (again / path.relative_to(original)).read_bytes()


def test_twenty_golden_requests_cover_every_source(original):
    requests = json.loads((original / "golden.json").read_text())["requests"]
    assert len(requests) == 20
    assert {request["source"] for request in requests} == {"model", "popularity"}


def test_an_older_artifact_is_replaced_and_nothing_is_left_behind(save, tmp_path):
    save(tmp_path / "artifact", "ease")
    save(tmp_path / "artifact", "popularity")
    assert verify(tmp_path / "artifact").configurations[0].name == "popularity"
    assert [path.name for path in tmp_path.iterdir()] == ["artifact"]


def test_what_is_no_artifact_is_never_replaced(save, tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("years")
    with pytest.raises(ArtifactError, match="exists and is no artifact"):
        save(tmp_path / "precious", "popularity")
    assert (tmp_path / "precious" / "thesis.txt").read_text() == "years"


def test_a_place_below_a_file_is_refused_by_save_and_export(save, registry, tmp_path):
    artifact = save(tmp_path / "artifact", "popularity")
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(ArtifactError, match="its folder cannot be made"):
        save(tmp_path / "taken" / "below", "popularity")
    for exporter in ("folder", "tar"):
        with pytest.raises(ArtifactError, match="its folder cannot be made"):
            export_artifact(artifact, tmp_path / "taken" / "below", Choice(name=exporter), registry)


def test_a_failing_save_leaves_the_old_one_and_no_litter(save, registry, fold, facts, tmp_path):
    save(tmp_path / "artifact", "popularity")
    broken = Member(Choice(name="popularity"), State(arrays={"counts": np.full(60, np.nan, np.float32)}))
    with pytest.raises(ArtifactError, match="'counts' holds NaN"):
        save_artifact(tmp_path / "artifact", [broken], fold, registry, facts=facts)
    assert verify(tmp_path / "artifact").users == 80
    assert [path.name for path in tmp_path.iterdir()] == ["artifact"]


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (State(arrays={"a": np.array(["text"])}), "text goes to `values`"),
        (State(arrays={"a": np.array([object()])}), "text goes to `values`"),
        (State({"a": float("nan")}), "must be finite JSON"),
        (State({"a": np.int64(3)}), "must be finite JSON"),
    ],
)
def test_a_state_that_is_no_plain_data_is_refused(tmp_path, state, reason):
    with pytest.raises(ArtifactError, match=reason):
        write_state(tmp_path / "state", {}, state)


def test_states_come_back_bit_for_bit(tmp_path):
    grid = np.arange(12, dtype=np.float32).reshape(3, 4)
    arrays = {
        "transposed": grid.T,
        "strided": grid[:, ::2],
        "big endian": grid.astype(">f8"),
        "scalar": np.array(2.5, np.float32),
        "empty": np.zeros((0, 7), np.int32),
        "bool": np.array([True, False]),
        "half": np.array([1.5], np.float16),
        "unsigned": np.array([2**64 - 1], np.uint64),
    }
    write_state(tmp_path / "state", {}, State({"floats": AWKWARD, "text": "ü\u2028😀"}, arrays))
    _, state = read_state(tmp_path / "state")
    assert [value.hex() for value in state.values["floats"]] == [float(value).hex() for value in AWKWARD]
    assert state.values["text"] == "ü\u2028😀"
    for name, expected in arrays.items():
        assert state.arrays[name].shape == expected.shape
        assert np.array_equal(state.arrays[name], expected)
        assert state.arrays[name].dtype == expected.dtype.newbyteorder("=")


def every_role():
    def objects(*values):
        column = np.empty(3, dtype=object)
        for row, value in enumerate(values):
            column[row] = value
        return column

    return (
        Column("item_id", "id", objects("a", None, "c")),
        Column("same name", "category", objects("x", "x", None)),
        Column("same name", "categories", objects(("x", "y"), None, ())),
        Column("pairs", "categories", objects(("x", "y"), ("z", "x"), ("y", "y"))),
        Column("price", "number", np.array([0.1, np.nan, 3.0])),
        Column("made", "time", np.array([1.6e9, np.nan, 0.0])),
        Column("über/title", "text", objects("naïve", None, "")),
        Column("image", "image", objects("/shop/images/1.png", None, "2.png")),
        Column("vector", "vector", np.array([[1, 2], [3, 4], [5, 6]], np.float32)),
    )


def test_columns_of_every_role_and_histories_come_back(tmp_path, original):
    histories = Histories(
        np.array([0, 2, 2]), np.array([2, 0], np.int32), np.array([5, 6]), np.array([1.5, 0.1], np.float32)
    )
    ids, users = np.array(["i1", "i2", "i3"], dtype=object), np.array(["u1", "u2"], dtype=object)
    counts = np.array([1, 0, 1])
    write_catalogue(tmp_path / "catalog", Catalogue(ids, users, every_role(), (), histories, counts, ordered=True))
    manifest = verify(original).model_copy(update={"users": 2, "items": 3, "interactions": 2})
    read = read_catalogue(tmp_path / "catalog", manifest)
    assert read.item_ids.tolist() == ["i1", "i2", "i3"]
    for expected, column in zip(every_role(), read.items, strict=True):
        assert (column.name, column.role) == (expected.name, expected.role)
        if expected.role == "image":
            assert column.values.tolist() == ["1.png", None, "2.png"]  # no path of this machine
        else:
            np.testing.assert_array_equal(column.values, expected.values)
            assert column.values.dtype == expected.values.dtype
    for name in ("indptr", "item_num", "timestamp", "value"):
        np.testing.assert_array_equal(getattr(read.histories, name), getattr(histories, name))
        assert getattr(read.histories, name).dtype == getattr(histories, name).dtype
    assert read.histories.weight is None
    assert read.counts.tolist() == [1, 0, 1]


def test_features_come_back_dense_and_sparse(tmp_path):
    dense, thin = np.eye(3, 2, dtype=np.float32), sparse.csr_array(np.eye(3, dtype=np.float32))
    columns = {
        ("items", "photo"): EncodedColumn(dense, State({"a": 1})),
        ("users", "photo"): EncodedColumn(dense + 1, State({"a": 2})),
        ("items", "../sound"): EncodedColumn(thin, State()),
    }
    write_member(tmp_path / "0", Member(Choice(name="m"), State(), columns))
    read = read_member(tmp_path / "0")
    assert set(read.columns) == set(columns)
    assert np.array_equal(read.columns["items", "photo"].features, dense)
    assert np.array_equal(read.columns["users", "photo"].features, dense + 1)
    assert read.columns["users", "photo"].encoder.values == {"a": 2}
    assert (read.columns["items", "../sound"].features != thin).nnz == 0
    folders = {path.name for path in (tmp_path / "0" / "encoders" / "items").iterdir()}
    assert folders == {"photo", "%002E%002E%002Fsound"}


def test_content_is_what_it_was_in_training(registry, fold, facts, tmp_path):
    encoders = {"title": {"name": "tfidf", "params": {"min_df": 1}}, "category": {"name": "category"}}
    choice = Choice(name="content_knn", params={"content": {"encoders": encoders}})
    prepared = prepare(choice, fold, registry, seed=0)
    model = prepared.model
    model.fit(fold.train)
    columns = {
        ("items", name): EncodedColumn(prepared.content["items"].content.features[name], encoder.state())
        for name, encoder in prepared.content["items"].encoders.items()
    }
    member = Member(choice, model.state(), columns, model=model)
    out = save_artifact(tmp_path / "content", [member], fold, registry, facts=facts)
    answers = load_artifact(out).recommend()
    items, _ = rank(model, fold.holdout.requests, 10, items=fold.train.items, mask_seen=True)
    assert [answer.items for answer in answers] == [tuple(fold.item_ids[row[row >= 0]]) for row in items]
    named = {use.entry_point for use in verify(out).plugins}
    assert named == {"model.content_knn", "fuser.concatenate"}  # what was encoded is kept: no encoder is needed


def test_an_ensemble_is_what_its_combiner_makes_of_the_members(save, registry, fold, fit, tmp_path):
    out = save(tmp_path / "both", "ease", "popularity")
    lists = []
    for name in ("ease", "popularity"):
        context = registry.context(item_counts=fold.train.counts, users=80)
        model = registry.build("models", Choice(name=name), context)
        model.load(fit(name).state)
        lists.append(rank(model, fold.holdout.requests, Combination().depth, items=fold.train.items, mask_seen=True))
    combiner = registry.build("combiners", Choice(name="reciprocal_rank_fusion"), registry.context())
    lengths = fold.holdout.requests.histories.lengths
    items, _ = combiner.combine([one for one, _ in lists], [two for _, two in lists], 10, lengths)
    assert [answer.items for answer in load_artifact(out).recommend()] == [tuple(fold.item_ids[row]) for row in items]


class ByLength:
    """The second member answers histories of 5 interactions or more, the first all others."""

    def combine(self, items, scores, k, lengths):
        long = (lengths >= 5)[:, None]
        return np.where(long, items[1], items[0])[:, :k], np.where(long, scores[1], scores[0])[:, :k]


def test_a_combiner_hears_how_long_the_histories_are_that_the_members_were_asked_with(save, tmp_path):
    both = load_artifact(save(tmp_path / "both", "ease", "popularity"))
    recommender = replace(both, ensemble=replace(both.ensemble, combiner=ByLength()))
    users = ["u3", "u3", "u3", None, None, None]  # u3 has 8 interactions on record
    short, long = ["i2", "i6"], ["i2", "i6", "i10", "i14", "i18"]
    histories = [None, short, long, short, long, [*short, "nope", "nor", "this"]]
    alone = [load_artifact(save(tmp_path / name, name)).recommend(users, histories) for name in ("ease", "popularity")]
    expected = [alone[member][row].items for row, member in enumerate([1, 0, 1, 0, 1, 0])]
    assert [answer.items for answer in recommender.recommend(users, histories)] == expected
    assert all(first.items != second.items for first, second in zip(*alone, strict=True))


def test_several_members_without_a_combiner_are_refused(registry, fold, facts, fit, tmp_path):
    with pytest.raises(ArtifactError, match="2 members and no combiner"):
        save_artifact(tmp_path / "two", [fit("ease"), fit("ease")], fold, registry, facts=facts)


def test_loading_imports_only_the_named_plugins_and_no_heavy_library(original, tmp_path):
    program = """if True:
        import sys
        from recsmith.artifacts.load import load_artifact
        load_artifact(sys.argv[1]).recommend(histories=[["i1", "i2"]])
        print(sorted({name.split(".")[0] for name in sys.modules} & {"torch", "ray", "optuna", "pandas", "sklearn"}))
        print([name for name in sys.modules if name.startswith("recsmith_plugins.") and name.count(".") == 2])
    """
    done = subprocess.run(
        [sys.executable, "-c", program, str(original)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    heavy, plugins = done.stdout.splitlines()
    assert heavy == "[]"
    assert "recsmith_plugins.models.ease" in plugins
    assert "recsmith_plugins.models.popularity" not in plugins


def test_a_fold_s_catalogue_is_its_training_rows(fold):
    catalogue = catalogue_of(replace(fold, users=()))
    assert catalogue.counts.sum() == len(catalogue.histories.item_num) == 640
