"""Packing and unpacking: what goes in comes out, other programs agree, and what cannot be is named."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import tarfile
import threading
import zipfile
from contextlib import closing
from pathlib import Path

import pytest
from archiving import PACKED, FarPlace, disk, opened, packed, unpacked
from conformance import BYTE_NAMES, WORD_NAMES, File, Link, build, listed, refused
from transferring import Picture, picture

from labbox.errors import LabboxError
from labbox.files.archives import Limits, Quiet, Source, check_kind, pack, zipwrite
from labbox.files.archives.spool import cache_folder
from labbox.files.places.base import EntryKind

MIB = 1 << 20
STAMP = 1_700_000_000_000_000_000


def plant(folder: Path, stamp: int = STAMP) -> Path:
    """A tree of everything that an archive keeps."""
    build(
        folder,
        {
            "data/a.csv": File(b"1,2\n" * 5000, 0o640, stamp),
            "data/random": File(os.urandom(3 * MIB + 11), 0o600, stamp),
            "data/empty": File(b"", 0o444, stamp),
            "data/run.sh": File(b"#!/bin/sh\n", 0o755, stamp),
            "data/a.csv.gz": File(os.urandom(1000), 0o644, stamp),
            "hollow/none": None,
            "to file": Link("data/a.csv"),
            "data/up": Link("../data"),
            "dead": Link("nowhere"),
            f"{'long/' * 40}{'n' * 200}": File(b"deep", 0o644, stamp),
            **{f"names/{name}": File(os.fsencode(name), 0o644, stamp) for name in (*WORD_NAMES, *BYTE_NAMES)},
        },
    )
    for path in sorted(folder.rglob("*"), reverse=True):
        os.utime(path, ns=(stamp, stamp), follow_symlinks=False)
    (folder / "hollow").chmod(0o500)
    os.utime(folder, ns=(stamp, stamp))
    return folder


def seen(folder: Path) -> Picture:
    """What `picture` sees, but times of links, which not every way back keeps."""
    return {path: what if what[0] != "link" else what[:2] for path, what in picture(folder).items()}


@pytest.mark.parametrize("far", [False, True], ids=["here", "elsewhere"])
@pytest.mark.parametrize("ending", PACKED)
async def test_what_goes_in_comes_out(tmp_path: Path, ending: str, far: bool) -> None:
    whole = ending == ".zip"  # it keeps whole seconds
    source = plant(tmp_path / "source", STAMP if whole else STAMP + 123_456_789)
    archive = tmp_path / f"x{ending}"
    hooks = await packed(source, archive, far=far, name="source")
    assert not hooks.failures and not hooks.lost
    back = await unpacked(archive, tmp_path / "back", far=far)
    assert not back.failures and not back.lost
    assert seen(tmp_path / "back/source") == seen(source)
    assert hooks.counts == back.counts
    assert hooks.bytes == sum(
        p.stat().st_size for p in source.rglob("*") if p.is_file() and not p.is_symlink()
    )


@pytest.mark.parametrize("ending", PACKED)
async def test_the_same_files_make_the_same_bytes(tmp_path: Path, ending: str) -> None:
    source = plant(tmp_path / "source")
    await packed(source, tmp_path / f"one{ending}")
    await packed(source, tmp_path / f"two{ending}", far=True)
    assert (tmp_path / f"one{ending}").read_bytes() == (tmp_path / f"two{ending}").read_bytes()


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".tar.bz2", ".tar.xz"])
async def test_other_programs_read_our_tar(tmp_path: Path, ending: str) -> None:
    source = plant(tmp_path / "source", STAMP + 5)
    (source / "second").hardlink_to(source / "data/a.csv")
    await packed(source, tmp_path / f"x{ending}", name="source")
    made = subprocess.run(
        ["tar", "--warning=no-unknown-keyword", "-C", tmp_path, "-df", tmp_path / f"x{ending}"],
        capture_output=True,
        text=True,
    )
    assert (made.returncode, made.stdout, made.stderr) == (0, "", "")
    with tarfile.open(tmp_path / f"x{ending}") as read:
        assert [one.name for one in read if one.islnk()] == ["source/second"]


async def test_other_programs_read_our_zip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = plant(tmp_path / "source")
    for name in ("plain.zip", "wide.zip"):
        await packed(source, tmp_path / name, name="source")
        with zipfile.ZipFile(tmp_path / name) as read:
            assert read.testzip() is None
            assert read.read("source/data/a.csv") == b"1,2\n" * 5000
            assert len(read.namelist()) == 1 + len(list(source.rglob("*")))
            wide = read.getinfo("source/data/random").extra[:2] == b"\1\0"
            assert wide == (name == "wide.zip")
        assert not (await unpacked(tmp_path / name, tmp_path / f"back {name}")).failures
        assert seen(tmp_path / f"back {name}/source") == seen(source)
        monkeypatch.setattr(zipwrite, "_WIDE", 0)  # every file as if it were of gigabytes


async def test_more_files_than_a_plain_zip_holds(tmp_path: Path) -> None:
    build(tmp_path / "many", {f"{number:05d}": b"" for number in range(66_000)})
    await packed(tmp_path / "many", tmp_path / "x.zip")
    with zipfile.ZipFile(tmp_path / "x.zip") as read:
        assert len(read.namelist()) == 66_001
    async with opened(tmp_path / "x.zip") as place:
        assert len(await listed(place, "top")) == 66_000


def _with_holes(path: Path) -> Path:
    with path.open("wb") as made:
        made.truncate(300 * MIB)
        for at in (0, 100 * MIB, 200 * MIB + 4096):
            made.seek(at)
            made.write(os.urandom(8192))
    return path


async def test_holes_stay_holes(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    _with_holes(source / "holes")
    (source / "nothing").touch()
    os.truncate(source / "nothing", 100 * MIB)
    await packed(source, tmp_path / "x.tar", name="source")
    assert (tmp_path / "x.tar").stat().st_size < MIB
    subprocess.run(["tar", "-C", tmp_path, "-df", tmp_path / "x.tar"], check=True)
    assert not (await unpacked(tmp_path / "x.tar", tmp_path / "back")).failures
    for name in ("holes", "nothing"):
        back = tmp_path / "back/source" / name
        assert back.stat().st_blocks * 512 < MIB
        subprocess.run(["cmp", source / name, back], check=True)


@pytest.mark.parametrize("form", ["gnu", "posix 0.0", "posix 0.1", "posix 1.0"])
async def test_holes_as_gnu_tar_writes_them(tmp_path: Path, form: str) -> None:
    source = tmp_path / "source"
    source.mkdir()
    with (source / "f").open("wb") as made:
        for number in range(60):  # more than one header of the old form holds
            made.seek(number * MIB)
            made.write(os.urandom(4096))
        made.truncate(70 * MIB)
    (source / "g").write_bytes(b"behind")
    kind, _, version = form.partition(" ")
    words = [f"--format={kind}", *([f"--sparse-version={version}"] if version else [])]
    subprocess.run(["tar", *words, "-S", "-C", tmp_path, "-czf", tmp_path / "x.tar.gz", "source"], check=True)
    assert not (await unpacked(tmp_path / "x.tar.gz", tmp_path / "back")).failures
    subprocess.run(["cmp", source / "f", tmp_path / "back/source/f"], check=True)
    assert (tmp_path / "back/source/f").stat().st_blocks * 512 < 2 * MIB
    assert (tmp_path / "back/source/g").read_bytes() == b"behind"
    async with opened(tmp_path / "x.tar.gz") as place, await place.open("source/f") as file:
        assert (await file.entry()).size == 70 * MIB
        expected = (source / "f").read_bytes()
        for at in (0, 4090, MIB - 5, 30 * MIB, 59 * MIB + 4000, 70 * MIB - 10):
            assert await file.read(at, 100) == expected[at : at + 100]


async def test_second_names_stay_second_names(tmp_path: Path) -> None:
    build(tmp_path / "s", {"a": b"data", "d/x": b""})
    (tmp_path / "s/d/b").hardlink_to(tmp_path / "s/a")
    for ending, same in ((".tar.zst", True), (".zip", False)):
        await packed(tmp_path / "s", tmp_path / f"x{ending}")
        back = tmp_path / f"back{ending}"
        assert not (await unpacked(tmp_path / f"x{ending}", back)).failures
        assert (back / "top/a").samefile(back / "top/d/b") == same
        assert (back / "top/d/b").read_bytes() == b"data"


async def test_special_files_are_named_and_left_out(tmp_path: Path) -> None:
    build(tmp_path / "s", {"f": b"data"})
    os.mkfifo(tmp_path / "s/pipe")
    with closing(socket.socket(socket.AF_UNIX)) as listening:
        folder = os.open(tmp_path / "s", os.O_RDONLY)
        listening.bind(f"/proc/self/fd/{folder}/socket")
        os.close(folder)
        hooks = await packed(tmp_path / "s", tmp_path / "x.tar")
    assert [path for path, _ in hooks.failures] == ["top/pipe", "top/socket"]
    assert "a pipe" in hooks.failures[0][1].message
    async with opened(tmp_path / "x.tar") as place:
        assert set(await listed(place, "top")) == {"f"}


class _Meddling(Quiet):
    """Cuts a file short once a mebibyte of it is read."""

    def __init__(self, victim: Path) -> None:
        super().__init__()
        self._victim = victim

    def moved(self, count: int) -> None:
        super().moved(count)
        if self.bytes >= MIB:
            os.truncate(self._victim, MIB)


@pytest.mark.parametrize("ending", [".tar.gz", ".zip"])
async def test_a_file_that_shrinks_meanwhile(tmp_path: Path, ending: str) -> None:
    build(tmp_path / "s", {"f": os.urandom(5 * MIB), "g": b"behind"})
    hooks = await packed(tmp_path / "s", tmp_path / f"x{ending}", hooks=_Meddling(tmp_path / "s/f"))
    assert [(path, error.code) for path, error in hooks.failures] == [("top/f", "conflict")]
    assert "became shorter" in hooks.failures[0][1].message
    assert not (await unpacked(tmp_path / f"x{ending}", tmp_path / "back")).failures
    assert (tmp_path / "back/top/g").read_bytes() == b"behind"
    assert (tmp_path / "back/top/f").exists() == (ending == ".tar.gz") == bool(hooks.lost)


async def test_an_archive_is_not_packed_into_itself(tmp_path: Path) -> None:
    build(tmp_path / "s", {"f": b"data"})
    assert not (await packed(tmp_path / "s", tmp_path / "s/x.tar")).failures
    async with opened(tmp_path / "s/x.tar") as place:
        assert set(await listed(place, "top")) == {"f"}


class _Choosy(Quiet):
    def wants(self, path: str, name: str, *, folder: bool) -> bool:
        return not (name == "cache" and folder) and not re.fullmatch(r".*\.tmp", name)


@pytest.mark.parametrize("far", [False, True], ids=["here", "elsewhere"])
async def test_what_is_excluded_stays_out(tmp_path: Path, far: bool) -> None:
    build(
        tmp_path / "s",
        {"a": b"", "b.tmp": b"", "cache/c": b"", "d/cache/e/f": b"", "d/g": b"", "h/cache": b""},
    )
    expected = {"top", "top/a", "top/d", "top/d/g", "top/h", "top/h/cache"}
    await packed(tmp_path / "s", tmp_path / "one.tar", far=far, hooks=_Choosy())
    with tarfile.open(tmp_path / "one.tar") as read:
        assert set(read.getnames()) == expected
    await packed(tmp_path / "s", tmp_path / "all.zip")
    await unpacked(tmp_path / "all.zip", tmp_path / "t", far=far, hooks=_Choosy())
    assert set(picture(tmp_path / "t")) == expected


class _Ending(Quiet):
    """Nobody wants it any more after some bytes."""

    def moved(self, count: int) -> None:
        super().moved(count)
        if self.bytes > 4 * MIB:
            raise _UnwantedError


class _UnwantedError(Exception):
    pass


@pytest.mark.parametrize("far", [False, True], ids=["here", "elsewhere"])
@pytest.mark.parametrize("ending", [".tar.zst", ".zip"])
async def test_ending_early_leaves_nothing(tmp_path: Path, ending: str, far: bool) -> None:
    build(tmp_path / "s", {f"d/{number}": os.urandom(2 * MIB) for number in range(4)})
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with pytest.raises(_UnwantedError):
        await packed(tmp_path / "s", tmp_path / f"x{ending}", far=far, hooks=_Ending())
    await packed(tmp_path / "s", tmp_path / f"y{ending}", far=far)
    with pytest.raises(_UnwantedError):
        await unpacked(tmp_path / f"y{ending}", tmp_path / "t", far=far, hooks=_Ending())
    assert {path.name for path in tmp_path.iterdir()} == {"s", f"y{ending}"}
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


async def test_what_cannot_be_packed_says_so(tmp_path: Path) -> None:
    build(tmp_path / "s", {"f": b""})
    for name in ("x.7z", "x.rar", "x"):
        with refused(frozenset({"invalid"})) as caught:
            await packed(tmp_path / "s", tmp_path / name)
        assert caught.error.hint
        assert not (tmp_path / name).exists()
    with refused(frozenset({"conflict"})):
        await packed(tmp_path / "s", build(tmp_path / "t", {"x.tar": b"kept"}) / "x.tar")
    assert (tmp_path / "t/x.tar").read_bytes() == b"kept"
    hooks = await packed(tmp_path / "none", tmp_path / "y.tar")
    assert [error.code for _, error in hooks.failures] == ["not_found"]
    assert check_kind("x.TAR.GZ") == ".tar.gz"


async def test_unpacking_makes_its_folder_anew(tmp_path: Path) -> None:
    build(tmp_path / "s", {"f": b"new"})
    await packed(tmp_path / "s", tmp_path / "x.tar")
    build(tmp_path / "t", {"f": b"kept"})
    with refused(frozenset({"conflict"})):
        await unpacked(tmp_path / "x.tar", tmp_path / "t")
    assert (tmp_path / "t/f").read_bytes() == b"kept"


async def test_trees_that_are_too_deep_are_named(tmp_path: Path) -> None:
    top = tmp_path / "s"
    top.mkdir()
    build(top, {"/".join(["d"] * 12) + "/f": b"", "g": b""})
    hooks = await packed(top, tmp_path / "x.tar", limits=Limits(depth=10))
    assert [path for path, _ in hooks.failures] == ["top/" + "/".join(["d"] * 10)]
    assert "too many folders" in hooks.failures[0][1].message
    async with opened(tmp_path / "x.tar") as place:
        assert (await place.entry("top/g")).kind is EntryKind.FILE


async def test_several_sources_and_single_files(tmp_path: Path) -> None:
    build(tmp_path / "s", {"f": b"file", "d/x": b"x", "l": Link("f")})
    async with disk() as place:
        sources = [Source(place, f"{tmp_path}/s/{name}", name) for name in ("l", "f", "d")]
        await pack(sources, FarPlace(place), str(tmp_path / "x.tgz"), name="x.tgz", hooks=Quiet())  # type: ignore[arg-type]
    with tarfile.open(tmp_path / "x.tgz") as read:
        assert read.getnames() == ["l", "f", "d", "d/x"]


async def test_what_is_unpacked_to_look_at_is_gone_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    build(tmp_path / "s", {"f": os.urandom(9 * MIB)})
    await packed(tmp_path / "s", tmp_path / "x.tar.zst")
    threads = threading.active_count()
    async with opened(tmp_path / "x.tar.zst") as place, await place.open("top/f") as file:
        assert await file.read(8 * MIB, 10) == (tmp_path / "s/f").read_bytes()[8 * MIB : 8 * MIB + 10]
        kept = [os.readlink(f"/proc/self/fd/{one}") for one in os.listdir("/proc/self/fd") if _is_open(one)]  # noqa: PTH115, PTH208
        assert any(path.startswith(cache_folder()) for path in kept)
    assert not list((tmp_path / "cache/labbox").iterdir())
    assert threading.active_count() <= threads + 8
    with refused(frozenset({"limit"})) as caught:
        async with opened(tmp_path / "x.tar.zst", limits=Limits(kept=5 * MIB)) as place:
            async with await place.open("top/f") as file:
                await file.read(8 * MIB, 10)
    assert "5.0 MiB" in caught.error.message


def _is_open(number: str) -> bool:
    return Path(f"/proc/self/fd/{number}").is_symlink()


async def test_a_place_that_closes_ends_what_it_does(tmp_path: Path) -> None:
    build(tmp_path / "s", {f"{number:05d}": b"" for number in range(20_000)})
    await packed(tmp_path / "s", tmp_path / "x.tar")
    for far in (False, True):
        async with opened(tmp_path / "x.tar", far=far) as place:
            batches = place.list("top")
            await anext(batches)
            await place.close()
            with pytest.raises(LabboxError) as caught:
                async for _ in batches:
                    pass
                await place.entry("top")
            assert caught.value.code == "unavailable"
