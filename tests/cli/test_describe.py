"""`recsmith data describe`: what it writes and prints, and how it refuses."""

from __future__ import annotations

import json

import pytest


@pytest.fixture(autouse=True)
def empty_folder(monkeypatch, tmp_path):
    """Where the program runs."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


@pytest.fixture
def log(tmp_path):
    folder = tmp_path / "log"
    folder.mkdir()
    rows = [f"u{user},i{(user + step) % 6},{user + 9 * step},so good a thing" for user in range(5) for step in range(4)]
    (folder / "interactions.csv").write_text("\n".join(["user_id,item_id,timestamp,review", *rows, ""]))
    items = [f"i{item},A title of thing {item},{'odd' if item % 2 else 'even'}" for item in range(6)]
    (folder / "items.csv").write_text("\n".join(["item_id,title,kind", *items, ""]))
    return folder


def test_a_page_is_written_and_a_short_table_printed(recsmith, log, tmp_path):
    table = recsmith("data", "describe", log, "-o", tmp_path / "page.html").stdout
    assert ["items", "6"] in [line.split() for line in table.splitlines()]
    assert "20 (66.6667% of all pairs)" in table
    html = (tmp_path / "page.html").read_text()
    assert html.startswith("<!doctype html>")
    assert "A title of thing 3" in html
    assert list((tmp_path / "here").iterdir()) == []


def test_without_a_name_the_page_is_description_html_and_json_alone_writes_none(recsmith, log, tmp_path):
    facts = json.loads(recsmith("data", "describe", log, "--json").stdout)
    assert (facts["interactions"]["users"], facts["interactions"]["items"]) == (5, 6)
    assert len(facts["item_map"]["points"]) == 6
    assert list((tmp_path / "here").iterdir()) == []
    recsmith("data", "describe", log)
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["description.html"]


def test_texts_of_the_log_are_described_where_the_plan_names_them(recsmith, log):
    assert [text["column"] for text in json.loads(recsmith("data", "describe", log, "--json").stdout)["texts"]] == [
        "title"
    ]
    more = recsmith("data", "describe", log, "--json", "--set", "data.columns.context.review=text").stdout
    review = json.loads(more)["texts"][1]
    assert (review["table"], review["column"], review["texts"], review["words"]["median"]) == (
        "interactions",
        "review",
        20,
        4,
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere.csv"], "nowhere.csv: there is no such file"),
        (["LOG", "-o", "page.txt"], "page.txt: the page is HTML. Name it like page.html."),
        (["LOG", "-o", "interactions.csv"], "interactions.csv: the page is HTML"),
        (["LOG", "-o", "folder.html"], "folder.html: a folder is there. Name a file."),
        (["LOG", "-o", "/proc/nowhere/page.html"], "page.html: it cannot be written"),
        (["LOG", "--set", "data.columns.user=who"], "no user column 'who'"),
        (["LOG", "--set", "data"], "write it as name=value"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(recsmith, log, tmp_path, arguments, sentence):
    (tmp_path / "here" / "folder.html").mkdir()
    done = recsmith("data", "describe", *(log if word == "LOG" else word for word in arguments), code=2)
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["folder.html"]


def test_an_old_page_stays_where_the_log_cannot_be_read(recsmith, log, tmp_path):
    (tmp_path / "page.html").write_text("old")
    (log / "interactions.csv").write_text("user_id,item_id\n")
    refused = recsmith("data", "describe", log, "-o", tmp_path / "page.html", code=2)
    assert "there is a header but no row below it" in refused.stderr
    assert (tmp_path / "page.html").read_text() == "old"
