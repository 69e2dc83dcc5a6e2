"""Encoded features on disk: one safetensors file for each encoder, its settings and the content that it read.

Trials, workers and later studies of one folder share it. A file is written beside its place and moved there, so readers
see a whole one or none; its metadata hold a digest of the arrays, and an entry that does not match it is dropped and
made anew. Whoever makes an entry holds a lock on it: others wait and read. Over its limit the entries that were not
used for longest are removed. Every use is a line in `uses.jsonl`, so that anybody can count.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

import numpy as np
from filelock import FileLock
from scipy import sparse

from recsmith.contracts.data import State

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import numpy.typing as npt

    from recsmith.contracts.data import FeatureMatrix

logger = logging.getLogger(__name__)

STATE = "state."
ENDING = ".safetensors"
USES = "uses.jsonl"


@dataclass(frozen=True, eq=False)
class Entry:
    """Features, and the state of the encoder that made them; with `names`, those of single values."""

    features: FeatureMatrix  # [R, F]
    state: State
    names: npt.NDArray[np.uint8] | None = None  # [R, 16] a digest of the value behind each row


@dataclass(frozen=True)
class Use:
    """One time that features were asked for."""

    table: str  # "items" or "users"
    column: str
    encoder: str
    key: str
    event: Literal["encoded", "read"]
    rows: int  # those encoded, or those read
    seconds: float
    faults: Mapping[str, str] = field(default_factory=dict)  # path -> why, of files that could not be encoded


@dataclass(frozen=True)
class FeatureCache:
    """A folder of entries, made when the first is written; all entries together take at most `limit` bytes."""

    folder: Path
    limit: int = 10 * 10**9

    def place(self, key: str) -> Path:
        """The file of an entry."""
        return self.folder / f"{key}{ENDING}"

    @contextmanager
    def only_one(self, key: str) -> Iterator[None]:
        """Nobody else makes this entry meanwhile; the lock ends with the process, however that ends."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / f".{key}.lock"):
            yield

    def keep(self, key: str, entry: Entry) -> None:
        """Write an entry, whole or not at all, and make room for it."""
        from safetensors.numpy import save_file

        arrays = {f"{STATE}{name}": np.ascontiguousarray(array) for name, array in entry.state.arrays.items()}
        facts: dict[str, Any] = {"values": entry.state.values, "shape": None}
        if entry.names is not None:
            arrays["names"] = entry.names
        if isinstance(entry.features, np.ndarray):
            arrays["dense"] = np.ascontiguousarray(entry.features)
        else:
            facts["shape"] = list(entry.features.shape)
            for part in ("data", "indices", "indptr"):
                arrays[part] = np.ascontiguousarray(getattr(entry.features, part))
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = self.folder / f".{key}.{uuid4().hex}"
        text = json.dumps(facts)
        try:
            save_file(arrays, draft, metadata={"facts": text, "digest": _digest(arrays, text)})
            draft.replace(self.place(key))
        finally:
            draft.unlink(missing_ok=True)
        self._make_room(self.place(key))

    def recall(self, key: str) -> Entry | None:
        """The entry of that key, or None where there is none that is whole."""
        from safetensors import SafetensorError, safe_open

        path = self.place(key)
        if not path.exists():
            return None
        try:
            with safe_open(path, framework="numpy") as file:
                metadata = file.metadata() or {}
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            os.utime(path)  # so the entries that nobody uses are the oldest
        except (SafetensorError, OSError, ValueError) as error:
            logger.warning("feature cache: %s is damaged (%s), made anew", path, error)
            return None
        text = metadata.get("facts", "")
        if metadata.get("digest") != _digest(arrays, text):
            logger.warning("feature cache: %s does not match its digest, made anew", path)
            return None
        return _entry(arrays, json.loads(text))

    def note(self, use: Use) -> None:
        """Write a use down."""
        self.folder.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"at": round(time.time(), 3), **asdict(use)}) + "\n"
        with (self.folder / USES).open("ab", buffering=0) as file:  # one short write at the end: lines stay whole
            file.write(line.encode())

    def uses(self) -> list[Use]:
        """Every use so far, in order; a line that a crash cut short is passed over."""
        found: list[Use] = []
        path = self.folder / USES
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            with suppress(ValueError, TypeError):
                fields = json.loads(line)
                del fields["at"]
                found.append(Use(**fields))
        return found

    def faults(self) -> dict[str, dict[str, str]]:
        """The files that could not be read, by column: path -> why."""
        found: dict[str, dict[str, str]] = {}
        for use in self.uses():
            if use.faults:
                found.setdefault(use.column, {}).update(use.faults)
        return found

    def _make_room(self, newest: Path) -> None:
        """Remove the entries that were not used for longest until the limit holds; the newest one stays."""
        entries = []
        for path in self.folder.glob(f"*{ENDING}"):
            with suppress(FileNotFoundError):  # another process made room too
                status = path.stat()
                entries.append((status.st_mtime_ns, status.st_size, path))
        size = sum(each for _, each, _ in entries)
        for _, each, path in sorted(entries):
            if size <= self.limit:
                return
            if path != newest:
                path.unlink(missing_ok=True)
                size -= each
                logger.info("feature cache: removed %s to hold %d bytes", path, self.limit)


def _entry(arrays: Mapping[str, npt.NDArray[Any]], facts: Mapping[str, Any]) -> Entry:
    state = {name.removeprefix(STATE): array for name, array in arrays.items() if name.startswith(STATE)}
    features: FeatureMatrix
    if facts["shape"] is None:
        features = arrays["dense"]
    else:
        parts = (arrays["data"], arrays["indices"], arrays["indptr"])
        features = sparse.csr_array(parts, shape=tuple(facts["shape"]))
    return Entry(features, State(facts["values"], state), arrays.get("names"))


def _digest(arrays: Mapping[str, npt.NDArray[Any]], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
