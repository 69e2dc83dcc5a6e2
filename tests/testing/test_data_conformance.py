"""Splitters, readers and exporters: each promise can be broken."""

import json
import shutil
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import pytest

from recsmith.contracts.config import Config
from recsmith.contracts.data import TEST, TEST_SUPPORT, TRAIN, VALID, VALID_SUPPORT
from recsmith.contracts.domains import Categorical, Int
from recsmith.contracts.errors import ArtifactError, DataError
from recsmith.contracts.plugins import ExporterSpec, RawTables, ReaderSpec, SplitterSpec
from recsmith.testing.conformance.suite import CHECKS


def named(value):
    return getattr(value, "__name__", None) if isinstance(value, type) else None


class Plain(Config):
    pass


# --- splitters --------------------------------------------------------------------------------------------------------


class Last:
    """A sound splitter: each user's last interaction is the test, the one before it the validation."""

    def __init__(self, config, _context):
        self.config = config

    def split(self, log, seed):
        from_end = log.user_counts[log.user] - 1 - self.places(log, seed)
        labels = np.full(len(log.user), TRAIN, np.int8)
        labels[from_end == 1], labels[from_end == 0] = VALID, TEST
        return labels

    def places(self, log, seed):
        return log.places(None if log.ordered else seed)


class Wide(Last):
    def split(self, log, seed):
        return super().split(log, seed).astype(np.int64)


class Seventh(Last):
    def split(self, log, seed):
        labels = super().split(log, seed)
        labels[log.places() == 0] = 7
        return labels


class Unseeded(Last):
    def places(self, log, _seed):
        return log.places(int(np.random.default_rng().integers(1 << 30)))


class Clearing(Last):
    def split(self, log, seed):
        log.item[:] = 0
        return super().split(log, seed)


class First(Last):
    def places(self, log, seed):
        return log.user_counts[log.user] - 1 - super().places(log, seed)


class OfTwo(Last):
    def split(self, log, seed):
        log.user_counts[1]
        return super().split(log, seed)


class ByTime(Last):
    def split(self, log, seed):
        log.timestamp.max()
        return super().split(log, seed)


class Dense(Last):
    def split(self, log, seed):
        np.zeros(len(np.unique(log.user)))[log.user]
        return super().split(log, seed)


class HowMany(Config):
    test: Annotated[int, Int(1, 50)] = 1


class LastFew(Last):
    def split(self, log, seed):
        labels = super().split(log, seed)
        labels[log.user_counts[log.user] - log.places() <= self.config.test] = TEST
        return labels


class NewUsers(Last):
    """A sound user-cold splitter: every fourth user by chance is new, their first two interactions known."""

    def split(self, log, seed):
        drawn = np.random.default_rng(seed).permutation(len(log.user_counts))[log.user] % 8
        known = self.known(log)
        labels = np.full(len(log.user), TRAIN, np.int8)
        for group, label, support in ((0, TEST, TEST_SUPPORT), (1, VALID, VALID_SUPPORT)):
            labels[drawn == group] = label
            labels[(drawn == group) & known] = support
        return labels

    def known(self, log):
        return log.places() < 2


class NewUsersOfWhomNothingIsKnown(NewUsers):
    def known(self, log):
        return np.zeros(len(log.user), bool)


class NewUsersOfWhomTheEndIsKnown(NewUsers):
    def known(self, log):
        return log.user_counts[log.user] - log.places() <= 2


class NotSoNewUsers(NewUsers):
    def split(self, log, seed):
        labels = super().split(log, seed)
        labels[labels == TEST_SUPPORT] = TRAIN
        labels[labels == VALID_SUPPORT] = TRAIN
        return labels


class JudgedTwice(NewUsers):
    def split(self, log, seed):
        labels = super().split(log, seed)
        first = int(log.user[labels == TEST][0]) if (labels == TEST).any() else -1
        labels[(labels == TEST_SUPPORT) & (log.user == first)] = VALID_SUPPORT
        return labels


def splitter(build, scenario="next_item", config=Plain, **changes):
    scenarios = frozenset({scenario})
    return replace(SplitterSpec(name="last", api_version=1, config=config, build=build, scenarios=scenarios), **changes)


