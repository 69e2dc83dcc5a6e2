"""A grown state scores what was known as before."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from recsmith.contracts.config import Choice, Config
from recsmith.contracts.data import State
from recsmith.contracts.plugins import ModelSpec, RatingScale
from recsmith.study.prepare import Prepared
from recsmith.testing.logs import groups_fold
from recsmith.updates.growth import NotGrownError, Renumbering, check_scores, grow
from recsmith.wiring.plugins import load_plugins

REGISTRY = load_plugins().registry
GRADIENT = sorted(name for name, spec in REGISTRY.specs["models"].items() if spec.training == "gradient")
USERS, ITEMS = 80, 60  # of the log
RATINGS = RatingScale(3.0, 1.0, 5.0)


def prepared_for(name, users, items):
    """An untrained model for that many users and items."""
    choice = Choice(name=name)
    spec, config = REGISTRY.spec("models", name), REGISTRY.config("models", choice)
    context = REGISTRY.context(item_counts=np.ones(items, np.int64), users=users, seed=5, ratings=RATINGS)
    model = spec.build(config, context)
    return Prepared(spec, config, context, model, model, {})


def shuffled(seed=0, users=7, items=4):
    """Old numbers at random places among `users` and `items` more."""
    rng = np.random.default_rng(seed)
    places = [np.sort(rng.permutation(size + more)[:size]) for size, more in ((USERS, users), (ITEMS, items))]
    return Renumbering(rng.permutation(places[0]), rng.permutation(places[1]), USERS + users, ITEMS + items)


@pytest.mark.parametrize("name", GRADIENT)
def test_every_gradient_model_keeps_its_scores_at_a_new_size(name):
    """Also where users and items change their numbers; weights are random, so that no place is like another."""
    old = prepared_for(name, USERS, ITEMS).model
    rng = np.random.default_rng(1)
    arrays = {
        key: rng.normal(0, 0.3, array.shape).astype(array.dtype) if array.dtype.kind == "f" else array
        for key, array in old.state().arrays.items()
    }
    old.load(State(old.state().values, arrays))
    numbers = shuffled()
    new = prepared_for(name, numbers.users_after, numbers.items_after)
    new.model.load(grow(old.state(), new, numbers))
    check_scores(old, new.model, groups_fold(USERS, ITEMS).train.histories, numbers)


def test_new_rows_begin_at_the_mean_of_the_old_ones():
    old, numbers = prepared_for("bpr_mf", USERS, ITEMS).model.state(), shuffled()
    grown = grow(old, prepared_for("bpr_mf", numbers.users_after, numbers.items_after), numbers)
    new = np.setdiff1d(np.arange(numbers.items_after), numbers.items)
    before, after = old.arrays["item.weight"], grown.arrays["item.weight"]
    assert np.array_equal(after[numbers.items], before)
    assert np.allclose(after[new], before.mean(axis=0), atol=1e-7)


@dataclass
class Plain:
    """A model of arrays that a test chooses, by users and items."""

    arrays: dict = field(default_factory=dict)

    def state(self):
        return State({}, self.arrays)

    def load(self, state):
        self.arrays = dict(state.arrays)

    def scores(self, requests):
        return np.tile(self.arrays["table"][:-1, 0], (len(requests), 1))


def plain(arrays):
    """`Prepared` of a model whose arrays follow from U and I."""

    def build(config, context):
        return Plain(arrays(context.users, context.items))

    spec = ModelSpec(name="plain", api_version=1, build=build, training="gradient", examples="pairs")
    context = REGISTRY.context(item_counts=np.ones(ITEMS + 4, np.int64), users=USERS + 7)
    model = build(Config(), context)
    return Prepared(spec, Config(), context, model, model, {}), build(Config(), replace(context, users=80, items=60))


@pytest.mark.parametrize(
    "arrays",
    [
        lambda _, items: {"counts": np.zeros(items, np.int64)},  # no mean of whole numbers
        lambda users, items: {"pairs": np.zeros((users + items, 2), np.float32)},  # users and items in one table
        lambda _, items: {"squares": np.zeros(2 * items, np.float32)},
        lambda _, items: {"log": np.zeros(10 if items == ITEMS else 12, np.float32)},  # neither users nor items
    ],
)
def test_what_cannot_be_grown_is_refused(arrays):
    prepared, old = plain(arrays)
    with pytest.raises(NotGrownError):
        grow(old.state(), prepared, shuffled())


def test_a_table_whose_items_do_not_come_last_is_found_out():
    prepared, old = plain(lambda _, items: {"table": np.zeros((items + 1, 2), np.float32)})
    old.arrays = {"table": np.arange(2 * ITEMS + 2, dtype=np.float32).reshape(-1, 2)}
    numbers = shuffled()
    prepared.model.load(grow(old.state(), prepared, numbers))
    with pytest.raises(NotGrownError, match="scores known users otherwise"):
        check_scores(old, prepared.model, groups_fold(USERS, ITEMS).train.histories, numbers)
