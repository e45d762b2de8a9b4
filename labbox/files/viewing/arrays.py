"""Trees of HDF5 files (NetCDF-4, MATLAB 7.3 too), NumPy files, and windows into their arrays.

Runs in a confined child.
"""

from __future__ import annotations

import math
import os
import warnings
import zipfile
from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TypeVar, cast

from labbox.errors import LabboxError
from labbox.files.viewing import apart, hdf5, matfile
from labbox.files.viewing.formats import View
from labbox.files.viewing.source import Source
from labbox.model import Value
from labbox.text import format_bytes, visible_line

if TYPE_CHECKING:
    import numpy

_T = TypeVar("_T")
MOST_NODES: Final = 20_000
MOST_DEPTH: Final = 64
MOST_ATTRIBUTES: Final = 50
MOST_COLUMNS: Final = 200
CELL: Final = 80
_LIMITS: Final = apart.Limits(seconds=30, cpu_seconds=25, memory=768 << 20)
_WHOLE: Final = 256 << 20  # bytes of an array of a .npz that are unpacked to look at it


class Node(Value):
    """One group, array or attribute of a file; `path` finds an array again."""

    path: str
    depth: int
    name: str
    what: str  # "group", or "float64 (100, 3)"; of an attribute its value
    array: bool = False
    attribute: bool = False