BROKEN_SPLITTERS = [
    (splitter(Last, scenarios=frozenset({"next_item", "tomorrow"})), "scenarios_exist", "names tomorrow"),
    (splitter(Wide), "labels_are_known_int8", "the labels are int64, not int8"),
    (splitter(Seventh), "labels_are_known_int8", "a label is [7]"),
    (splitter(Unseeded), "same_seed_same_split", "with the same seed it labels"),
    (
        splitter(NewUsersOfWhomNothingIsKnown, "cold_user"),
        "leaves_training_validation_and_test",
        "in the scenario cold_user: log: split last: nobody can be judged on valid",
    ),
    (splitter(Clearing), "log_is_not_written_to", "the log was changed"),
    (splitter(NotSoNewUsers, "cold_user"), "new_users_are_new", "users of the validation are also learnt from"),
    (splitter(JudgedTwice, "cold_user"), "new_users_are_new", "1 users of the test are also learnt from"),
    (splitter(Last, "cold_item"), "new_items_are_new", "items of the validation are also learnt from"),
    (splitter(First), "training_is_never_later_than_what_follows", "TRAIN is later than VALID for 60 of 60 users"),
    (
        splitter(NewUsersOfWhomTheEndIsKnown, "cold_user"),
        "support_comes_before_what_follows",
        "VALID_SUPPORT is later than VALID",
    ),
    (splitter(OfTwo), "tiny_logs_are_split_or_refused", "a log of one interaction: it raised IndexError"),
    (splitter(ByTime), "logs_without_time_are_split", "with an order: it raised AttributeError"),
    (splitter(Dense), "codes_may_have_gaps", "two of three user codes"),
    (splitter(LastFew, config=HowMany), "every_corner_splits", "splitter.last.test=50: nothing is left to learn from"),
]


@pytest.mark.parametrize(
    "spec", [splitter(Last), splitter(NewUsers, "cold_user"), splitter(ByTime, needs=frozenset({"timestamps"}))]
)
def test_a_sound_splitter_breaks_nothing(broken, spec):
    assert broken("splitters", spec) == {}


@pytest.mark.parametrize(("spec", "check", "sentence"), BROKEN_SPLITTERS)
def test_a_broken_splitter_breaks_the_promise_that_is_about_it(broken, spec, check, sentence):
    found = broken("splitters", spec)
    assert list(found) == [check]
    assert sentence in found[check]


def test_every_promise_of_splitters_can_be_broken():
    assert {check for _, check, _ in BROKEN_SPLITTERS} == {check.__name__ for check in CHECKS["splitters"]}


# --- readers ----------------------------------------------------------------------------------------------------------


class Lines:
    """A sound reader: one JSON object a line."""

    faults: tuple[type[Exception], ...] = (OSError, UnicodeDecodeError, json.JSONDecodeError)

    def __init__(self, config, _context):
        self.config = config

    def read(self, source):
        try:
            text = self.text(Path(source))
            rows = [json.loads(line) for line in text.splitlines()]
        except self.faults as error:
            raise DataError(f"{source}: cannot be read: {error}.") from error
        return self.tables(source, rows)

    def text(self, path):
        return path.read_text(encoding="utf-8")

    def tables(self, source, rows):
        if not rows:
            raise DataError(f"{source}: the file is empty.")
        return RawTables(pd.DataFrame(rows))


class NoMissing(Lines):
    faults = (UnicodeDecodeError, json.JSONDecodeError, IsADirectoryError)


class NoFolder(Lines):
    def text(self, path):
        if path.is_dir():
            raise DataError("give a file.")
        return super().text(path)


class Generous(Lines):
    def tables(self, _source, rows):
        return RawTables(pd.DataFrame(rows))


class OnlyText(Lines):
    faults = (OSError, json.JSONDecodeError)


class OnlyWhole(Lines):
    faults = (OSError, UnicodeDecodeError)


class OfNumbers(Lines):
    def tables(self, source, rows):
        tables = super().tables(source, rows)
        return replace(tables, interactions=tables.interactions.map(as_number))


def as_number(value):
    return int(value) if isinstance(value, str) and value.isdigit() else value


