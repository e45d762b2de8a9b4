"""Archives made to write outside, and how many did: ``python tests/support/archive_attacks.py 2000``.

Each attempt makes an archive with Python's own `tarfile` or `zipfile`, which check nothing when they write,
of names, links and devices that lead out; unpacks it beside files that must not change; enters it as a place.
"""

from __future__ import annotations

import asyncio
import errno
import io
import os
import random
import shutil
import stat
import sys
import tarfile
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from archiving import opened, unpacked
from transferring import picture

from labbox.errors import LabboxError
from labbox.files.archives import Quiet
from labbox.files.places.base import EntryKind, Place
from labbox.locations import check_name

_PARTS = (
    *"aabblmlm",
    "a",
    "b",
    "l",
    "m",
    "..",
    "..",
    ".",
    "",
    "etc",
    "secret",
    "C:",
    "..\\..",
    "x\0y",
    "n" * 300,
    "\udcff",
)
_STARTS = (*[""] * 14, "/", "//", "../", "../../", "./../", "C:\\", "\\", "/proc/self/root/")
_TARGETS = (
    *(
        "..",
        "../..",
        "../outside",
        "../outside/secret",
        "/",
        "/etc",
        "a/../..",
        "a",
        ".",
        "l/../..",
        "l",
        "m/..",
    ),
    *(
        "/proc/self/cwd",
        "/proc/self/fd/3",
        "",
        "b/../../outside",
        "a/b/c",
        "./m",
        "l/l/l",
        "../a",
        "..//..//outside",
    ),
)


class Outcome(NamedTuple):
    """What attempts came to."""

    attempts: int
    entries: int
    refused: int
    successes: list[str]


def _name(rng: random.Random) -> str:
    return rng.choice(_STARTS) + "/".join(rng.choice(_PARTS) for _ in range(rng.randint(1, 4)))


def _tar(rng: random.Random, archive: Path, outside: Path) -> int:
    kinds = (
        tarfile.REGTYPE,
        tarfile.REGTYPE,
        tarfile.DIRTYPE,
        tarfile.SYMTYPE,
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
    )
    special = (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)
    count = rng.randint(1, 14)
    form = rng.choice((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT))
    with tarfile.open(
        archive,
        "w:gz" if rng.random() < 0.5 else "w",
        format=form,
        encoding="utf-8",
        errors="surrogateescape",
    ) as made:
        for _ in range(count):
            one = tarfile.TarInfo(_name(rng).replace("\0", "") or "a")
            one.type = rng.choice((*kinds, *kinds, rng.choice(special)))
            one.mode = rng.choice((0o644, 0o755, 0o4755, 0o6777, 0o1777, 0o700))
            one.uid, one.gid = rng.choice((0, 1000, 70_000)), 0
            data = b""
            if one.type in (tarfile.SYMTYPE, tarfile.LNKTYPE):
                one.linkname = rng.choice(
                    (*_TARGETS, str(outside), str(outside / "secret"), _name(rng).replace("\0", ""))
                )
            elif one.type in special:
                one.devmajor, one.devminor = 1, 3
            elif one.type == tarfile.REGTYPE:
                data = b"attack"
                one.size = len(data)
            made.addfile(one, io.BytesIO(data))
    return count


def _zip(rng: random.Random, archive: Path, outside: Path) -> int:
    count = rng.randint(1, 14)
    with warnings.catch_warnings(), zipfile.ZipFile(archive, "w") as made:
        warnings.simplefilter("ignore")  # names that come twice are wanted here
        for _ in range(count):
            one = zipfile.ZipInfo("x")
            one.filename = _name(rng).replace("\udcff", "é") or "a"
            one.create_system = rng.choice((0, 3, 3))
            kind = rng.choice(
                (stat.S_IFREG, stat.S_IFREG, stat.S_IFLNK, stat.S_IFDIR, stat.S_IFCHR, stat.S_IFIFO)
            )
            one.external_attr = (kind | rng.choice((0o644, 0o4755, 0o777))) << 16
            data = b"attack"
            if kind == stat.S_IFLNK:
                data = rng.choice((*_TARGETS, str(outside), str(outside / "secret"))).encode()
            if kind == stat.S_IFDIR:
                one.filename += "/"
            made.writestr(one, data)
    return count


