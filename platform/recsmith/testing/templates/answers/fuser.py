"""Known answers."""

import numpy as np

from recsmith.testing.templates.fuser import MyName, MyNameConfig


def test_columns_have_an_equal_say_and_a_missing_one_has_none() -> None:
    size = np.array([[3.0, 4.0], [0.0, 5.0]], np.float32)
    colour = np.array([[100.0], [0.0]], np.float32)  # unknown for the second item
    fused = MyName(MyNameConfig(damping=1.0)).fuse({"size": size, "colour": colour})
    half = np.sqrt(0.5)
    np.testing.assert_allclose(np.asarray(fused), [[half, 0.6 * half, 0.8 * half], [0.0, 0.0, 1.0]], rtol=1e-6)
