"""What lines of space files do to the tree when there are several of them."""

from __future__ import annotations

import pytest

from recsmith.contracts.errors import SpaceError
from recsmith.wiring.documents import Document
from recsmith.wiring.growth import grow
from recsmith.wiring.narrowing import narrowed
from recsmith.wiring.plugins import load_plugins

REGISTRY = load_plugins().registry
TREE = grow(REGISTRY, {"items": {"the.title": "text"}, "users": {}})


def narrow(*contents, aside=None):
    return narrowed(TREE, [Document(f"{number}.yaml", content) for number, content in enumerate(contents)], aside or {})


def losses(root, model):
    return list(root.options[model].fields["training"].fields["loss"].options)


def test_a_later_line_about_the_same_choice_counts():
    root = narrow({"model.*.training.loss": "bpr", "model.sasrec.training.loss": ["bce", "gbce"]})
    assert (losses(root, "bpr_mf"), losses(root, "sasrec")) == (["bpr"], ["bce", "gbce"])


def test_a_later_document_may_name_what_an_earlier_one_took_away():
    root = narrow(
        {"model": ["ease"], "model.sasrec.blocks": 2}, {"model": "sasrec", "model.sasrec.training.loss": "bpr"}
    )
    assert (list(root.options), root.default, losses(root, "sasrec")) == (["sasrec"], "sasrec", ["bpr"])
    assert root.options["sasrec"].fields["blocks"].value == 2


def test_a_line_about_an_option_that_is_taken_away_is_checked_too():
    with pytest.raises(SpaceError, match=r"model\.sasrec: no parameter 'dropuot'\. Did you mean 'dropout'\?"):
        narrow({"model": ["ease"], "model.sasrec.dropuot": 0.1})


def test_a_pin_that_an_earlier_line_made_is_no_end_of_the_domain():
    root = narrow(
        {"model.sasrec.activation": "relu", "model.sasrec.blocks": 3}, {"model.sasrec.activation": ["gelu", "silu"]}
    )
    assert root.options["sasrec"].fields["activation"].domain.choices == ("gelu", "silu")
    with pytest.raises(SpaceError, match=r"no value 'gleu'\. Did you mean 'gelu'"):
        narrow({"model.sasrec.activation": "relu"}, {"model.sasrec.activation": "gleu"})


def test_lines_about_plugins_that_are_not_in_play_change_nothing_and_naming_one_is_refused():
    aside = {"model.shiny": "quarantined: it does not import"}
    assert narrow({"model.shiny.width": 3, "model": {"shiny": {"deep.er": 1}}}, aside=aside) == TREE.root
    with pytest.raises(SpaceError, match="model: the plugin 'shiny' is quarantined: it does not import"):
        narrow({"model": ["shiny", "ease"]}, aside=aside)


def test_a_column_with_a_dot_in_its_name_is_written_as_its_path():
    root = narrow({"model.content_knn.content.encoders.the_title": "tfidf"})
    assert list(root.options["content_knn"].fields["content"].fields["encoders"].fields["the.title"].options) == [
        "tfidf"
    ]


ENCODERS = "model.{}.content.encoders.{}"
TWO = grow(REGISTRY, {"items": {"title": "text", "plot": "text", "genre": "category"}, "users": {}})


def encoders(root, model):
    columns = root.options[model].fields["content"].fields["encoders"].fields
    return {column: list(node.options) for column, node in columns.items()}


def test_a_role_in_brackets_stands_for_every_column_of_that_role():
    before = encoders(TWO.root, "content_knn")
    line = {ENCODERS.format("*", "(text)"): ["none", "tfidf"]}
    root = narrowed(TWO, [Document("a.yaml", line)], {})
    allowed = ["none", "tfidf"]
    assert encoders(root, "content_knn") == {**before, "title": allowed, "plot": allowed}
    assert encoders(root, "two_tower")["plot"] == allowed


def test_a_role_that_no_column_has_changes_nothing_and_an_unknown_one_is_refused():
    line = {ENCODERS.format("*", "(audio)"): "none", ENCODERS.format("content_knn", "(image)"): ["none"]}
    assert narrowed(TWO, [Document("a.yaml", line)], {}) == TWO.root
    with pytest.raises(SpaceError, match=r"no role 'texts'\. Did you mean 'text'"):
        narrowed(TWO, [Document("a.yaml", {ENCODERS.format("*", "(texts)"): "none"})], {})


def test_of_a_list_for_many_models_each_takes_what_goes_with_it():
    line = {ENCODERS.format("*", "(text)"): ["none", "tfidf", "text_cnn"]}
    root = narrowed(TWO, [Document("a.yaml", line)], {})
    assert encoders(root, "content_knn")["plot"] == ["none", "tfidf"]
    assert encoders(root, "two_tower")["plot"] == ["none", "text_cnn", "tfidf"]
    with pytest.raises(SpaceError, match="learns by gradients, and the model does not"):
        narrowed(TWO, [Document("a.yaml", {ENCODERS.format("content_knn", "plot"): "text_cnn"})], {})
