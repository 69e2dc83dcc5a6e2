"""Who gets which answer: known and new users, given histories, unknown items, and too few candidates."""

import numpy as np
import pytest

from recsmith.artifacts.load import load_artifact
from recsmith.artifacts.save import Combination, Member, save_artifact
from recsmith.contracts.config import Choice
from recsmith.contracts.errors import DataError


@pytest.fixture(scope="module")
def recommender(original):
    return load_artifact(original)


@pytest.fixture(scope="module")
def popular(fold):
    order = np.lexsort((np.arange(60), -fold.train.counts))
    return [str(fold.item_ids[item]) for item in order]


def group(fold, answer):
    return {int(item[1:]) % 4 for item in answer.items}


def test_every_user_gets_the_own_group(recommender, fold):
    answers = recommender.recommend(k=7)
    assert [answer.user_id for answer in answers] == fold.user_ids.tolist()
    assert [group(fold, answer) for answer in answers] == [{user % 4} for user in range(80)]


def test_seen_items_stay_out_unless_asked_for(recommender, fold):
    seen = {str(fold.item_ids[item]) for item in fold.train.histories.of(3)}
    assert not seen & set(recommender.recommend(["u3"], k=60)[0].items)
    assert seen < set(recommender.recommend(["u3"], k=60, exclude_seen=False)[0].items)


def test_left_unsaid_seen_items_are_treated_as_the_study_did(save, tmp_path):
    again = load_artifact(save(tmp_path / "repeat", "ease", mask_seen=False))
    assert len(again.recommend(["u3"], k=60)[0].items) == 60
    assert len(again.recommend(["u3"], k=60, exclude_seen=True)[0].items) == 52


def test_lists_are_not_filled_up(recommender):
    answer = recommender.recommend(["u3"], k=1000)[0]
    assert len(answer.items) == len(answer.scores) == 52


def test_a_new_user_with_a_history_is_served_by_the_model(recommender, fold):
    answer = recommender.recommend(histories=[["i2", "i6", "i10"]], k=5)[0]
    assert (answer.user_id, answer.source) == (None, "model")
    assert group(fold, answer) == {2}
    assert not {"i2", "i6", "i10"} & set(answer.items)


def test_a_given_history_takes_the_place_of_the_recorded_one(recommender, fold):
    answer = recommender.recommend(["u3"], [["i2", "i6", "i10"]], k=5)[0]
    assert (group(fold, answer), answer.source) == ({2}, "model")
    recorded = {str(fold.item_ids[item]) for item in fold.train.histories.of(3)}
    assert not recorded & set(recommender.recommend(["u3"], [["i2"]], k=60)[0].items)


def test_unknown_items_are_left_out_and_named(recommender):
    with_unknown = recommender.recommend(histories=[["nope", "i2", "i6", *"abcdef"]])[0]
    assert with_unknown.items == recommender.recommend(histories=[["i2", "i6"]])[0].items
    assert with_unknown.notes == ("unknown items left out: 'nope', 'a', 'b', 'c', 'd' and 2 more",)


@pytest.mark.parametrize(
    ("user", "history"), [(None, None), ("stranger", None), ("stranger", []), (None, ["nope"]), ("u3", ["nope"])]
)
def test_without_any_known_item_the_most_popular_are_the_answer(recommender, popular, fold, user, history):
    answer = recommender.recommend([user], [history], k=10)[0]
    seen = {str(fold.item_ids[item]) for item in fold.train.histories.of(3)} if user == "u3" else set()
    assert answer.source == "popularity"
    assert list(answer.items) == [item for item in popular if item not in seen][:10]
    assert answer.scores[0] == max(answer.scores)


def test_a_known_user_with_an_empty_history_is_answered_from_the_recorded_one(recommender):
    assert recommender.recommend(["u3"], [[]]) == recommender.recommend(["u3"])


def test_a_mixed_batch_answers_as_each_alone(recommender):
    users = ["u1", "stranger", None, "u2", "u3", None]
    histories = [None, ["i1", "i5"], ["nope"], ["i0"], [], None]
    together = recommender.recommend(users, histories)
    alone = [recommender.recommend([user], [history])[0] for user, history in zip(users, histories, strict=True)]
    assert [answer.items for answer in together] == [answer.items for answer in alone]
    assert [answer.source for answer in together] == ["model", "model", "popularity", "model", "model", "popularity"]


def test_nobody_asks_nobody_answers(recommender):
    assert recommender.recommend([]) == []
    assert recommender.recommend([], []) == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"k": 0}, "k is 0"),
        ({"user_ids": ["u1"], "histories": []}, "1 user_ids and 0 histories"),
        ({"user_ids": "u1"}, "give a list of each"),
        ({"user_ids": [5]}, "identifiers are text, so '5'"),
        ({"histories": ["i1"]}, "histories.0. is the text 'i1'"),
        ({"histories": [["i1", 7]]}, "histories.0. holds 7: identifiers are text, so '7'"),
    ],
)
def test_a_wrong_question_is_refused_with_a_sentence(recommender, arguments, sentence):
    with pytest.raises(DataError, match=sentence):
        recommender.recommend(**arguments)


def test_what_a_server_needs_to_know(recommender, fold):
    assert recommender.known_user("u3")
    assert not recommender.known_user("stranger")
    assert recommender.item_ids.tolist() == fold.item_ids.tolist()
    assert np.array_equal(recommender.histories.item_num, fold.train.histories.item_num)


@pytest.fixture(scope="module")
def factors(registry, fold):
    """A matrix factorisation, untrained: what a new user gets depends on the meta-learner alone."""
    choice = Choice(name="bpr_mf")
    context = registry.context(item_counts=fold.train.counts, users=80, seed=3)
    return Member(choice, registry.build("models", choice, context).state())


def test_a_meta_learner_adapts_the_model_to_new_users(registry, fold, facts, factors, tmp_path):
    recommender = load_artifact(save_artifact(tmp_path / "mf", [factors], fold, registry, facts=facts))
    known, new, bare = recommender.recommend(["u3", None, None], [None, ["i2", "i6"], None])
    assert (known.source, new.source, bare.source) == ("model", "adapted", "popularity")
    assert new.items != recommender.recommend(histories=[["i3", "i7"]])[0].items
    assert "meta_learner.ridge_fold_in" in {use.entry_point for use in recommender.manifest.plugins}


def test_an_ensemble_with_an_adapted_member_says_so(registry, fold, facts, factors, fit, tmp_path):
    combination = Combination(combiner=Choice(name="reciprocal_rank_fusion", params={"weights": [1.0, 2.0]}))
    members = [factors, fit("ease")]
    out = save_artifact(tmp_path / "two", members, fold, registry, facts=facts, combination=combination)
    answers = load_artifact(out).recommend(["u3", None], [None, ["i2", "i6"]])
    assert [answer.source for answer in answers] == ["model", "adapted"]
