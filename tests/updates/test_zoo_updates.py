"""Every built-in model that fits a log with content can be updated."""

import numpy as np
import pytest

from recsmith.contracts.config import Choice
from recsmith.contracts.data import Requests
from recsmith.contracts.plan import DataPlan, Engine, Plan
from recsmith.data.fold import numbered
from recsmith.search.suggest import defaults, read
from recsmith.study.prepare import learn, prepare
from recsmith.study.refit import member_of
from recsmith.study.setup import set_up
from recsmith.testing.demo import demo_log
from recsmith.updates.growth import Renumbering
from recsmith.updates.learning import Lesson, learn_more
from recsmith.updates.settings import UpdateSettings


def quick(choice):
    """The same settings with one epoch."""
    training = choice.params.get("training")
    return (
        choice
        if training is None
        else Choice(name=choice.name, params={**choice.params, "training": {**training, "epochs": 1}})
    )


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["next_item", "rating", "cold_item"])
def test_gradient_models_go_on_and_closed_forms_are_fitted_anew(scenario, registry, tmp_path):
    """From the first 80 % of the rows to all of them; each scores the grown catalogue with finite numbers."""
    source = demo_log(tmp_path / "log", users=120, items=60, length=10)
    plan = Plan(data=DataPlan(source=str(source)), scenario=scenario, engine=Engine(name="inline"))
    setup = set_up(plan, registry)
    dataset = setup.dataset
    first = np.arange(len(dataset)) < 0.8 * len(dataset)
    old, whole = numbered(dataset, first), numbered(dataset, np.ones(len(dataset), bool))
    numbers = Renumbering(
        np.searchsorted(whole.user_ids, old.user_ids),
        np.searchsorted(whole.item_ids, old.item_ids),
        whole.train.users,
        whole.train.items,
    )
    fresh = np.isin(whole.user_ids, dataset.user_ids[np.unique(dataset.user[~first])])
    assert whole.train.users > old.train.users
    everybody = Requests(np.arange(whole.train.users, dtype=np.int32), whole.train.histories)
    ways = {}
    for name, usual in defaults(setup.space):
        choice = quick(read(setup.space, usual))
        prepared = prepare(choice, old, registry, seed=1)
        for _ in learn(prepared, old.train):
            pass
        lesson = Lesson(whole, old.train.histories, numbers, fresh, UpdateSettings(epochs=1), registry, seed=1)
        learnt = learn_more(member_of(choice, prepared), lesson)
        assert np.isfinite(learnt.prepared.serving.scores(everybody)).all()
        ways[name] = learnt.way
    expected = {"gradient": "continued", "closed_form": "refitted"}
    kinds = {name: expected[registry.spec("models", name).training] for name in ways}
    if "wide_deep" in kinds:
        kinds["wide_deep"] = "refitted"  # its crosses go by rank of popularity, which changes
    assert ways == kinds
    assert len(ways) > 3
