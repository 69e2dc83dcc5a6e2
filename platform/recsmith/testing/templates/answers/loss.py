"""Known answers."""

import torch

from recsmith.contracts.training import Draw
from recsmith.testing.templates.loss import MyName, MyNameConfig


class NoSampler:
    """The loss itself draws nothing."""

    def draw(self, positives: torch.Tensor, count: int, *, shared: bool, generator: torch.Generator) -> Draw:
        """Never asked."""
        raise NotImplementedError


def test_only_what_comes_nearer_than_the_margin_costs() -> None:
    loss = MyName(MyNameConfig(margin=1.0, negatives=3), NoSampler())
    values = loss(torch.tensor([2.0, 2.0]), torch.tensor([[0.0, 1.0, -torch.inf], [1.5, 4.0, 0.0]]), None)
    torch.testing.assert_close(values, torch.tensor([0.0, (0.5 + 3.0) / 3]))