def _harm(target: Path) -> list[str]:
    """What in an unpacked folder leads out of it or could do harm by itself."""
    found = []
    top = os.path.realpath(target)
    for folder, folders, files in os.walk(target):
        for name in [*folders, *files]:
            path = f"{folder}/{name}"
            info = os.lstat(path)
            if stat.S_ISLNK(info.st_mode):
                real = os.path.realpath(path)
                if _is_circle(path):
                    continue  # it leads nowhere; what Python makes of it is no path
                if real != top and not real.startswith(top + "/"):
                    found.append(f"{path} leads to {real}")
            elif not (stat.S_ISREG(info.st_mode) or stat.S_ISDIR(info.st_mode)):
                found.append(f"{path} is a device or a pipe")
            elif info.st_mode & 0o6000:
                found.append(f"{path} runs as its owner")
    return found


def _is_circle(path: str) -> bool:
    try:
        Path(path).stat()
    except OSError as error:
        return error.errno == errno.ELOOP
    return False


async def _enter(place: Place, path: str, harm: list[str], depth: int = 0) -> None:
    async for batch in place.list(path):
        for entry in batch:
            try:
                check_name(entry.name)
            except LabboxError:
                harm.append(f"a name that is none: {entry.name!r}")
            below = f"{path}/{entry.name}"
            if entry.kind is EntryKind.FOLDER and depth < 12:
                await _enter(place, below, harm, depth + 1)
            elif entry.kind is EntryKind.FILE:
                async with await place.open(below) as file:
                    if b"SECRET" in await file.read(0, 100):
                        harm.append(f"{below} shows what is outside")


async def attempt(rng: random.Random, yard: Path, far: bool) -> tuple[int, int, list[str]]:
    """One archive: its entries, how many were refused, and what harm it did."""
    make: Callable[[random.Random, Path, Path], int]
    ending, make = rng.choice(((".tar", _tar), (".tar.gz", _tar), (".zip", _zip)))
    shutil.rmtree(yard, ignore_errors=True)
    outside, folder = yard / "outside", yard / "in" / "deep"
    outside.mkdir(parents=True)
    folder.mkdir(parents=True)
    (outside / "secret").write_bytes(b"SECRET")
    (yard / "in" / "secret").write_bytes(b"SECRET")
    archive = yard / f"x{ending}"
    count = make(rng, archive, outside)
    target = folder / "target"
    before = picture(yard)
    harm: list[str] = []
    hooks = Quiet()
    try:
        await unpacked(archive, target, far=far, hooks=hooks)
    except LabboxError as error:
        if target.exists():
            harm.append(f"left there after {error.message}")
    harm += _harm(target)
    shutil.rmtree(target, ignore_errors=True)
    if _without_times(picture(yard)) != _without_times(before):
        harm.append("something outside changed")
    async with opened(archive, far=far) as place:
        await place.flags()  # the list is whole: what comes later in it may change what a name is
        await _enter(place, "", harm)
    return count, len(hooks.failures), harm


def _without_times(one: dict[str, tuple[object, ...]]) -> dict[str, tuple[object, ...]]:
    """A folder in which something was made and removed has another time."""
    return {path: what if what[0] != "folder" else what[:-1] for path, what in one.items()}


async def attempts(count: int, seed: int, folder: Path) -> Outcome:
    """So many archives; what they came to."""
    rng = random.Random(seed)
    entries = refused = 0
    successes: list[str] = []
    for number in range(count):
        some, left, harm = await attempt(rng, folder / "yard", far=number % 4 == 3)
        entries, refused = entries + some, refused + left
        successes += [f"seed {seed}, attempt {number}: {one}" for one in harm]
    return Outcome(count, entries, refused, successes)


def main() -> None:
    """Say what came of it."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(attempts(count, random.randrange(1 << 30), Path(folder)))
    print(
        f"{found.attempts} archives with {found.entries} entries, {found.refused} refused: "
        f"{len(found.successes)} successes"
    )
    for one in found.successes[:20]:
        print(one)
    sys.exit(bool(found.successes))


if __name__ == "__main__":
    main()
