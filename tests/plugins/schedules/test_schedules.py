from __future__ import annotations

import json
import math

import pytest
import torch

from recsmith_plugins.schedules.constant import Constant
from recsmith_plugins.schedules.cosine import Cosine, CosineConfig
from recsmith_plugins.schedules.one_cycle import OneCycle, OneCycleConfig
from recsmith_plugins.schedules.plateau import Plateau, PlateauConfig
from recsmith_plugins.schedules.step import Step, StepConfig


def test_constant_is_one():
    assert Constant().factor(0.3) == 1.0


def test_cosine_rises_to_one_and_falls_to_its_floor():
    schedule = Cosine(CosineConfig(warmup=0.2, floor=0.1))
    assert [schedule.factor(p) for p in (0.0, 0.1, 0.2)] == pytest.approx([0.0, 0.5, 1.0])
    assert schedule.factor(0.6) == pytest.approx(0.55)
    assert schedule.factor(1.0) == pytest.approx(0.1)


def test_cosine_without_warm_up_starts_at_one():
    assert Cosine(CosineConfig(warmup=0.0)).factor(0.0) == 1.0


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")
def test_one_cycle_equals_torchs():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    oracle = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=101, cycle_momentum=False)
    schedule = OneCycle(OneCycleConfig())
    for step in range(101):
        # torch ends its rise one step early: at 0.3 x 101 - 1 of 100 steps
        rise = (0.3 * 101 - 1) / 100
        schedule.rise = rise
        assert schedule.factor(step / 100) == pytest.approx(oracle.get_last_lr()[0], abs=1e-9)
        if step < 100:
            oracle.step()


def test_step_drops_evenly():
    schedule = Step(StepConfig(drops=2, gamma=0.5))
    assert [schedule.factor(p) for p in (0.0, 0.3, 0.34, 0.7, 1.0)] == [1.0, 1.0, 0.5, 0.25, 0.25]


def test_plateau_equals_torchs():
    scores = [0.1, 0.2, 0.2, 0.1, 0.15, 0.3, 0.2, 0.2, 0.2, 0.2, 0.2]
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    oracle = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode="max", factor=0.5, patience=1, threshold=0.0)
    schedule = Plateau(PlateauConfig(gamma=0.5, wait=2))  # torch drops once `patience` is exceeded
    for score in scores:
        oracle.step(score)
        schedule.observe(score)
        assert schedule.factor(0.5) == optimizer.param_groups[0]["lr"]
    assert schedule.factor(0.5) < 0.5


def test_plateau_goes_on_from_its_state_through_json():
    one, two = Plateau(PlateauConfig(wait=2)), Plateau(PlateauConfig(wait=2))
    two.load(json.loads(json.dumps(one.state(), allow_nan=False)))
    assert two.best == -math.inf
    for score in (0.5, 0.4):
        one.observe(score)
    two.load(json.loads(json.dumps(one.state(), allow_nan=False)))
    two.observe(0.3)
    assert two.factor(0.0) == 0.5
