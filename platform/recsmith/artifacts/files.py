"""Plain data in files: JSON, and named arrays as safetensors. Reading runs no code and believes nothing."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors
import safetensors.numpy

from recsmith.contracts.data import State
from recsmith.contracts.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt

LARGEST_JSON = 256 * 2**20  # bytes
REMEDY = "Restore the artifact from a copy, or save it anew."


def digest(path: Path) -> str:
    """The sha256 of a file."""
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def write_json(path: Path, value: object) -> None:
    """Write JSON in which every float reads back as the same float.

    Raises:
        ArtifactError: a value is no JSON (or NaN or infinite), or the text is too large to be read again.
    """
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, indent=1)
    except (TypeError, ValueError) as error:
        advice = "A state's values must be finite JSON; arrays go to `arrays`."
        raise ArtifactError(f"{path.name}: {error}. {advice}") from error
    content = (text + "\n").encode()
    if len(content) > LARGEST_JSON:
        raise ArtifactError(f"{path.name}: {len(content):,} bytes of JSON, at most {LARGEST_JSON:,} are read.")
    path.write_bytes(content)


def read_json(path: Path) -> Any:
    """Read strict JSON: no NaN, no key twice.

    Raises:
        ArtifactError: the file is too large or is no such JSON.
    """
    if path.stat().st_size > LARGEST_JSON:
        raise ArtifactError(f"{path}: larger than {LARGEST_JSON:,} bytes, which no artifact's JSON is. {REMEDY}")
    try:
        text = path.read_bytes().decode()
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{path}: no valid JSON ({error}). {REMEDY}") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    named = dict(pairs)
    if len(named) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return named


def write_arrays(path: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write named arrays of numbers, C-contiguous and little-endian.

    Raises:
        ArtifactError: an array holds no numbers, or one that is NaN or infinite.
    """
    plain = {}
    for name, values in arrays.items():
        array = np.array(values, order="C")  # keeps a scalar array's shape, unlike ascontiguousarray
        if array.dtype.kind not in "biuf":
            advice = "Arrays hold numbers, text goes to `values`."
            raise ArtifactError(f"{path.name}: array {name!r} is of {array.dtype}. {advice}")
        if not np.isfinite(array).all():
            raise ArtifactError(f"{path.name}: array {name!r} holds NaN or infinity; train with a lower learning rate.")
        plain[name] = array.astype(array.dtype.newbyteorder("<"), copy=False)
    safetensors.numpy.save_file(plain, path)


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Read named arrays.

    Raises:
        ArtifactError: the file is no safetensors file, or an array holds NaN or infinity.
    """
    try:
        arrays: dict[str, npt.NDArray[Any]] = safetensors.numpy.load_file(path)
    except (safetensors.SafetensorError, KeyError, ValueError, TypeError, OSError) as error:
        raise ArtifactError(f"{path}: no readable safetensors file ({error}). {REMEDY}") from error
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise ArtifactError(f"{path}: array {name!r} holds NaN or infinity. {REMEDY}")
    return arrays


def write_state(folder: Path, about: Mapping[str, Any], state: State) -> None:
    """Write a state as config.json (its values, beside what `about` says) and weights.safetensors."""
    folder.mkdir(parents=True)
    write_json(folder / "config.json", {**about, "values": dict(state.values)})
    write_arrays(folder / "weights.safetensors", state.arrays)


def read_state(folder: Path) -> tuple[dict[str, Any], State]:
    """What `write_state` wrote: config.json as it stands, and the state.

    Raises:
        ArtifactError: a file is missing or cannot be read.
    """
    for name in ("config.json", "weights.safetensors"):
        if not (folder / name).is_file():
            raise ArtifactError(f"{folder / name}: is missing. {REMEDY}")
    about = read_json(folder / "config.json")
    if not isinstance(about, dict) or not isinstance(about.get("values"), dict):
        raise ArtifactError(f"{folder / 'config.json'}: no object with the object `values`. {REMEDY}")
    return about, State(about["values"], read_arrays(folder / "weights.safetensors"))
