"""What each meta-learner does to a linear head, worked out by hand or by scikit-learn; outer losses on a real block."""

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from recsmith.contracts.config import Choice
from recsmith.contracts.data import Histories, Interactions
from recsmith.contracts.errors import PluginError
from recsmith.contracts.plugins import RatingScale
from recsmith.contracts.tasks import Shots, Tasks
from recsmith.contracts.training import Training
from recsmith.inference.adapt import AdaptedModel
from recsmith.training.tasks import TaskExamples, TaskObjective
from recsmith.wiring.plugins import load_plugins
from recsmith_plugins.meta_learners.policy_gradient import facts_of

REGISTRY = load_plugins().registry
WIDTH, SIZE = 3, 5
GENERATOR = torch.Generator().manual_seed(0)
START = {"output.weight": torch.tensor([0.1, -0.2, 0.5]), "output.bias": torch.tensor(0.3)}
SUPPORT = Shots(torch.randn(SIZE, WIDTH, generator=GENERATOR), torch.randn(SIZE, generator=GENERATOR), torch.ones(SIZE))
LACKS = SUPPORT.values - (SUPPORT.inputs @ START["output.weight"] + START["output.bias"])


def score(params, inputs):
    return inputs @ params["output.weight"] + params["output.bias"]


def made(name, **params):
    learner = REGISTRY.build("meta_learners", Choice(name=name, params=params), REGISTRY.context())
    if hasattr(learner, "learns"):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            learner.learns(START, WIDTH).eval()
    return learner


def adapted(learner, support=SUPPORT):
    with torch.no_grad():
        return learner.adapt(score, START, support)


def step(params, rate):
    """One step down the gradient of the mean squared error, by hand."""
    lacks = SUPPORT.values - score(params, SUPPORT.inputs)
    return {
        "output.weight": params["output.weight"] + rate * 2 * (SUPPORT.inputs * lacks[:, None]).mean(dim=0),
        "output.bias": params["output.bias"] + rate * 2 * lacks.mean(),
    }


def equal(one, other):
    assert set(one) == set(other)
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, other[name], msg=lambda text, name=name: f"{name}: {text}")


def a_block(name, **params):
    """Eight tasks of random ratings around the adaptive MLP and this meta-learner."""
    rng = np.random.default_rng(0)
    items = np.concatenate([rng.permutation(25)[:12] for _ in range(20)]).astype(np.int32)
    values = rng.integers(1, 6, len(items)).astype(np.float32)
    log = Interactions(Histories(np.arange(21) * 12, items, value=values), 20, 25, ordered=True)
    context = REGISTRY.context(item_counts=log.counts, users=20, seed=3, ratings=RatingScale(3.0, 1.0, 5.0))
    config = REGISTRY.config(
        "models", Choice(name="adaptive_mlp", params={"dim": 8, "hidden": 8, "tower": {"init_std": 0.3}})
    )
    model = REGISTRY.spec("models", "adaptive_mlp").build(config, context)
    learner = REGISTRY.build("meta_learners", Choice(name=name, params=params), context)
    around = AdaptedModel(model, learner, context, Tasks(support=4, size="fixed", query=4))
    objective = TaskObjective(around, context.part("losses", Choice(name="squared_error")), Training(), None)
    examples = TaskExamples(around, objective, context.part("task_samplers", Choice(name="random")), log, 8)
    return around, objective.block(next(iter(examples.epoch(0, 1).batches)), torch.Generator())


@pytest.mark.parametrize("name", ["maml", "fomaml", "anil", "fine_tune", "reptile", "gradient_weighted"])
def test_gradient_steps_are_those_by_hand(name):
    equal(adapted(made(name, steps=2, rate=0.1)), step(step(START, 0.1), 0.1))


def test_a_gradient_of_any_size_moves_a_head_by_a_bounded_step():
    far = Shots(1e4 * SUPPORT.inputs, SUPPORT.values, SUPPORT.weight)
    moved = adapted(made("maml", steps=1, rate=0.1), far)
    way = torch.cat([(moved[name] - START[name]).reshape(-1) for name in START])
    assert float(way.norm()) == pytest.approx(0.1 * 10.0, rel=1e-4)


