"""Configurations of other spaces: what fits stays, what does not moves and is told, what cannot be is refused."""

from __future__ import annotations

import pytest
from toy_search import SPACE

from recsmith.contracts.config import Choice
from recsmith.contracts.errors import SpaceError
from recsmith.contracts.space import SearchSpace
from recsmith.search.carry import carry, flat
from recsmith.search.suggest import defaults, read

NET = Choice(
    name="net",
    params={
        "rate": 0.5,
        "units": 24,
        "epochs": 9,
        "loss": {"name": "hinge", "params": {"margin": 1.5}},
        "columns": {"title": {"name": "words", "params": {}}},
    },
)


def test_a_point_of_the_space_stays_as_it_is():
    carried = carry(SPACE, NET)
    assert (carried.configuration, carried.moved) == (NET, ())
    assert carried.point == {
        "model": "net",
        "model.net.rate": 0.5,
        "model.net.units": 24,
        "model.net.loss": "hinge",
        "model.net.loss.hinge.margin": 1.5,
        "model.net.columns.title": "words",
    }
    assert read(SPACE, carried.point) == NET


def test_values_outside_move_to_the_nearest_and_each_move_is_told():
    far = {**NET.params, "rate": 9.0, "units": 27, "epochs": 30, "loss": {"name": "gone", "params": {"x": 1}}}
    carried = carry(SPACE, Choice(name="net", params=far))
    assert (carried.point["model.net.rate"], carried.point["model.net.units"]) == (1.0, 24)
    assert carried.moved == (
        "model.net.rate: 9.0 became 1.0",
        "model.net.units: 27 became 24",
        "model.net.epochs: 30 became 9",
        "model.net.loss: 'gone' became 'hinge'",
    )


def test_what_a_configuration_lacks_takes_the_default_and_an_absent_option_stays_absent():
    params = {name: value for name, value in NET.params.items() if name not in {"units", "columns"}}
    carried = carry(SPACE, Choice(name="net", params=params))
    assert (carried.point["model.net.units"], carried.point["model.net.columns.title"]) == (16, "none")
    assert carried.moved == ()


def test_an_empty_configuration_is_the_default_point():
    for model, point in defaults(SPACE):
        assert carry(SPACE, Choice(name=model)).point == point


def test_a_model_outside_the_space_is_refused():
    options = {"flat": SPACE.root.options["flat"]}
    space = SearchSpace(name="flat", root=SPACE.root.model_copy(update={"options": options}))
    with pytest.raises(SpaceError, match="'net' is not in this search space"):
        carry(space, NET)


def test_every_value_has_its_full_path():
    assert flat(NET)["model.net.loss.hinge.margin"] == 1.5
    assert flat(NET)["model.net.columns.title"] == "words"