class Window(Value):
    """A part of an array as cells: further dimensions are counted through in the rows."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]  # the first cell says which row of the array it is
    total: int  # rows of the whole array


async def tree(source: Source, view: View) -> tuple[Node, ...]:
    """What is in the file, each group before its members."""
    return await _run(source, read_tree, (view.value,), tuple[Node, ...])


async def window(source: Source, view: View, path: str, first: int, count: int) -> Window:
    """Rows `first` and following of an array."""
    return await _run(source, read_window, (view.value, path, first, count), Window)


async def _run(source: Source, work: apart.Work, arguments: tuple[object, ...], result: type[_T]) -> _T:
    return await apart.run(source, work, arguments, result, limits=_LIMITS, imports=_imports)


def _imports() -> None:
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # it would start threads when it is loaded
    import numpy.lib.format
    import numpy.ma
    import pyfive.h5d

    # For its log it looks its own version up at each read, in a folder that the child cannot open.
    pyfive.h5d.version = lambda _name: pyfive.__version__
    hdf5.teach()
    del numpy


def read_tree(file: BinaryIO, _tell: Callable[[object], None], view: str) -> list[Node]:
    """In the child: what `tree` returns."""
    if view == View.HDF5:
        return list(islice(_hdf5_nodes(_hdf5(file), "", 0, set()), MOST_NODES))
    if view == View.MATLAB:
        return list(islice(_matlab_nodes(file), MOST_NODES))
    if view == View.ARRAY:
        shape, _order, kind = _npy_header(file)
        return [Node(path="", depth=0, name="array", what=_what(kind, shape), array=True)]
    with zipfile.ZipFile(file) as held:
        found = []
        for member in held.infolist()[:MOST_NODES]:
            with held.open(member) as inside:
                shape, _order, kind = _npy_header(cast(BinaryIO, inside))
            name = member.filename.removesuffix(".npy")
            found.append(
                Node(path=member.filename, depth=0, name=_line(name), what=_what(kind, shape), array=True)
            )
        return found


def _matlab_nodes(file: BinaryIO) -> Iterator[Node]:
    for number, one in enumerate(matfile.variables(file)):
        if isinstance(one, str):
            yield Node(path=str(number), depth=0, name=f"variable {number + 1}", what=_line(one))
        else:
            yield from _matlab_node(one, one.name, str(number), 0)


def _matlab_node(held: matfile.Matrix, name: str, path: str, depth: int) -> Iterator[Node]:
    inner = [] if depth >= matfile.MOST_DEPTH else list(islice(matfile.members(held), MOST_NODES))
    sign = "/" if inner else ""
    yield Node(path=path, depth=depth, name=_line(name) + sign, what=_line(held.what), array=held.numeric)
    for number, (below, member) in enumerate(inner):
        yield from _matlab_node(member, below, f"{path}/{number}", depth + 1)


def _hdf5(file: BinaryIO) -> Any:
    import pyfive

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pyfive.File(file)


def _hdf5_nodes(group: Any, path: str, depth: int, above: set[int]) -> Iterator[Node]:
    import pyfive

    yield from _attributes(group, path, depth)
    for name in list(group):
        below = f"{path}/{name}"
        target = group._links[name]  # noqa: SLF001 - a link is named, and never followed out of the file
        if isinstance(target, str):
            way = str(target) if isinstance(target, hdf5.Elsewhere) else f"to {target}"
            yield Node(path=below, depth=depth, name=_line(name), what=f"link {_line(way)}")
            continue
        try:
            member = group[name]
        except Exception as error:  # noqa: BLE001 - one damaged member does not hide the others
            known = hdf5.about(group, name)
            what = f"{_what(*known)}, " if known is not None else ""
            what += f"cannot be shown: {_line(hdf5.why(error))}"
            yield Node(path=below, depth=depth, name=_line(name), what=what)
            continue
        if isinstance(member, pyfive.Datatype):
            yield Node(path=below, depth=depth, name=_line(name), what=f"type {_line(str(member.dtype))}")
            continue
        if isinstance(member, pyfive.Group):
            yield Node(path=below, depth=depth, name=_line(name) + "/", what="group")
            address = hash(getattr(member, "_dataobjects", None) and member._dataobjects.offset)  # noqa: SLF001 - it tells a group that holds itself
            if depth < MOST_DEPTH and address not in above:
                yield from _hdf5_nodes(member, below, depth + 1, above | {address})
        else:
            yield from _hdf5_array(member, below, depth, name)


def _hdf5_array(member: Any, path: str, depth: int, name: str) -> Iterator[Node]:
    try:
        kind = "references" if hdf5.holds_references(member) else member.dtype
        what, hindered = _what(kind, tuple(member.shape)), hdf5.hindrance(member)
    except Exception as error:  # noqa: BLE001 - as above
        what, hindered = "array", hdf5.why(error)
    what += f", cannot be shown: {_line(hindered)}" if hindered else ""
    yield Node(path=path, depth=depth, name=_line(name), what=what, array=not hindered)
    yield from _attributes(member, path, depth + 1)


def _attributes(member: Any, path: str, depth: int) -> Iterator[Node]:
    try:
        found = list(islice(dict(member.attrs).items(), MOST_ATTRIBUTES))
    except Exception as error:  # noqa: BLE001 - as above
        found = [("…", f"unreadable: {error}")]
    for name, value in found:
        shown = _value(hdf5.named(member, value))
        yield Node(path=path, depth=depth, name=_line(str(name)), what=_line(shown), attribute=True)


def read_window(
    file: BinaryIO, _tell: Callable[[object], None], view: str, path: str, first: int, count: int
) -> Window:
    """In the child: what `window` returns."""
    import numpy

    if view == View.HDF5:
        member = _hdf5(file)[path]
        if hindered := hdf5.hindrance(member):
            raise LabboxError("invalid", f"cannot show {_line(path)}: {hindered}", "")
        shape = tuple(member.shape)
        leads = hdf5.references(member, file)

        def part(low: int, high: int) -> Any:
            return hdf5.named(member, numpy.asarray(member[low:high] if leads is None else leads(low, high)))

        def single() -> Any:
            return hdf5.named(member, member[()] if leads is None else leads(0, 1)[0])

        return _windowed(shape, member.dtype, first, count, part, single)
    if view == View.MATLAB:
        values = matfile.array(matfile.found(file, path))
        return _windowed(
            values.shape, values.dtype, first, count, lambda low, high: values[low:high], values.item
        )
    if view == View.ARRAY:
        return _npy_window(file, first, count)
    with zipfile.ZipFile(file) as held, held.open(path) as inside:
        if held.getinfo(path).file_size > _WHOLE:
            size = format_bytes(held.getinfo(path).file_size)
            raise LabboxError(
                "limit", f"cannot unpack an array of {size} to look at it", "load it with NumPy"
            )
        whole = numpy.lib.format.read_array(inside, allow_pickle=False)
    return _windowed(whole.shape, whole.dtype, first, count, lambda low, high: whole[low:high], lambda: whole)


def _npy_header(file: BinaryIO) -> tuple[tuple[int, ...], bool, Any]:
    from numpy.lib import format as npy

    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    return read(file, max_header_size=1 << 16)


def _npy_window(file: BinaryIO, first: int, count: int) -> Window:
    """Reads only the bytes of the rows."""
    import numpy

    shape, fortran, kind = _npy_header(file)
    if kind.hasobject:
        raise LabboxError("invalid", "cannot show an array of Python objects: it holds a pickle", "")
    start = file.tell()
    if fortran and len(shape) > 1:
        size = math.prod(shape) * kind.itemsize
        if size > _WHOLE:
            raise LabboxError(
                "limit", f"cannot turn an array of {format_bytes(size)} round", "load it with NumPy"
            )
        whole = numpy.frombuffer(file.read(size), kind).reshape(shape, order="F")
        return _windowed(shape, kind, first, count, lambda low, high: whole[low:high], lambda: whole)
    row = math.prod(shape[1:]) * kind.itemsize

    def part(low: int, high: int) -> numpy.ndarray[Any, Any]:
        file.seek(start + low * row)
        found = file.read((high - low) * row)
        return numpy.frombuffer(found, kind).reshape(high - low, *shape[1:])

    return _windowed(
        shape, kind, first, count, part, lambda: numpy.frombuffer(file.read(kind.itemsize), kind)[0]
    )


def _windowed(
    shape: tuple[int, ...],
    kind: Any,
    first: int,
    count: int,
    part: Callable[[int, int], Any],
    whole: Callable[[], Any],
) -> Window:
    """Rows of an array of any number of dimensions: all but the last one are counted through."""
    import numpy

    names = tuple(kind.names[:MOST_COLUMNS]) if getattr(kind, "names", None) else ()
    if not shape:
        return Window(columns=("value",), rows=(("", _value(whole())),), total=1)
    flat = len(shape) == 1
    inner = shape[1:-1]
    each = math.prod(inner)  # rows of the table for one row of the array
    total = shape[0] * (1 if flat else each)
    columns = (
        names
        if flat and names
        else ("value",)
        if flat
        else tuple(map(str, range(min(shape[-1], MOST_COLUMNS))))
    )
    first, last = max(0, first), min(first + count, total)
    if first >= last:
        return Window(columns=tuple(map(_line, columns)), rows=(), total=total)
    low, high = (first, last) if flat else (first // each, -(-last // each))
    data = numpy.asarray(part(low, high))
    if not flat:
        data = data.reshape(-1, shape[-1])[first - low * each : last - low * each]
    rows = []
    for number, row in enumerate(data, first):
        label = (
            str(number) if flat or not inner else ",".join(map(str, numpy.unravel_index(number, shape[:-1])))
        )
        cells = [row[name] for name in names] if flat and names else [row] if flat else row[:MOST_COLUMNS]
        rows.append((label, *(_value(cell) for cell in cells)))
    return Window(columns=tuple(map(_line, columns)), rows=tuple(rows), total=total)


def _what(kind: Any, shape: tuple[int, ...]) -> str:
    name = getattr(kind, "name", None) or str(kind)
    return f"{_line(str(name))} {'×'.join(map(str, shape)) or 'single value'}"


def _value(value: Any) -> str:
    import numpy

    if isinstance(value, bytes | numpy.bytes_):
        return _line(bytes(value[: CELL * 4]).decode("utf-8", "surrogateescape"))
    if isinstance(value, numpy.ndarray):
        if value.size == 1:
            return _value(value.reshape(-1)[0])
        shown = ", ".join(_value(each) for each in value.reshape(-1)[:8])
        return f"[{shown}{', …' if value.size > 8 else ''}]"
    if isinstance(value, tuple):
        return f"({', '.join(_value(each) for each in value[:8])}{', …' if len(value) > 8 else ''})"
    if isinstance(value, numpy.floating | float):
        return f"{value:.7g}"
    return _line(str(value))


def _line(text: str) -> str:
    shown = visible_line(text[: CELL * 2])
    return shown if len(shown) <= CELL else shown[: CELL - 1] + "…"
