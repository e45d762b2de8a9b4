"""What pyfive leaves out of HDF5: links to other files, LZF, and a name for all that cannot be shown.

In the confined child.
"""

from __future__ import annotations

import math
import struct
import sys
from types import ModuleType
from typing import Any, BinaryIO, Final

_EXTERNAL: Final = 64
_VIRTUAL: Final = 3  # the layout class
_MOST_REFERENCES: Final = 100_000
_FILTERS: Final = {4: "szip", 5: "n-bit", 6: "scale-offset", 32001: "Blosc", 32004: "LZ4",
                   32008: "bitshuffle", 32013: "ZFP", 32015: "Zstandard", 32026: "Blosc 2"}  # fmt: skip
_SHOWN: Final = frozenset({1, 2, 3, 32000})  # deflate, shuffle, fletcher32, LZF


class Elsewhere(str):
    """The target of a link that leads out of the file, in words."""

    __slots__ = ()


def teach() -> None:
    """Let pyfive pass links that it does not know, and unpack LZF."""
    from pyfive.dataobjects import DataObjects

    DataObjects._decode_link_msg = staticmethod(link)  # noqa: SLF001 - its own fails for the whole group
    lzf = ModuleType("lzf")
    lzf.decompress = lambda data, _length: unpacked(bytes(data))  # type: ignore[attr-defined]
    sys.modules["lzf"] = lzf


def link(data: bytes, offset: int) -> tuple[int | None, tuple[str, int | str]]:
    """A link message (HDF5 File Format Specification, IV.A.2.g): its order, name and target."""
    version, flags = struct.unpack_from("<BB", data, offset)
    if version != 1:
        raise ValueError(f"a link of version {version}")
    offset += 2
    kind = order = charset = 0
    if flags & 8:
        kind, offset = data[offset], offset + 1
    if flags & 4:
        (order,) = struct.unpack_from("<Q", data, offset)
        offset += 8
    if flags & 16:
        charset, offset = data[offset], offset + 1
    (size,) = struct.unpack_from(("<B", "<H", "<I", "<Q")[flags & 3], data, offset)
    offset += 1 << (flags & 3)
    encoding = "utf-8" if charset else "latin-1"
    name = data[offset : offset + size].decode(encoding, "surrogateescape")
    offset += size
    target: int | str
    if kind == 0:
        (target,) = struct.unpack_from("<Q", data, offset)
    else:
        (length,) = struct.unpack_from("<H", data, offset)
        value = bytes(data[offset + 2 : offset + 2 + length])
        if kind == 1:
            target = value.decode(encoding, "surrogateescape")
        elif kind == _EXTERNAL:
            file, _, path = value[1:].rstrip(b"\0").partition(b"\0")
            target = Elsewhere(
                f"in the file {file.decode('utf-8', 'replace')}: {path.decode('utf-8', 'replace')}"
            )
        else:
            target = Elsewhere(f"of a kind of its own ({kind})")
    return (order if flags & 4 else None), (name, target)


def unpacked(data: bytes) -> bytes:
    """Bytes that LZF packed; ValueError where they are damaged."""
    out, at, end = bytearray(), 0, len(data)
    while at < end:
        control = data[at]
        at += 1
        if control < 32:
            out += data[at : at + control + 1]
            at += control + 1
            continue
        length = control >> 5
        if length == 7:
            length, at = length + data[at], at + 1
        start = len(out) - ((control & 31) << 8 | data[at]) - 1
        at += 1
        length += 2
        if start < 0:
            raise ValueError("a packed piece points before the beginning")
        if start + length <= len(out):
            out += out[start : start + length]
        else:
            for place in range(start, start + length):
                out.append(out[place])
    return bytes(out)


def hindrance(member: Any) -> str:
    """Why the values of an array cannot be shown; empty where they can."""
    held = member.id
    kind, layout = held._ptype, held.layout_class  # noqa: SLF001 - nothing else tells
    if _is(kind, "P5SequenceType"):
        return "lists of any length"
    if _is(kind, "P5ReferenceType") and kind.size != 8:
        return "references to parts of arrays"
    if _holds_pointers(kind):
        return "records with texts or lists of any length"
    if layout == _VIRTUAL:
        return "virtual: its values are in other arrays or files"
    unknown = [one for one in _filters(member) if one not in _SHOWN]
    if unknown:
        return f"packed by {_FILTERS.get(unknown[0], f'filter {unknown[0]}')}"
    return ""


def about(group: Any, name: str) -> tuple[Any, tuple[int, ...]] | None:
    """Type and shape of a member that cannot be opened as an array; None where even that is not to be had."""
    try:
        objects = group.file._get_dataobjects(group._links[name])  # noqa: SLF001 - as above
        return objects.ptype.dtype, tuple(objects.shape)
    except Exception:  # noqa: BLE001 - it was damaged before
        return None


def why(error: BaseException) -> str:
    """What a failure to open a member means, in words."""
    text = str(error)
    if isinstance(error, AssertionError) or "layout class 4" in text:
        return "stored as newer HDF5 libraries do it"
    if "NoneType" in text:
        return "without values"
    return text or type(error).__name__


def references(member: Any, file: BinaryIO) -> list[Any] | None:
    """The object references of a plain array; None for other arrays, which pyfive reads."""
    from pyfive.core import Reference

    held = member.id
    if not _is(held._ptype, "P5ReferenceType") or held.layout_class != 1:  # noqa: SLF001 - as above
        return None
    count = min(math.prod(member.shape), _MOST_REFERENCES)
    file.seek(held.data_offset)
    return [Reference(address) for (address,) in struct.iter_unpack("<Q", file.read(8 * count))]


def reference(group: Any, value: Any) -> str:
    """What an object reference leads to."""
    try:
        return f"→ {group.file[value].name}"
    except Exception:  # noqa: BLE001 - to nothing, or to what is damaged
        return "→ nothing"


def _filters(member: Any) -> list[int]:
    pipeline = getattr(member.id, "filter_pipeline", None) or ()
    return [int(one["filter_id"]) for one in pipeline]


def _is(kind: Any, *names: str) -> bool:
    return type(kind).__name__ in names


def _holds_pointers(kind: Any) -> bool:
    if not _is(kind, "P5CompoundType"):
        return False
    fields = [field.ptype for field in kind.fields]
    return any(
        _is(each, "P5VlenStringType", "P5SequenceType", "P5ReferenceType") or _holds_pointers(each)
        for each in fields
    )