def test_maml_anneals_from_first_to_second_order():
    learner = made("maml", anneal=0.5)
    orders = []
    for epoch in range(1, 9):
        learner.begin(epoch, 8)
        orders.append(learner.second_order)
    assert orders == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0]
    plain = made("maml")
    plain.begin(1, 8)
    assert plain.second_order == 1.0


def test_anil_leaves_all_but_the_output_as_it_is():
    model, block = a_block("anil")
    assert set(block.adapted()) == {"output.weight", "output.bias"}
    assert {"context", "hidden.0.weight"} <= set(model.model.head())


def test_the_gradient_of_reptile_is_the_mean_way_back_from_the_adapted_heads():
    model, block = a_block("reptile", pull=2.0)
    names = list(block.start)
    slopes = torch.autograd.grad(model.learner.outer(block), [block.start[name] for name in names], retain_graph=True)
    ends = block.adapted()
    for name, slope in zip(names, slopes, strict=True):
        torch.testing.assert_close(slope, 2.0 * (block.start[name] - ends[name].mean(dim=0)).detach())


def test_meta_sgd_takes_each_number_at_its_own_rate():
    learner = made("meta_sgd", rate=0.1, steps=1)
    equal(adapted(learner), step(START, 0.1))
    with torch.no_grad():
        learner.module.logs[0][1] = math.log(0.4)
    moved, usual, fast = adapted(learner), step(START, 0.1), step(START, 0.4)
    torch.testing.assert_close(moved["output.weight"][1], fast["output.weight"][1])
    torch.testing.assert_close(moved["output.weight"][::2], usual["output.weight"][::2])


def test_meta_dropout_is_noisy_in_training_only_and_as_noisy_as_it_says():
    learner = made("meta_dropout", steps=1, rate=0.1, noise=0.2)
    equal(adapted(learner), step(START, 0.1))
    learner.module.train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        factors = learner.module(torch.ones(20_000, WIDTH)).detach()
    assert float(factors.mean()) == pytest.approx(1.0, abs=0.01)
    assert float(factors.std()) == pytest.approx(0.2, abs=0.01)


def test_tasks_at_odds_with_the_others_count_less():
    model, block = a_block("gradient_weighted", sharpness=0.0)
    losses = block.query_loss(block.adapted())
    torch.testing.assert_close(model.learner.outer(block), losses.mean())
    ends = block.adapted()
    slopes = torch.autograd.grad(block.query_loss(ends).sum(), list(ends.values()))
    flat = torch.cat([slope.reshape(len(losses), -1) for slope in slopes], dim=1).numpy()
    mean = flat.mean(axis=0)
    cosines = flat @ mean / np.linalg.norm(flat, axis=1) / np.linalg.norm(mean)
    weights = np.exp(5.0 * cosines) / np.exp(5.0 * cosines).sum()
    model.learner.sharpness = 5.0
    expected = torch.tensor(weights @ losses.detach().numpy())
    torch.testing.assert_close(model.learner.outer(block).detach(), expected, rtol=1e-4, atol=1e-5)


def test_averaging_takes_the_mean_of_what_the_steps_pass_through():
    one = step(START, 0.1)
    two = step(one, 0.1)
    equal(adapted(made("averaging", steps=2, rate=0.1)), {name: (one[name] + two[name]) / 2 for name in START})


def test_averaging_serves_from_the_running_mean_of_the_common_head():
    learner = made("averaging", steps=2, rate=0.001, memory=0.5)
    heads = [{name: tensor + shift for name, tensor in START.items()} for shift in (0.0, 1.0, 2.0)]
    for head in heads:
        learner.module.update(head, 0.5)
    mean = {name: tensor + (0.0 * 0.25 + 1.0 * 0.25 + 2.0 * 0.5) for name, tensor in START.items()}
    equal(learner.module.head(), mean)
    nothing = Shots(SUPPORT.inputs, SUPPORT.values, torch.zeros(SIZE))
    equal(adapted(learner, nothing), mean)


