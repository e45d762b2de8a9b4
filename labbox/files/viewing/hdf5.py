"""What pyfive leaves out of HDF5: links to other files, LZF, and a name for all that cannot be shown.

In the confined child.
"""

from __future__ import annotations

import math
import struct
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, BinaryIO, Final

_EXTERNAL: Final = 64
_STORED_ELSEWHERE: Final = 7  # the message that names other files (HDF5 File Format Specification, IV.A.2.h)
_NO_ADDRESS: Final = (0, 0xFFFFFFFFFFFFFFFF)
_VIRTUAL: Final = 3  # the layout class
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
    if other := _other_files(member):
        return f"its values are in the file {other}"
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


def holds_references(member: Any) -> bool:
    """Whether its values are references to groups and arrays."""
    return _is(member.id._ptype, "P5ReferenceType")  # noqa: SLF001 - as above


def references(member: Any, file: BinaryIO) -> Callable[[int, int], Any] | None:
    """What reads rows of a plain array of references; None for other arrays, which pyfive reads."""
    import numpy
    from pyfive.core import Reference

    held = member.id
    if not holds_references(member) or held.layout_class != 1:
        return None
    row = math.prod(member.shape[1:])

    def part(low: int, high: int) -> Any:
        file.seek(held.data_offset + 8 * low * row)
        found = numpy.empty((high - low) * row, dtype=object)
        found[:] = [Reference(each) for (each,) in struct.iter_unpack("<Q", file.read(8 * len(found)))]
        return found.reshape(high - low, *member.shape[1:])

    return part


def named(group: Any, value: Any) -> Any:
    """A value with what its references lead to in their places, however deep they stand in it."""
    import numpy

    if _is(value, "Reference"):
        return _target(group, value)
    if isinstance(value, numpy.void) and value.dtype.hasobject:
        return tuple(named(group, each) for each in value.item())
    if isinstance(value, numpy.ndarray) and value.dtype.hasobject:
        found = numpy.empty(value.shape, dtype=object)
        for place in numpy.ndindex(value.shape):
            found[place] = named(group, value[place])
        return found
    return value


def _target(group: Any, value: Any) -> str:
    if value.address_of_reference in _NO_ADDRESS:
        return "→ nothing"
    try:
        return f"→ {group.file[value].name}"
    except Exception:  # noqa: BLE001 - to a part of an array, or to what is damaged
        return "→ a part of an array, or nothing that is there"


def _other_files(member: Any) -> str:
    """The first file that holds the values of an array which are not in this one; empty where they are."""
    from pyfive.misc_low_level import Heap

    held = member.file._get_dataobjects(member._dataobjects.offset)  # noqa: SLF001 - as above
    found = held.find_msg_type(_STORED_ELSEWHERE)
    if not found:
        return ""
    at = found[0]["offset_to_message"]
    try:
        address, name = struct.unpack_from("<2Q", held.msg_data, at + 8)
        raw = Heap(held.fh, address).get_object_name(name)
    except (AssertionError, ValueError, struct.error):
        return "whose name is damaged"
    return str(raw.decode("utf-8", "replace"))


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
