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
