"""Greedy portfolios and nearness, on tables whose answers are plain."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from toy_search import SPACE

from recsmith.search.portfolio import Outcome, apart, greedy, nearness, portfolio, ranked, regrets
from recsmith.search.prior import model_order
from recsmith.wiring.narrowing import domains_of


def flat(x, value, seconds=1.0, kind="round"):
    return Outcome({"model": "flat", "model.flat.x": x, "model.flat.kind": kind}, "flat", value, seconds)


def test_regret_is_the_share_of_the_best_that_is_missing():
    assert regrets([0.2, 0.1, None, 0.0], maximize=True).tolist() == pytest.approx([0.0, 0.5, 1.0, 1.0])
    assert regrets([0.8, 1.0, 4.0], maximize=False).tolist() == pytest.approx([0.0, 0.25, 1.0])
    assert regrets([None], maximize=True).tolist() == [1.0]


def test_the_portfolio_takes_the_best_in_the_mean_and_then_what_makes_up_for_it():
    regret = np.array([[0.2, 0.0, 0.9], [0.2, 0.9, 0.0], [0.1, 0.3, 0.0]])
    equal = np.full(3, 1 / 3)
    assert greedy(regret, equal, np.ones(3)) == [0, 2, 1]


def test_a_data_set_that_counts_more_decides():
    regret = np.array([[0.0, 0.5], [0.5, 0.0]])
    assert greedy(regret, np.array([0.9, 0.1]), np.ones(2))[0] == 0
    assert greedy(regret, np.array([0.1, 0.9]), np.ones(2))[0] == 1


def test_it_ends_where_nothing_is_to_win_and_of_equal_ones_the_cheaper_comes_first():
    regret = np.array([[0.0, 0.0, 0.4]])
    assert greedy(regret, np.ones(1), np.array([3.0, 2.0, 1.0])) == [1]
    assert ranked(regret, np.ones(1), np.array([3.0, 2.0, 1.0])) == [1, 0, 2]


def test_the_first_two_are_close_to_the_best_pair():
    """The greedy choice of a monotone submodular gain is at least 1 - 1/e of the best (Nemhauser et al., 1978)."""
    draw = np.random.default_rng(0)
    for _ in range(50):
        regret, weights = draw.random((5, 8)), draw.dirichlet(np.ones(5))
        gain = {pair: 1 - weights @ regret[:, list(pair)].min(1) for pair in combinations(range(8), 2)}
        found = tuple(sorted(greedy(regret, weights, np.ones(8))[:2]))
        assert gain[found] >= (1 - 1 / np.e) * max(gain.values())


def test_nearness_is_highest_for_the_likest_data_set_and_sums_to_one():
    new = {"users": 3.0, "time.days": 2.0}
    others = [{"users": 3.1, "time.days": 2.1}, {"users": 5.0}, {"users": 2.0, "time.days": 0.0}]
    weights = nearness(new, others)
    assert weights.sum() == pytest.approx(1.0)
    assert weights.argmax() == 0
    assert nearness(new, [others[0], others[0]]).tolist() == pytest.approx([0.5, 0.5])
    assert nearness(new, [new, others[1]])[0] > 0.9
    assert nearness(new, []).tolist() == []


def test_points_are_compared_over_their_domains():
    domains = dict(domains_of(SPACE.root))
    assert apart(flat(0.2, 0).point, flat(0.5, 0).point, domains) == pytest.approx(0.3 / 3)
    assert apart(flat(0.2, 0).point, flat(0.2, 0, kind="square").point, domains) == pytest.approx(1 / 3)
    one, other = ({"model": "net", "model.net.rate": rate} for rate in (1e-4, 1e-2))
    assert apart(one, other, domains) == pytest.approx(0.5 / 2)  # on the logarithm


def test_another_data_set_tells_of_a_point_by_the_nearest_trial_of_its_model():
    first = [flat(0.1, 0.9), flat(0.9, 0.5)]
    second = [flat(0.15, 0.1), flat(0.85, 1.0)]
    chosen = portfolio(SPACE, [first, second], np.array([0.4, 0.6]), maximize=True)
    assert [outcome.point["model.flat.x"] for outcome in chosen] == [0.9, 0.1]  # 0.9 is told of by 0.85


def test_one_data_set_has_one_best_and_what_is_best_depends_on_the_direction():
    net = Outcome({"model": "net", "model.net.rate": 0.1}, "net", 0.95, 5.0)
    outcomes = [flat(0.1, 0.2), flat(0.3, 0.4), net]
    assert portfolio(SPACE, [outcomes], np.ones(1), maximize=True) == [net]
    assert portfolio(SPACE, [outcomes], np.ones(1), maximize=False) == [outcomes[0]]


def test_a_trial_that_failed_is_never_a_candidate():
    assert portfolio(SPACE, [[flat(0.1, None)]], np.ones(1), maximize=True) == []
    assert portfolio(SPACE, [], np.zeros(0), maximize=True) == []


def test_the_shipped_prior_orders_models_and_item_knn_leads_it():
    """As the source found: of its algorithms item-kNN leaves the least regret over the 21 data sets."""
    order = model_order()
    assert order[0] == "item_knn"
    assert len(order) == len(set(order)) == 11