def test_a_policy_gives_a_user_the_likeliest_number_of_steps():
    learner = made("policy_gradient", steps=3, rate=0.1)
    for wanted in range(4):
        with torch.no_grad():
            learner.module.steps.bias.zero_()
            learner.module.steps.bias[wanted] = 5.0
        expected = START
        for _ in range(wanted):
            expected = step(expected, 0.1)
        equal(adapted(learner), expected)


def test_a_policy_learns_to_take_no_step_where_steps_harm():
    """The rate is so high that every step overshoots: the reward of standing still is the highest."""
    model, block = a_block("policy_gradient", steps=2, rate=1.0, weight=10.0)
    optimizer = torch.optim.Adam(model.learnt.parameters(), lr=0.05)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for _ in range(60):
            optimizer.zero_grad()
            model.learner.outer(block).backward(retain_graph=True)
            optimizer.step()
    logits, _ = model.learner.module(block.read(facts_of))
    assert logits.argmax(dim=1).eq(0).all()


def test_a_feed_forward_context_moves_nobody_before_it_has_learnt():
    equal(adapted(made("cnp")), START)


def test_prototypes_move_the_head_from_what_scored_too_high_to_what_scored_too_low():
    learner = made("prototypes", damping=2.0, length=0.5)
    read = torch.cat([SUPPORT.inputs, torch.ones(SIZE, 1)], dim=1)
    low, high = LACKS > 0, LACKS < 0
    prototypes = [(read[side] * LACKS[side].abs()[:, None]).sum(0) / (side.sum() + 2.0) for side in (low, high)]
    way = 0.5 * (prototypes[0] - prototypes[1])
    equal(
        adapted(learner),
        {"output.weight": START["output.weight"] + way[:3], "output.bias": START["output.bias"] + way[3]},
    )


def test_r2d2_begins_as_ridge_regression_around_the_common_head():
    design = np.hstack([SUPPORT.inputs.numpy(), np.ones((SIZE, 1))])
    ridge = Ridge(alpha=0.7, fit_intercept=False).fit(design, LACKS.numpy())
    moved = adapted(made("r2d2", l2=0.7))
    np.testing.assert_allclose((moved["output.weight"] - START["output.weight"]).numpy(), ridge.coef_[:3], atol=1e-4)
    assert float(moved["output.bias"] - START["output.bias"]) == pytest.approx(ridge.coef_[3], abs=1e-4)


def test_a_number_that_r2d2_pulls_hard_stays_where_it_is():
    learner = made("r2d2", l2=0.7)
    with torch.no_grad():
        learner.module.log[1] = math.log(1e8)
    moved = adapted(learner)
    assert float(moved["output.weight"][1]) == pytest.approx(float(START["output.weight"][1]), abs=1e-4)
    assert abs(float(moved["output.weight"][0] - START["output.weight"][0])) > 1e-2


def test_a_user_offset_is_the_damped_mean_of_what_scores_lack():
    moved = adapted(made("user_offset", damping=3.0))
    torch.testing.assert_close(moved["output.weight"], START["output.weight"])
    torch.testing.assert_close(moved["output.bias"], START["output.bias"] + LACKS.sum() / (SIZE + 3.0))


def test_a_head_without_an_offset_has_none_to_adapt():
    with pytest.raises(PluginError, match=r"user_offset: the head has no 'output.bias', only output\."):
        made("user_offset").adapt(lambda params, inputs: inputs @ params["output"], {"output": torch.ones(3)}, SUPPORT)


@pytest.mark.parametrize("name", ["fine_tune", "ridge_fold_in", "user_offset"])
def test_baselines_learn_a_common_head_that_knows_nothing_of_adaptation(name):
    model, block = a_block(name)
    torch.testing.assert_close(model.learner.outer(block), block.query_loss(block.start).mean())
