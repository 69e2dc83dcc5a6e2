"""The report of a log is plain data with the right counts."""

import json

import pandas as pd

from recsmith.contracts.plugins import RawTables
from recsmith.data.check import check


def test_the_report_counts_what_is_there(load, plan):
    log = pd.DataFrame(
        {"user": list("aaabbcd"), "item": list("xyxxyxy"), "ts": [0, 86400, 86401, 1, 2, 3, 4], "shop": list("mnmnmnm")}
    )
    items = pd.DataFrame({"item": ["x", "y", "z"], "price": [1.0, None, 3.0]})
    report = check(load(RawTables(log, items=items)), plan())
    assert (report.users, report.items, report.interactions) == (4, 2, 7)
    assert report.density == 6 / 8
    assert (report.first, report.last) == ("1970-01-01T00:00:00+00:00", "1970-01-02T00:00:01+00:00")
    assert report.short_users == 3
    assert report.repeat_share == 1.0
    roles = {(column.table, column.name): (column.role, round(column.missing, 2)) for column in report.columns}
    assert roles["items", "price"] == ("number", 0.33)
    assert roles["interactions", "shop"][0].startswith("category (not used")
    assert len(report.warnings) == 2
    assert report.warnings[0].startswith("100% of the interactions to be predicted repeat")
    assert "mask_seen: false" in report.warnings[0]
    assert json.loads(report.model_dump_json())["users"] == 4
    assert ("users", "4") in report.rows()


def test_warnings_follow_from_the_plan(load, plan, frame):
    dataset = load(frame[["user_id", "item_id"]])
    assert check(dataset, plan(mask_seen=False)).warnings == ()
    assert "rating" in check(dataset, plan(scenario="rating", mask_seen=False)).warnings[0]
    assert "item table" in check(dataset, plan(scenario="cold_item", mask_seen=False)).warnings[0]
