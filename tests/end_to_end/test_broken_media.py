"""300 items with broken, huge, empty, mislabelled and missing media do not stop a study; each is counted and named."""

from __future__ import annotations

import csv
import json
import struct
import zlib

import numpy as np
import pytest
from typer.testing import CliRunner

from recsmith.cli.main import app
from recsmith.testing.media import group_picture, group_sound

pytest.importorskip("PIL", reason="needs the extra [image]")
pytest.importorskip("soundfile", reason="needs the extra [audio]")

ITEMS, GROUPS, USERS = 300, 4, 60
BOMB = 200_000  # pixels a side: 40 gigapixels, in a file of a few hundred bytes


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def bomb():
    header = struct.pack(">IIBBBBB", BOMB, BOMB, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(10_000)))
        + chunk(b"IEND", b"")
    )


def endless_sound():
    """A WAV file whose header tells of four gigabytes, and that ends there."""
    form = struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 16)
    head = b"RIFF" + struct.pack("<I", 2**32 - 9) + b"WAVEfmt " + struct.pack("<I", 16)
    return head + form + b"data" + struct.pack("<I", 2**32 - 60)


PICTURES = {
    "empty": lambda _: b"",
    "truncated": lambda whole: whole[: len(whole) // 2],
    "noise": lambda _: bytes(range(256)) * 20,
    "text": lambda _: b"this is no picture" * 50,
    "page": lambda _: b"<!doctype html><title>404</title>",
    "bomb": lambda _: bomb(),
    "gone": lambda _: None,
}
SOUNDS = {
    "empty": lambda _: b"",
    "header": lambda whole: whole[:44],
    "noise": lambda _: bytes(range(256)) * 20,
    "text": lambda _: b"this is no sound" * 50,
    "picture": lambda _: group_picture(0, GROUPS, np.random.default_rng(0)),
    "endless": lambda _: endless_sound(),
    "gone": lambda _: None,
}


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """Item i is of group i % 4; every third item's picture, and every third item's sound, is broken in some way."""
    folder, rng = tmp_path_factory.mktemp("log"), np.random.default_rng(0)
    rows, broken = [], {"picture": {}, "sound": {}}
    for item in range(ITEMS):
        picture, sound = group_picture(item % GROUPS, GROUPS, rng), group_sound(item % GROUPS, rng)
        names = {"picture": f"p{item}.png", "sound": f"s{item}.wav"}
        for kind, content, faults, at in (("picture", picture, PICTURES, 0), ("sound", sound, SOUNDS, 1)):
            if item % 3 == at:
                fault = list(faults)[item // 3 % len(faults)]
                broken[kind][names[kind]] = fault
                written = faults[fault](content)
            else:
                written = content
            if written is not None:
                (folder / names[kind]).write_bytes(written)
        rows.append([f"i{item}", names["picture"], names["sound"]])
    with (folder / "items.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["item_id", "picture", "sound"], *rows])
    taken = [
        [f"u{user}", f"i{item}", 1_600_000_000 + 60 * place]
        for user in range(USERS)
        for place, item in enumerate(rng.permutation(np.arange(user % GROUPS, ITEMS, GROUPS))[:15])
    ]
    with (folder / "interactions.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["user_id", "item_id", "timestamp"], *taken])
    return folder, broken


def run(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def test_a_study_goes_on_and_names_every_file_that_it_could_not_read(log, tmp_path):
    folder, broken = log
    run(
        "study", "run", folder, "-o", tmp_path / "study", "--scenario", "cold_item", "--trials", 2, "--quiet",
        "--set", "engine=inline", "--set", "model=[content_knn]",
        "--set", "model.content_knn.content.encoders.picture=image_statistics",
        "--set", "model.content_knn.content.encoders.sound=audio_statistics",
    )  # fmt: skip
    shown = json.loads(run("study", "show", tmp_path / "study", "--json"))
    assert shown["counts"]["complete"] == 2
    assert shown["test"]["ndcg@10"]["value"] > 0.1
    for column, names in broken.items():
        told = {path.rpartition("/")[2]: why for path, why in shown["unreadable"][column].items()}
        assert set(told) == set(names)
        assert all(told.values())
        bombs = {told[name] for name, fault in names.items() if fault == "bomb"}
        assert all("pixels" in why for why in bombs)
    text = run("study", "show", tmp_path / "study")
    assert f"picture: {len(broken['picture'])} files could not be read" in text


def test_the_check_counts_files_that_are_not_there(log):
    folder, broken = log
    found = json.loads(run("data", "check", folder, "--json"))
    gone = sum(fault == "gone" for fault in broken["picture"].values())
    assert any(f"'picture': {gone} of {ITEMS} files are not there" in note for note in found["notes"])