class WithoutTheLast(Lines):
    def tables(self, source, rows):
        return super().tables(source, rows[:-1] or rows)


class Frames(Lines):
    def tables(self, source, rows):
        return super().tables(source, rows).interactions


class Indexing(Lines):
    def tables(self, source, rows):
        Path(source).with_suffix(".index").write_text(str(len(rows)))
        return super().tables(source, rows)


class Shuffling(Lines):
    turns = 0

    def tables(self, source, rows):
        self.turns += 1
        return super().tables(source, rows[self.turns :] + rows[: self.turns])


class Engines(Config):
    engine: Annotated[str, Categorical(("plain", "fast"))] = "plain"


class WithEngine(Lines):
    def text(self, path):
        if self.config.engine == "fast":
            raise ImportError("no module named fast")
        return super().text(path)


def ends(*endings):
    return lambda source: isinstance(source, (str, Path)) and str(source).endswith(endings)


def example(folder, interactions):
    path = folder / "log.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in interactions.to_dict("records")))
    return path


def reader(build=Lines, config=Plain, **changes):
    spec = ReaderSpec(name="lines", api_version=1, config=config, build=build, matches=ends(".jsonl"), example=example)
    return replace(spec, **changes)


BROKEN_READERS = [
    (
        reader(matches=lambda source: (str(source) if isinstance(source, Path) else source).endswith(".jsonl")),
        "matches_answers_for_anything",
        "it matches a number: it raised AttributeError",
    ),
    (
        reader(matches=lambda source: True if ends(".jsonl")(source) else None),
        "matches_answers_for_anything",
        "it answers None, not True or False",
    ),
    (reader(NoMissing), "refuses_a_missing_source", "reading 'missing': it raised FileNotFoundError"),
    (reader(NoFolder), "refuses_an_empty_source", "reading 'hollow': the error does not name it: give a file."),
    (reader(Generous), "refuses_an_empty_source", "reading 'empty' raised nothing"),
    (reader(OnlyText), "refuses_garbage", "reading 'garbage': it raised UnicodeDecodeError"),
    (reader(OnlyWhole), "half_a_source_is_read_or_refused", "the second half is missing: it raised JSONDecodeError"),
    (
        reader(matches=lambda source: isinstance(source, str) and source.endswith(".jsonl")),
        "matches_its_example",
        "says no to its own example",
    ),
    (reader(matches=ends(".jsonl", ".csv")), "no_other_reader_matches", "any.csv is matched by it and by table"),
    (reader(OfNumbers), "interactions_come_back", "'007'"),
    (reader(WithoutTheLast), "interactions_come_back", "14 interactions came back of 15"),
    (reader(Indexing), "reading_leaves_the_source_alone", "reading changed example/log.index"),
    (reader(Shuffling), "reading_again_gives_the_same", "asked again, it gives other interactions"),
    (reader(WithEngine, Engines), "every_corner_reads", "reader.lines.engine=fast: it raised ImportError"),
]


@pytest.mark.parametrize("spec", [reader(), reader(example=None)])
def test_a_sound_reader_breaks_nothing(broken, spec):
    assert broken("readers", spec) == {}


@pytest.mark.parametrize(("spec", "check", "sentence"), BROKEN_READERS)
def test_a_broken_reader_breaks_the_promise_that_is_about_it(broken, spec, check, sentence):
    found = broken("readers", spec)
    assert list(found) == [check]
    assert sentence in found[check]


def test_every_promise_of_readers_can_be_broken():
    assert {check for _, check, _ in BROKEN_READERS} == {check.__name__ for check in CHECKS["readers"]}


def test_a_reader_that_gives_a_table_instead_of_tables_is_told_so(broken):
    assert broken("readers", reader(Frames))["interactions_come_back"] == "it gives a DataFrame, not RawTables"


def test_a_recbole_file_may_be_named_in_capitals(built_in, tmp_path):
    (tmp_path / "LOG.INTER").write_text("user_id:token\titem_id:token\nu\ti\n")
    spec, registry = built_in.registry.spec("readers", "recbole"), built_in.registry
    tables = spec.build(spec.config(), registry.context()).read(tmp_path / "LOG.INTER")
    assert spec.matches(tmp_path / "LOG.INTER")
    assert tables.interactions.to_dict("list") == {"user_id": ["u"], "item_id": ["i"]}


