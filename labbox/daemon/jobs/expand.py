"""Arrays and sweeps: one submission, many jobs, and what each of them is told of its place.

A sweep is the Cartesian product of its parameters, the last one varying fastest; its elements are numbered
from 1. With `--array` and `--sweep` together, each index is run with each combination. A run learns its place
from its environment:

    LABBOX_JOB, LABBOX_ATTEMPT        its own id, and which try this is
    LABBOX_INDEX                      this element's index in its array, as in --array; LABBOX_ARRAY_INDEX too
    LABBOX_ARRAY_ID, LABBOX_ARRAY_COUNT   the array's id, how many elements there are
    LABBOX_SWEEP_NAME                 this element's value of each sweep parameter, spelled as in --sweep
    LABBOX_CPUS, LABBOX_MEMORY        what it may use; memory in bytes
    OMP_NUM_THREADS                   whole CPUs, at least 1, so that numeric libraries start no more threads

and from /labbox/params.json: {"job", "attempt", "array", "index", "count", "parameters": {NAME: VALUE}},
where array, index and count are null outside of arrays, and values that are JSON numbers, true, false or null
are given as such.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from typing import Final

from labbox.daemon.store.jobs import JobRow
from labbox.errors import LabboxError
from labbox.model import JobSpec, Value

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?", re.ASCII)
_LONGEST_NUMBER: Final = 400  # characters
_WORDS: Final = {"true": True, "false": False, "null": None}


class Element(Value):
    """One job of an array."""

    index: int
    parameters: dict[str, str]


def elements(spec: JobSpec, largest: int) -> tuple[Element, ...]:
    """The elements of a submission; none where it is a single job.

    Raises:
        LabboxError: "invalid" for an index or a parameter given twice, "limit" above `largest` elements.
    """
    if not spec.array and not spec.sweep:
        return ()
    if len(set(spec.array)) != len(spec.array) or any(index < 0 for index in spec.array):
        raise _invalid("an array's indexes must be different whole numbers from 0", "as in --array 1-20")
    names = [sweep.name for sweep in spec.sweep]
    for sweep in spec.sweep:
        if not _NAME.fullmatch(sweep.name):
            raise _invalid(f"{sweep.name!r} is no name for a parameter", "use letters, digits and _")
        if not sweep.values or any("\0" in value for value in sweep.values):
            raise _invalid(f"the parameter {sweep.name} has no usable values", "as in --sweep lr=0.1,0.2")
    if len(set(names)) != len(names):
        raise _invalid("a parameter is given twice", "name each --sweep parameter once")
    count = max(1, len(spec.array)) * math.prod(len(sweep.values) for sweep in spec.sweep)
    if count > largest:
        raise LabboxError(
            "limit", f"cannot submit {count} elements: at most {largest} are allowed", "split the array"
        )
    combinations = [
        dict(zip(names, values, strict=True))
        for values in itertools.product(*(sweep.values for sweep in spec.sweep))
    ]
    if not spec.sweep:
        return tuple(Element(index=index, parameters={}) for index in spec.array)
    if not spec.array:
        return tuple(Element(index=n, parameters=values) for n, values in enumerate(combinations, start=1))
    return tuple(Element(index=index, parameters=values) for index in spec.array for values in combinations)


def environment(row: JobRow, count: int | None) -> dict[str, str]:
    """The variables that tell a run its place and its size; `count`: the elements of its array."""
    told = {
        "LABBOX_JOB": str(row.id),
        "LABBOX_ATTEMPT": str(row.attempt),
        "LABBOX_CPUS": f"{row.resources.cpus:g}",
        "LABBOX_MEMORY": str(row.resources.memory),
        "OMP_NUM_THREADS": str(max(1, int(row.resources.cpus))),
    }
    if row.array is not None:
        told["LABBOX_ARRAY_ID"] = str(row.array)
        told["LABBOX_ARRAY_COUNT"] = str(count)
    if row.index is not None:  # also of an element that is run again by itself
        told["LABBOX_INDEX"] = told["LABBOX_ARRAY_INDEX"] = str(row.index)
    for name, value in row.parameters.items():
        told[f"LABBOX_SWEEP_{name}"] = value
    return told


def parameters_file(row: JobRow, count: int | None) -> bytes:
    """The content of /labbox/params.json."""
    told = {
        "job": row.id,
        "attempt": row.attempt,
        "array": row.array,
        "index": row.index,
        "count": count,
        "parameters": {name: _typed(value) for name, value in row.parameters.items()},
    }
    return json.dumps(told, indent=2, ensure_ascii=False).encode() + b"\n"


def _typed(value: str) -> object:
    """A number, true, false or null as such; every other text as it was written."""
    if value in _WORDS:
        return _WORDS[value]
    if len(value) > _LONGEST_NUMBER or not _NUMBER.fullmatch(value):
        return value
    found: int | float = json.loads(value)
    return found if math.isfinite(found) else value


def _invalid(what: str, hint: str) -> LabboxError:
    return LabboxError("invalid", f"cannot submit: {what}", hint)
