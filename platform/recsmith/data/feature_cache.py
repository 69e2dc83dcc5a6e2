"""Encoded features on disk: one safetensors file for each encoder, its settings and the content that it read.

A file is written beside its place and moved there, so readers see a whole one or none; its metadata hold a digest of
the arrays, and an entry that does not match it is dropped and made anew. Hits and misses are logged.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
from scipy import sparse

from recsmith.contracts.data import State

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt

    from recsmith.contracts.data import FeatureMatrix

logger = logging.getLogger(__name__)

STATE = "state."


@dataclass(frozen=True, eq=False)
class Entry:
    """The features of one column and the state of the encoder that made them."""

    features: FeatureMatrix
    state: State


def place(cache: Path, key: str) -> Path:
    """The file of an entry."""
    return cache / f"{key}.safetensors"


def keep(cache: Path, key: str, entry: Entry) -> None:
    """Write an entry, whole or not at all."""
    from safetensors.numpy import save_file

    arrays = {f"{STATE}{name}": np.ascontiguousarray(array) for name, array in entry.state.arrays.items()}
    facts: dict[str, Any] = {"values": entry.state.values, "shape": None}
    if isinstance(entry.features, np.ndarray):
        arrays["dense"] = np.ascontiguousarray(entry.features)
    else:
        facts["shape"] = list(entry.features.shape)
        for part in ("data", "indices", "indptr"):
            arrays[part] = np.ascontiguousarray(getattr(entry.features, part))
    cache.mkdir(parents=True, exist_ok=True)
    draft = cache / f".{key}.{uuid4().hex}"
    text = json.dumps(facts)
    save_file(arrays, draft, metadata={"facts": text, "digest": _digest(arrays, text)})
    draft.replace(place(cache, key))
    logger.info("feature cache: wrote %s", key)


def recall(cache: Path, key: str) -> Entry | None:
    """The entry of that key, or None where there is none that is whole."""
    from safetensors import SafetensorError, safe_open

    path = place(cache, key)
    if not path.exists():
        logger.info("feature cache: miss %s", key)
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError, ValueError) as error:
        logger.warning("feature cache: %s is damaged (%s), made anew", path, error)
        return None
    text = metadata.get("facts", "")
    if metadata.get("digest") != _digest(arrays, text):
        logger.warning("feature cache: %s does not match its digest, made anew", path)
        return None
    logger.info("feature cache: hit %s", key)
    return _entry(arrays, json.loads(text))


def _entry(arrays: Mapping[str, npt.NDArray[Any]], facts: Mapping[str, Any]) -> Entry:
    state = {name.removeprefix(STATE): array for name, array in arrays.items() if name.startswith(STATE)}
    features: FeatureMatrix
    if facts["shape"] is None:
        features = arrays["dense"]
    else:
        parts = (arrays["data"], arrays["indices"], arrays["indptr"])
        features = sparse.csr_array(parts, shape=tuple(facts["shape"]))
    return Entry(features, State(facts["values"], state))


def _digest(arrays: Mapping[str, npt.NDArray[Any]], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