# --- exporters --------------------------------------------------------------------------------------------------------


class OneFile:
    """A sound exporter: every file that the manifest lists, one after the other."""

    def __init__(self, config, _context):
        self.config = config

    def export(self, artifact, destination):
        self.refuse(destination)
        destination.parent.mkdir(parents=True, exist_ok=True)
        staging = self.staging(destination)
        try:
            with staging.open("wb") as target:
                for name in self.names(artifact):
                    target.write((artifact / name).read_bytes())
            staging.replace(destination)
        except OSError:
            self.tidy(staging)
            raise
        return destination

    def refuse(self, destination):
        if destination.exists():
            raise ArtifactError(f"{destination}: exists already.")

    def staging(self, destination):
        return destination.with_name(f".{destination.name}.new")

    def tidy(self, staging):
        staging.unlink()

    def names(self, artifact):
        return sorted(json.loads((artifact / "manifest.json").read_bytes())["files"])


class Elsewhere(OneFile):
    def export(self, artifact, destination):
        return super().export(artifact, destination).rename(destination.with_suffix(".bin"))


class WithLog(OneFile):
    def export(self, artifact, destination):
        written = super().export(artifact, destination)
        destination.with_suffix(".log").write_text("done")
        return written


class HalfCopied(OneFile):
    def export(self, artifact, destination):
        super().export(artifact, destination).unlink()
        return shutil.copytree(artifact / "members", destination)


class Marking(OneFile):
    def export(self, artifact, destination):
        (artifact / "exported").touch()
        return super().export(artifact, destination)


class Overwriting(OneFile):
    def refuse(self, destination):
        if destination.is_dir():
            raise ArtifactError(f"{destination}: exists already.")


class Untidy(OneFile):
    def tidy(self, staging):
        pass


class WhatIsThere(OneFile):
    def names(self, artifact):
        return [name for name in super().names(artifact) if (artifact / name).exists()]


class Counting(OneFile):
    numbers = count()

    def names(self, artifact):
        names = super().names(artifact)
        return names[next(self.numbers) % 2 :]


class Levels(Config):
    level: Annotated[int, Int(0, 9)] = 6


class Packing(OneFile):
    def names(self, artifact):
        return sorted(super().names(artifact), key=lambda name: len(name) / self.config.level)


def exporter(build, config=Plain):
    return ExporterSpec(name="one_file", api_version=1, config=config, build=build)


BROKEN_EXPORTERS = [
    (Elsewhere, Plain, "artifact_is_written_to_the_destination", "out.bin"),
    (WithLog, Plain, "artifact_is_written_to_the_destination", "there is ['out.log']"),
    (HalfCopied, Plain, "artifact_is_written_to_the_destination", "it raised ArtifactError"),
    (Marking, Plain, "artifact_is_left_as_it_was", "1 files of the artifact differ: exported"),
    (Overwriting, Plain, "occupied_place_is_refused", "where the file stands it exported all the same"),
    (Untidy, Plain, "failed_export_leaves_nothing", "beside the destination of an export that failed differ: .out.new"),
    (WhatIsThere, Plain, "failed_export_leaves_nothing", "where the artifact has lost its members it raised nothing"),
    (Counting, Plain, "equal_artifacts_give_equal_exports", "of a second export differ"),
    (Packing, Levels, "every_corner_exports", "exporter.one_file.level=0: it raised ZeroDivisionError"),
]


def test_a_sound_exporter_breaks_nothing(broken):
    assert broken("exporters", exporter(OneFile)) == {}


@pytest.mark.parametrize(("build", "config", "check", "sentence"), BROKEN_EXPORTERS, ids=named)
def test_a_broken_exporter_breaks_the_promise_that_is_about_it(broken, build, config, check, sentence):
    found = broken("exporters", exporter(build, config))
    assert list(found) == [check]
    assert sentence in found[check]


def test_every_promise_of_exporters_can_be_broken():
    assert {check for _, _, check, _ in BROKEN_EXPORTERS} == {check.__name__ for check in CHECKS["exporters"]}
