"""The code of a run, which it may write: made ready before it starts, looked through when it has ended.

What a program writes beside its code belongs to the run alone; what is new of it comes back to its results.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from labbox.daemon.containers import layers
from labbox.daemon.containers.layers import COPY, UPPER, Layer
from labbox.daemon.jobs import results
from labbox.daemon.jobs.handed import Handed, tree
from labbox.daemon.jobs.opening import FOLDER, opened
from labbox.daemon.people.accounts import Account
from labbox.errors import LabboxError
from labbox.files.leavings import Leavings
from labbox.model import GIB
from labbox.text import counted, format_bytes

if TYPE_CHECKING:
    from labbox.daemon.jobs.parts import Parts

_log = logging.getLogger(__name__)

_WORKER: Final = 600.0  # seconds for copying the code, and for looking through it
_MOST_COPIED: Final = GIB  # bytes of code that are copied for a run where there are no overlays
_MOST_FILES: Final = 10_000  # that come back
CODE, BESIDE = "code", "project"  # the layers, and the folders in the results that they come back to
PROJECT: Final = "/project"  # the whole folder, where more stands in it than code and input


class Overlays:
    """Whether runs get overlays on this box: unless the state's file system or the kernel refuse them."""

    def __init__(self) -> None:
        """Nothing has been tried yet."""
        self._usable: bool | None = None

    def usable(self, state: Path) -> bool:
        """Whether to try one."""
        if self._usable is None:
            self._usable = layers.may_overlay(state)
        return self._usable

    def refused(self, error: LabboxError) -> None:
        """A run that would not start with one did without."""
        if self._usable:
            _log.warning("this box has no overlays, so code is copied for each run: %s", error.message)
        self._usable = False


async def make_layers(
    parts: Parts, account: Account, handed: Handed, spool: Path, *, overlay: bool
) -> tuple[Layer, ...]:
    """Make ready what the run may write; LabboxError "limit" where it must be copied and is too large."""
    found = _layers(parts.state, account.name, handed, spool, copied=not overlay)
    for layer in found:
        if overlay:
            await parts.in_thread(layers.make, layer.changes, account.uid, account.gid)
        else:
            await _copy(parts, account, layer)
    return found


def _layers(state: Path, owner: str, handed: Handed, spool: Path, *, copied: bool) -> tuple[Layer, ...]:
    code = tree(state, owner, handed.code)
    if code is None:
        return ()
    beside = tree(state, owner, handed.beside)
    changes = spool / CODE
    if beside is None:
        return (Layer(name=CODE, tree=code, changes=changes, targets=("/code",), copied=copied),)
    targets = ("/code", f"{PROJECT}/code")
    return (
        Layer(name=CODE, tree=code, changes=changes, targets=targets, copied=copied),
        Layer(name=BESIDE, tree=beside, changes=spool / BESIDE, targets=(PROJECT,), copied=copied),
    )


async def _copy(parts: Parts, account: Account, layer: Layer) -> None:
    """A whole copy under its final name, or none: a container that was made already keeps the one it has."""
    if await parts.in_thread(layer.written.exists):
        return
    making = layer.changes / "making"
    await parts.in_thread(_empty, making, account)
    with opened(layer.tree) as source, opened(making) as target:
        async with asyncio.timeout(_WORKER):
            await parts.folders.copy_tree(account, source, target, most_bytes=_MOST_COPIED)
    await parts.in_thread(making.rename, layer.written)


def _empty(folder: Path, account: Account) -> None:
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(mode=0o755)
    if os.geteuid() == 0:
        os.chown(folder, account.uid, account.gid, follow_symlinks=False)


def take_back(spool: Path, folder: Path) -> bool:
    """Let what a run may write be as before its start; whether it had printed anything or has an output."""
    for name in (CODE, BESIDE):
        results.remove(spool, name)
    printed = any((spool / name).exists() and (spool / name).lstat().st_size for name in ("stdout", "stderr"))
    output = results.open_output(folder)
    try:
        with os.scandir(output) as found:
            return printed or any(found)
    finally:
        os.close(output)


@contextmanager
def open_written(spool: Path) -> Iterator[tuple[int, ...]]:
    """Descriptors of all that a run writes beside its output; none where there is no such folder (yet)."""
    with ExitStack() as stack:
        found: list[int] = []
        for name in (f"{layer}/{side}" for layer in (CODE, BESIDE) for side in (UPPER, COPY)):
            try:
                descriptor = os.open(spool / name, FOLDER)
            except FileNotFoundError:
                continue
            stack.callback(os.close, descriptor)
            found.append(descriptor)
        yield tuple(found)


async def bring_back(
    parts: Parts, account: Account, handed: Handed, spool: Path, folder: Path
) -> tuple[list[str], int]:
    """Move what the run left in its code to its results; sentences for its log, and the bytes.

    May be done again: what has come back is not found a second time, and nothing is said of it then.
    """
    said: list[str] = []
    size = 0
    found = _layers(parts.state, account.name, handed, spool, copied=False)
    for layer, written in await parts.in_thread(_left_in, found):
        target, below = _target(layer.name, handed)
        left = await _bring_back(parts, account, layer, written, folder / target, below)
        told = f"{target}/{below}" if below else target
        said += _sentences(layer.targets[-1], told, left, parts.settings.code_results)
        size += left.size
    return said, size


def _left_in(found: tuple[Layer, ...]) -> list[tuple[Layer, Path]]:
    """Where a run left anything, which most do not.

    Both sides are there where an engine that was ended in between refused the one.
    """
    return [
        (layer, layer.changes / side)
        for layer in found
        for side in (COPY, UPPER)
        if (layer.changes / side).is_dir() and any((layer.changes / side).iterdir())
    ]


def _target(name: str, handed: Handed) -> tuple[str, str]:
    """Where a layer's results go: `code/` holds what the run left where it started, and below."""
    if not handed.at_top:
        return name, ""
    return CODE, CODE if name == CODE else ""


async def _bring_back(
    parts: Parts, account: Account, layer: Layer, written: Path, target: Path, below: str
) -> Leavings:
    await parts.in_thread(results.make_owned, target, account)
    try:
        with opened(written) as source, opened(layer.tree) as snapshot, opened(target) as there:
            async with asyncio.timeout(_WORKER):
                left = await parts.folders.bring_back(
                    account,
                    (source, snapshot, there),
                    most_bytes=parts.settings.code_results,
                    most_files=_MOST_FILES,
                    below=below,
                )
    finally:
        await parts.in_thread(results.remove_empty, target)
    return left


def _sentences(place: str, target: str, left: Leavings, most: int) -> list[str]:
    said = []
    if left.files:
        said.append(
            f"what the run left in {place} is in {target}/ of its results: {counted(left.files, 'file')}, "
            f"{format_bytes(left.size)}{_named(left.names, left.files)}"
        )
    if left.left:
        said.append(
            f"left out of the results: {counted(left.left, 'file')} in {place}, "
            f"{format_bytes(left.left_size)}{_named(left.left_names, left.left)}: "
            f"from there at most {format_bytes(most)} in {_MOST_FILES:,} files come back; write to /output"
        )
    if not left.whole:
        said.append(f"not all that the run left in {place} could be looked at; write results to /output")
    return said


def _named(names: tuple[str, ...], count: int) -> str:
    return f" ({', '.join(names)}{', …' if count > len(names) else ''})" if names else ""
