from recsmith.contracts.results import EpochReport
from recsmith.search.asha import Asha, Family

FAMILIES = (Family("net", epochs=27), Family("other", epochs=27), Family("flat"))


def epoch(number, value):
    return EpochReport(epoch=number, metrics={"ndcg@10": value}, seconds=1.0)


def asha(direction="maximize"):
    return Asha(FAMILIES, "ndcg@10", direction)


def test_a_trial_below_the_best_third_of_its_rung_ends_there_and_not_before():
    ladder = asha()
    for root, value in enumerate((0.5, 0.6, 0.7)):
        assert all(ladder.goes_on("net", root, epoch(e, value)) for e in (1, 2, 3))
    assert ladder.goes_on("net", 3, epoch(1, 0.1))
    assert ladder.goes_on("net", 3, epoch(2, 0.1))
    assert not ladder.goes_on("net", 3, epoch(3, 0.1))
    assert ladder.goes_on("net", 4, epoch(3, 0.8))


def test_a_metric_to_minimize_is_pruned_from_the_other_side():
    ladder = asha("minimize")
    for root, value in enumerate((0.5, 0.6, 0.7)):
        ladder.goes_on("net", root, epoch(3, value))
    assert not ladder.goes_on("net", 3, epoch(3, 0.9))
    assert ladder.goes_on("net", 4, epoch(3, 0.1))


def test_a_closed_form_model_is_never_ended_and_ends_nobody():
    ladder = asha()
    assert all(ladder.goes_on("flat", root, epoch(1, 0.99)) for root in range(5))
    assert ladder.goes_on("flat", 5, epoch(1, 0.01))
    assert ladder.goes_on("net", 6, epoch(3, 0.05))


def test_families_do_not_share_rungs():
    ladder = asha()
    for root in range(5):
        ladder.goes_on("net", root, epoch(3, 0.9))
    assert ladder.goes_on("other", 9, epoch(3, 0.1))


def test_replayed_histories_fill_the_rungs_and_a_resumed_trial_keeps_its_places():
    ladder = asha()
    for root in range(3):
        ladder.replay("net", root, [epoch(e, 0.6) for e in (1, 2, 3)])
    ladder.replay("net", 7, [epoch(e, 0.1) for e in (1, 2)])
    assert ladder.goes_on("net", 0, epoch(3, 0.0))  # heard before
    assert ladder.goes_on("net", 7, epoch(2, 0.1))
    assert not ladder.goes_on("net", 7, epoch(3, 0.1))
