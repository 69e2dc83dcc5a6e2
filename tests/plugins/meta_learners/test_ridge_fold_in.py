"""Ridge fold-in against scikit-learn's ridge regression, one user and many."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from torch.func import vmap

from recsmith.contracts.tasks import Shots
from recsmith_plugins.meta_learners.ridge_fold_in import RidgeFoldIn, RidgeFoldInConfig

ITEMS, WIDTH, L2 = 15, 4, 0.7
VECTORS = torch.randn(ITEMS, WIDTH, generator=torch.Generator().manual_seed(0))
COMMON = {"bias": torch.tensor(0.3), "weight": torch.tensor([0.1, -0.2, 0.5, 1.0])}
LEARNER = RidgeFoldIn(RidgeFoldInConfig(l2=L2))


def linear(params, inputs):
    return inputs @ params["weight"] + params["bias"]


def adapt(items, values, weight, score=linear):
    return LEARNER.adapt(score, COMMON, Shots(VECTORS[items], values, weight))


def support(size, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randint(0, ITEMS, (size,), generator=generator),
        torch.randn(size, generator=generator),
        torch.ones(size),
    )


@pytest.mark.parametrize("size", [1, 3, 5, 12])
def test_a_linear_head_becomes_the_ridge_solution_around_the_common_one(size):
    """Below five interactions the dual system is solved, from there on the primal one."""
    items, values, mask = support(size)
    design = np.hstack([np.ones((size, 1)), VECTORS[items].numpy()])
    ridge = Ridge(alpha=L2, fit_intercept=False).fit(design, (values - linear(COMMON, VECTORS[items])).numpy())
    adapted = adapt(items, values, mask)
    got = [adapted[name] - COMMON[name] for name in ("bias", "weight")]
    np.testing.assert_allclose(np.hstack([part.numpy().ravel() for part in got]), ridge.coef_, atol=1e-4)
    assert {name: tensor.shape for name, tensor in adapted.items()} == {"bias": (), "weight": (WIDTH,)}


def test_many_users_at_once_equal_one_after_the_other():
    tasks = [support(6, seed) for seed in range(5)]
    together = vmap(adapt)(*(torch.stack(part) for part in zip(*tasks, strict=True)))
    for user, task in enumerate(tasks):
        for name, tensor in adapt(*task).items():
            torch.testing.assert_close(together[name][user], tensor, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("size", [2, 9])
def test_padding_has_no_say(size):
    items, values, mask = support(size)
    padded = [torch.cat([part, torch.zeros(4, dtype=part.dtype)]) for part in (items, values, mask)]
    padded[1][-4:] = 99.0
    for name, tensor in adapt(items, values, mask).items():
        torch.testing.assert_close(adapt(*padded)[name], tensor, atol=1e-5, rtol=1e-5)


def test_a_user_without_interactions_keeps_the_common_head():
    items, values, _ = support(3)
    for name, tensor in adapt(items, values, torch.zeros(3)).items():
        torch.testing.assert_close(tensor, COMMON[name])


def test_a_curved_head_fits_its_support_better_after_the_step():
    def curved(params, inputs):
        return torch.tanh(linear(params, inputs))

    items, _, mask = support(8)
    values = curved({"bias": torch.tensor(0.1), "weight": torch.tensor([0.3, 0.0, 0.4, 0.8])}, VECTORS[items])
    adapted = adapt(items, values, mask, curved)
    before, after = ((curved(head, VECTORS[items]) - values).square().sum() for head in (COMMON, adapted))
    assert after < before


def test_the_step_can_be_differentiated_for_an_outer_loop():
    items, values, mask = support(5)
    weight = COMMON["weight"].clone().requires_grad_()
    head = {"bias": COMMON["bias"], "weight": weight}
    adapted = LEARNER.adapt(linear, head, Shots(VECTORS[items], values, mask))
    (slope,) = torch.autograd.grad(adapted["weight"].sum(), weight)
    assert torch.isfinite(slope).all()
    assert slope.any()
