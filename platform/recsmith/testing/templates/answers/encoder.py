"""Known answers."""

import numpy as np
from scipy import sparse

from recsmith.contracts.data import Column
from recsmith.testing.templates.encoder import MyName, MyNameConfig


def test_a_misspelt_text_is_nearer_than_another_one_and_no_text_is_zeros() -> None:
    titles = ["running shoes", "runing shoe", "blue hat", None, "Running  Shoes"]
    texts = Column("title", "text", np.array(titles, object))
    encoder = MyName(MyNameConfig())
    encoder.fit(texts)
    features = encoder.features(texts)
    cosines = sparse.csr_array(features @ features.T).toarray()[0]
    np.testing.assert_allclose(cosines[[0, 2, 3, 4]], [1.0, 0.0, 0.0, 1.0], atol=1e-6)
    assert 0.5 < cosines[1] < 1.0
