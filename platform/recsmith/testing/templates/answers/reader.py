"""Known answers."""

from pathlib import Path

import pytest

from recsmith.contracts.errors import DataError
from recsmith.testing.templates.reader import MyName, MyNameConfig


def test_values_stay_as_they_are_and_a_torn_line_is_told_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"user": "007", "item": 3}\n\n{"user": "ann", "item": 4}\n{"user": "bo', encoding="utf-8")
    table = MyName(MyNameConfig(torn_end=True)).read(path).interactions
    assert table.to_dict("list") == {"user": ["007", "ann"], "item": [3, 4]}
    with pytest.raises(DataError, match="line 4 is no JSON"):
        MyName(MyNameConfig()).read(path)
