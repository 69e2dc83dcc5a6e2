"""Reads the arrays of a TensorFlow checkpoint (a "tensor bundle") without TensorFlow.

A bundle is an index, `X.index`, and shards of raw numbers, `X.data-00000-of-00001`. The index is a sorted table as
LevelDB writes it: blocks of keys and values, then a footer that says where the block lies that lists the blocks. The
value of a key, which is an array's name, is a `BundleEntryProto`: type, shape, shard, offset, size and checksum.

Sources: https://github.com/google/leveldb/blob/main/doc/table_format.md and, of TensorFlow, core/protobuf/
tensor_bundle.proto and core/util/tensor_bundle/tensor_bundle.cc.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from recsmith.contracts.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from recsmith.contracts.data import FloatArray

FOOTER = 48  # bytes: two handles, padding, and the mark
MARK = 0xDB4775248B80FB57.to_bytes(8, "little")
TRAILER = 5  # bytes after each block: how it is packed, and its checksum
FLOAT32 = 1  # TensorFlow's number of the type
VARINT, FIXED64, DELIMITED, FIXED32 = 0, 1, 2, 5  # how a field of a protocol buffer is written
MASK = 0xFFFFFFFF


class _BundleError(Exception):
    """What is wrong with a bundle, as a clause."""


@dataclass(frozen=True)
class Entry:
    """Where the numbers of one array are."""

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int  # bytes
    checksum: int


def read_bundle(index: Path, names: Collection[str]) -> dict[str, FloatArray]:
    """The arrays `names`, float32 in their own shapes, of the bundle whose index is the file `index`.

    Raises:
        PluginError: a file is missing or damaged, or an array is not there or of another type than float32.
    """
    try:
        header, entries = _entries(index.read_bytes())
        shards = dict(_fields(header)).get(1, 1)
        return {name: _array(index, shards, name, entries.get(name)) for name in names}
    except (_BundleError, OSError, IndexError, ValueError) as reason:
        raise PluginError(f"the checkpoint {index} cannot be read: {reason}.") from reason


def _array(index: Path, shards: int, name: str, entry: Entry | None) -> FloatArray:
    if entry is None:
        raise _BundleError(f"it holds no array {name!r}")
    data = index.with_name(f"{index.name.removesuffix('.index')}.data-{entry.shard:05}-of-{shards:05}")
    with data.open("rb") as shard:
        shard.seek(entry.offset)
        content = shard.read(entry.size)
    if entry.dtype != FLOAT32:
        raise _BundleError(f"{name!r} is of type {entry.dtype}, not float32")
    if len(content) != entry.size or entry.size != 4 * int(np.prod(entry.shape, dtype=np.int64)):
        raise _BundleError(f"{name!r} has {len(content)} bytes, which is not the shape {entry.shape}")
    if _masked_checksum(content) != entry.checksum:
        raise _BundleError(f"{name!r} is damaged: its checksum does not match")
    return np.frombuffer(content, "<f4").reshape(entry.shape).astype(np.float32)


# --- the table --------------------------------------------------------------------------------------------------------


def _entries(index: bytes) -> tuple[bytes, dict[str, Entry]]:
    """The bundle's header, and where each array is."""
    if len(index) < FOOTER or index[-8:] != MARK:
        raise _BundleError("its index does not end as one of TensorFlow")
    place = _handle(index[-FOOTER:], 0)[1]  # the first handle is that of a block that is empty
    where, _ = _handle(index[-FOOTER:], place)
    found: dict[bytes, bytes] = {}
    for _, handle in _block(index, *where):
        found |= dict(_block(index, *_handle(handle, 0)[0]))
    header = found.pop(b"", b"")
    if dict(_fields(header)).get(2, 0):
        raise _BundleError("its numbers are big-endian")
    return header, {name.decode(): _entry(value) for name, value in found.items()}


def _block(index: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of one block; a key is written as what differs from the one before."""
    content, trailer = index[offset : offset + size], index[offset + size : offset + size + TRAILER]
    if len(trailer) != TRAILER or trailer[0]:
        raise _BundleError("a block of its index is cut off or compressed")
    if _masked_checksum(content + trailer[:1]) != int.from_bytes(trailer[1:], "little"):
        raise _BundleError("its index is damaged: a checksum does not match")
    end = size - 4 * (1 + int.from_bytes(content[-4:], "little"))  # there the restart points begin
    place, key = 0, b""
    while place < end:
        shared, place = _varint(content, place)
        own, place = _varint(content, place)
        length, place = _varint(content, place)
        key = key[:shared] + content[place : place + own]
        yield key, content[place + own : place + own + length]
        place += own + length


def _handle(content: bytes, place: int) -> tuple[tuple[int, int], int]:
    """Offset and size of a block, and the place behind them."""
    offset, place = _varint(content, place)
    size, place = _varint(content, place)
    return (offset, size), place


# --- protocol buffers -------------------------------------------------------------------------------------------------


def _entry(value: bytes) -> Entry:
    fields = dict(_fields(value))
    dimensions = [dict(_fields(dimension)) for number, dimension in _fields(fields.get(2, b"")) if number == 2]  # noqa: PLR2004
    shape = tuple(dimension.get(1, 0) for dimension in dimensions)
    dtype, shard, offset, size, checksum = (fields.get(number, 0) for number in (1, 3, 4, 5, 6))
    return Entry(dtype, shape, shard, offset, size, checksum)


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Number and value of each field: an int, or the bytes of a string or message."""
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            value, place = _varint(message, place)
            yield number, value
        elif kind in (FIXED32, FIXED64):
            width = 4 if kind == FIXED32 else 8
            yield number, int.from_bytes(message[place : place + width], "little")
            place += width
        elif kind == DELIMITED:
            length, place = _varint(message, place)
            yield number, message[place : place + length]
            place += length
        else:
            raise _BundleError("its index holds what is no protocol buffer")


def _varint(content: bytes, place: int) -> tuple[int, int]:
    """A number of seven bits a byte, and the place behind it."""
    value = shift = 0
    while True:
        byte = content[place]
        value, shift, place = value | (byte & 0x7F) << shift, shift + 7, place + 1
        if byte < 0x80:  # noqa: PLR2004 - the bit that says that more follow
            return value, place


# --- checksums --------------------------------------------------------------------------------------------------------


def _table() -> list[int]:
    """CRC-32C (Castagnoli, reflected) of every byte."""
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ 0x82F63B78 * (value & 1)  # noqa: PLW2901
        table.append(value)
    return table


def _masked_checksum(content: bytes, table: list[int] = _table()) -> int:  # noqa: B008 - made once, never written to
    """CRC-32C of the content, turned and shifted as LevelDB does."""
    crc = MASK
    for byte in content:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= MASK
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & MASK
