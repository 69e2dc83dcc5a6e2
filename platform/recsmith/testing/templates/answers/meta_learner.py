"""Known answers."""

import torch

from recsmith.contracts.tasks import Shots
from recsmith.testing.templates.meta_learner import MyName, MyNameConfig


def test_one_step_solves_a_head_of_one_number() -> None:
    inputs = torch.tensor([[1.0], [2.0], [7.0]])  # one number for each item
    support = Shots(inputs, values=torch.tensor([1.0, 1.0, 0.0]), weight=torch.tensor([1.0, 1.0, 0.0]))
    learner = MyName(MyNameConfig(steps=1, l2=1.0))
    adapted = learner.adapt(lambda head, given: given @ head["output"], {"output": torch.tensor([0.0])}, support)
    # Ridge regression: sum of x y over (sum of x^2 + l2) = (1 + 2) / (1 + 4 + 1); the third place is padding.
    torch.testing.assert_close(adapted["output"], torch.tensor([0.5]))
