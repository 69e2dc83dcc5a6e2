"""Texts as moods: the scores are VADER's own, and what says nothing is not taken for a mood."""

import sys

import numpy as np
import pytest

from recsmith.contracts.config import Config
from recsmith.contracts.data import Column
from recsmith.contracts.errors import PluginError
from recsmith.contracts.plugins import BuildContext
from recsmith_plugins.encoders.sentiment import build

vader = pytest.importorskip("vaderSentiment.vaderSentiment", reason="needs the extra text")

NEGATIVE, NEUTRAL, POSITIVE, COMPOUND = range(4)


def scores(*values):
    array = np.empty(len(values), object)
    array[:] = values
    return encoder().features(Column("review", "text", array))


def encoder():
    return build(Config(), BuildContext(0, 0, np.zeros(0, np.int64), 0, "cpu", lambda _kind, _choice: None))


def test_the_examples_of_the_method_have_the_scores_that_it_states_for_them():
    found = scores("VADER is smart, handsome, and funny.", "VADER is not smart, handsome, nor funny.", "Today SUX!")
    stated = [[0.0, 0.254, 0.746, 0.8316], [0.646, 0.354, 0.0, -0.7424], [0.779, 0.221, 0.0, -0.5461]]
    np.testing.assert_array_equal(found, np.array(stated, np.float32))


def test_every_score_is_that_of_the_analyzer_under_its_name():
    text = "The plot was good, but the characters are uncompelling and the dialog is not great."
    expected = vader.SentimentIntensityAnalyzer().polarity_scores(text)
    found = dict(zip(encoder().labels(), scores(text)[0].tolist(), strict=True))
    short = {"neg": "negative", "neu": "neutral", "pos": "positive", "compound": "compound"}
    assert found == {short[name]: np.float32(value) for name, value in expected.items()}


def test_a_text_without_a_mood_is_neutral_and_one_that_is_missing_or_blank_is_zeros():
    found = scores("a red hat", None, "", " \n", "a red hat")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [[0, 1, 0, 0], [0] * 4, [0] * 4, [0] * 4, [0, 1, 0, 0]])


def test_praise_and_blame_stand_on_either_side():
    praise, blame = scores("a wonderful, happy film!", "a terrible, boring film!")
    assert praise[COMPOUND] > 0.5
    assert blame[COMPOUND] < -0.5
    assert praise[NEGATIVE] == blame[POSITIVE] == 0


def test_a_missing_package_is_named_with_the_extra_that_brings_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "vaderSentiment", None)
    with pytest.raises(PluginError, match=r"needs the package vaderSentiment: pip install 'recsmith\[text\]'"):
        scores("a red hat")
