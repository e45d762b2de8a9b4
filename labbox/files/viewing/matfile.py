"""MATLAB data of versions 5 to 7: variables, structures and cells as a tree, arrays in windows.

After MathWorks' “MAT-File Format”. In the confined child. A variable is read, or unpacked, as a whole and up
to a limit; what it holds is pointed at by numbers: ``2/0/1`` is the second field of the first of variable 2.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple

from labbox.errors import LabboxError
from labbox.text import format_bytes

if TYPE_CHECKING:
    import numpy

MOST_BYTES: Final = 256 << 20  # of one variable
MOST_DEPTH: Final = 32
MOST_VARIABLES: Final = 20_000
_HEADER: Final = 128
_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCT, _OBJECT, _CHAR, _SPARSE = 1, 2, 3, 4, 5
_TYPES: Final = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8", 16: "u1",
    17: "u2", 18: "u4",
}  # fmt: skip
_CLASSES: Final = {
    6: "float64", 7: "float32", 8: "int8", 9: "uint8", 10: "int16", 11: "uint16", 12: "int32", 13: "uint32",
    14: "int64", 15: "uint64",
}  # fmt: skip
_OTHERS: Final = {16: "function", 17: "object of a class"}


class Matrix(NamedTuple):
    """A variable, or a part of one; `at`: where in `data` its values begin."""

    data: memoryview
    order: str  # of bytes: "<" or ">"
    name: str
    kind: int
    flags: int
    dims: tuple[int, ...]
    at: int

    @property
    def numeric(self) -> bool:
        """Whether it can be shown in a window."""
        return self.kind in _CLASSES or self.kind in (_SPARSE, _CHAR)

    @property
    def what(self) -> str:
        """In words."""
        shape = "×".join(map(str, self.dims))
        if self.kind == _CHAR:
            return f"text: {text_of(self)}" if len(self.dims) == 2 and self.dims[0] <= 1 else f"text {shape}"
        if self.kind == _CELL:
            return f"cells {shape}"
        if self.kind in (_STRUCT, _OBJECT):
            return f"structure {shape}" if self.kind == _STRUCT else f"object {shape}"
        if self.kind == _SPARSE:
            return f"sparse {shape}"
        if self.kind in _CLASSES:
            name = "logical" if self.flags & 2 else _CLASSES[self.kind]
            return f"{'complex ' if self.flags & 8 else ''}{name} {shape}"
        return f"{_OTHERS.get(self.kind, f'class {self.kind}')}, cannot be shown"


def variables(file: BinaryIO) -> Iterator[Matrix | str]:
    """Each variable of a file, or why it cannot be read."""
    file.seek(0)
    head = file.read(_HEADER)
    order = {b"IM": "<", b"MI": ">"}.get(head[126:128])
    if order is None:
        raise ValueError("its header is damaged")
    at = _HEADER
    for _ in range(MOST_VARIABLES):
        file.seek(at)
        tag = file.read(8)
        if len(tag) < 8:
            return
        kind, size = struct.unpack(f"{order}II", tag)
        at += 8 + size
        if size > MOST_BYTES:
            yield f"cannot be shown: it has {format_bytes(size)}"
            continue
        try:
            data = _unpacked(file.read(size), order) if kind == _COMPRESSED else memoryview(file.read(size))
            yield matrix(data, order)
        except LabboxError as error:
            yield error.message
        except (ValueError, struct.error, zlib.error, IndexError, TypeError) as error:
            yield f"cannot be read: {error}"


def _unpacked(packed: bytes, order: str) -> memoryview:
    unpacking = zlib.decompressobj()
    data = unpacking.decompress(packed, MOST_BYTES)
    if unpacking.unconsumed_tail:
        raise LabboxError("limit", f"cannot be shown: it unpacks to more than {format_bytes(MOST_BYTES)}", "")
    kind, size = struct.unpack_from(f"{order}II", data)
    if kind != _MATRIX:
        raise ValueError("it is no variable")
    return memoryview(data)[8 : 8 + size]


def element(data: memoryview, at: int, order: str) -> tuple[int, memoryview, int]:
    """The type and bytes of a data element, and where the next one begins."""
    (word,) = struct.unpack_from(f"{order}I", data, at)
    if word >> 16:  # a small one: four bytes at most, in its own tag
        return word & 0xFFFF, data[at + 4 : at + 4 + min(4, word >> 16)], at + 8
    (size,) = struct.unpack_from(f"{order}I", data, at + 4)
    if at + 8 + size > len(data):
        raise ValueError("it is cut off")
    return word, data[at + 8 : at + 8 + size], at + 8 + size + -size % 8


def matrix(data: memoryview, order: str) -> Matrix:
    """What a matrix element says of itself."""
    if not len(data):
        return Matrix(data, order, "", 6, 0, (0, 0), 0)
    _, flags, at = element(data, 0, order)
    (word,) = struct.unpack_from(f"{order}I", flags)
    if word & 0xFF == 17:  # it has no dimensions
        _, name, at = element(data, at, order)
        return Matrix(data, order, bytes(name).decode("latin-1"), 17, 0, (1, 1), at)
    _, dims, at = element(data, at, order)
    _, name, at = element(data, at, order)
    sizes = struct.unpack(f"{order}{len(dims) // 4}i", dims)
    if any(size < 0 for size in sizes) or len(sizes) < 2:
        raise ValueError("its dimensions are damaged")
    return Matrix(data, order, bytes(name).decode("latin-1"), word & 0xFF, word >> 8 & 0xFF, sizes, at)


def members(held: Matrix) -> Iterator[tuple[str, Matrix]]:
    """What a structure or cells hold, with names."""
    at, count = held.at, math.prod(held.dims)
    names = [""]
    if held.kind == _OBJECT:
        _, _class, at = element(held.data, at, held.order)
    if held.kind in (_STRUCT, _OBJECT):
        _, width, at = element(held.data, at, held.order)
        _, raw, at = element(held.data, at, held.order)
        (each,) = struct.unpack_from(f"{held.order}i", width)
        if each < 1:
            return
        names = [
            bytes(raw[start : start + each]).split(b"\0")[0].decode("latin-1")
            for start in range(0, len(raw), each)
        ]
    elif held.kind != _CELL:
        return
    for number in range(min(count, MOST_VARIABLES)):
        for name in names:
            if at + 8 > len(held.data):
                return
            _, data, at = element(held.data, at, held.order)
            where = f"({number + 1})" if held.kind != _CELL and count > 1 else ""
            yield (f"{{{number + 1}}}" if held.kind == _CELL else f"{where}{name}"), matrix(data, held.order)


def found(file: BinaryIO, path: str) -> Matrix:
    """The array at a path of numbers."""
    first, *rest = map(int, path.split("/"))
    held = next(one for number, one in enumerate(variables(file)) if number == first)
    for step in rest:
        if isinstance(held, str):
            break
        held = next(one for number, (_, one) in enumerate(members(held)) if number == step)
    if isinstance(held, str):
        raise LabboxError("invalid", held, "")
    return held


def text_of(held: Matrix) -> str:
    """A line of text."""
    return "".join(_letters(held))


def _letters(held: Matrix) -> str:
    kind, data, _ = element(held.data, held.at, held.order)
    codec = {4: "utf-16", 17: "utf-16", 18: "utf-32", 16: "utf-8"}.get(kind, "latin-1")
    if codec in ("utf-16", "utf-32"):
        codec += "-le" if held.order == "<" else "-be"
    return bytes(data).decode(codec, "replace")


def array(held: Matrix) -> numpy.ndarray[Any, Any]:
    """The values; LabboxError for a sparse one that is too large when it is written out."""
    import numpy

    if held.kind == _CHAR:
        letters = _letters(held)
        rows = held.dims[0]
        return numpy.array([letters[row::rows] for row in range(rows)] if rows else [], dtype=object)
    if held.kind == _SPARSE:
        return _written_out(held)
    values, at = _numbers(held, held.at)
    made: numpy.ndarray[Any, Any] = values.astype(numpy.dtype(_CLASSES[held.kind]))
    if held.flags & 8:
        made = made + 1j * _numbers(held, at)[0]
    elif held.flags & 2:
        made = made.astype(bool)
    return made.reshape(held.dims, order="F")


def _numbers(held: Matrix, at: int) -> tuple[numpy.ndarray[Any, Any], int]:
    import numpy

    kind, data, at = element(held.data, at, held.order)
    return numpy.frombuffer(data, numpy.dtype(_TYPES[kind]).newbyteorder(held.order)), at  # type: ignore[arg-type]


def _written_out(held: Matrix) -> numpy.ndarray[Any, Any]:
    import numpy

    if math.prod(held.dims) > 4_000_000:
        raise LabboxError(
            "limit", "cannot show a sparse array that is so large", "load it with MATLAB or SciPy"
        )
    rows, at = _numbers(held, held.at)
    starts, at = _numbers(held, at)
    values, _ = _numbers(held, at)
    made = numpy.zeros(held.dims, values.dtype)
    columns = numpy.repeat(numpy.arange(held.dims[1]), numpy.diff(starts[: held.dims[1] + 1]))
    made[rows[: len(columns)], columns] = values[: len(columns)]
    return made
