"""What is held out is of the target domain; what is learnt of other domains was known at that time."""

import numpy as np
import pytest

from recsmith.contracts.data import TEST, TRAIN, UNUSED, VALID, LogColumns
from recsmith.contracts.errors import PlanError
from recsmith_plugins.splitters.cross_domain import CrossDomain, CrossDomainConfig


def log(user, domain, *, ordered=True):
    user = np.array(user)
    names = np.array([{"b": "books", "f": "films", "-": ""}[letter] for letter in domain], object)
    return LogColumns(user, np.arange(len(user)), np.arange(len(user)), None, ordered=ordered, domain=names)


def split(columns, seed=0, **settings):
    return CrossDomain(CrossDomainConfig(**settings)).split(columns, seed)


def test_the_last_two_of_the_target_domain_are_held_out_and_nothing_later_is_learnt():
    found = split(log([0] * 8, "bffbffbb"), target="films")
    assert found.tolist() == [TRAIN, TRAIN, TRAIN, TRAIN, VALID, TEST, UNUSED, UNUSED]


def test_the_smallest_domain_is_the_target_unless_one_is_named():
    columns = log([0] * 9, "bbbfffff-")
    assert split(columns).tolist() == [TRAIN, VALID, TEST, *[UNUSED] * 6]
    assert split(columns, target="films").tolist()[3:] == [TRAIN, TRAIN, TRAIN, VALID, TEST, UNUSED]


def test_users_with_one_interaction_there_are_not_judged():
    assert split(log([0, 0, 0], "bbf"), target="films").tolist() == [TRAIN, TRAIN, TRAIN]


def test_a_share_of_what_is_known_of_the_target_is_kept():
    columns = log(np.repeat(np.arange(50), 20), "bf" * 500, ordered=False)
    found = split(columns, target="films", keep=0.25)
    inside = columns.domain == "films"
    assert [int((found[inside] == label).sum()) for label in (TRAIN, VALID, TEST)] == [100, 12, 50]
    assert set(found[~inside]) == {TRAIN}
    assert not np.array_equal(found, split(columns, seed=1, target="films", keep=0.25))


def test_cold_users_lose_everything_in_the_target_domain():
    columns = log(np.repeat(np.arange(50), 20), "bf" * 500)
    found = split(columns, target="films", cold=0.2)
    inside = columns.domain == "films"
    for label in (VALID, TEST):
        users = np.unique(columns.user[found == label])
        assert len(users) == 10
        assert set(found[inside & np.isin(columns.user, users)]) == {label}
    assert set(found[~inside]) == {TRAIN}


@pytest.mark.parametrize(("domain", "target"), [("bbff", "flims"), ("----", None)])
def test_a_domain_that_is_not_there_is_refused(domain, target):
    with pytest.raises(PlanError, match="split cross_domain: target: no domain"):
        split(log([0] * 4, domain), target=target)
