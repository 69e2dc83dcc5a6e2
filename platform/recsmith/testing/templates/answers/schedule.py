"""Known answers."""

import numpy as np

from recsmith.testing.templates.schedule import MyName, MyNameConfig


def test_it_rises_to_the_base_rate_and_falls_along_a_line() -> None:
    schedule = MyName(MyNameConfig(warmup=0.2, power=1.0, floor=0.1))
    factors = [schedule.factor(progress) for progress in (0.0, 0.1, 0.2, 0.6, 1.0)]
    np.testing.assert_allclose(factors, [0.1, 0.55, 1.0, 0.55, 0.1])
