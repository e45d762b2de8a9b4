"""Archives entered like folders: the suite of all places over each format, made by labbox and by others."""

from __future__ import annotations

import os
import subprocess
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from archiving import Build, opened, packed
from conformance import TAKEN, WORD_NAMES, Conformance, Opener, build, listed, read, refused

from labbox.errors import LabboxError
from labbox.files.archives.limits import Limits
from labbox.files.archives.sevenzip import SevenZipReader, program
from labbox.files.archives.source import FileSource
from labbox.files.places.base import EntryKind, Place


@asynccontextmanager
async def _own(folder: Path, ending: str, far: bool) -> AsyncIterator[tuple[Place, str]]:
    archive = folder.parent / f"made{ending}"
    hooks = await packed(folder, archive, far=far)
    assert not hooks.failures
    async with opened(archive, far=far) as place:
        yield place, "top"


@asynccontextmanager
async def _others(folder: Path, ending: str, build: Build) -> AsyncIterator[tuple[Place, str]]:
    archive = folder.parent / f"made{ending}"
    build(folder, archive)
    async with opened(archive) as place:
        yield place, f"/{folder.name}"


class _Archive(Conformance):
    special_files = False  # they are not packed
    many = 3000


class TestTar(_Archive):
    many = 20_000

    @pytest.fixture
    def opened(self) -> Opener:
        return lambda folder: _own(folder, ".tar", far=False)


class TestTarElsewhere(_Archive):
    @pytest.fixture
    def opened(self) -> Opener:
        return lambda folder: _own(folder, ".tar", far=True)


class TestTarGz(_Archive):
    @pytest.fixture
    def opened(self) -> Opener:
        return lambda folder: _own(folder, ".tar.gz", far=False)


class TestTarBz2(_Archive):
    @pytest.fixture
    def opened(self) -> Opener:
        return lambda folder: _own(folder, ".tar.bz2", far=False)


class TestTarXz(_Archive):
    @pytest.fixture
    def opened(self) -> Opener:
        return lambda folder: _own(folder, ".tar.xz", far=False)


class TestTarZst(_Archive):
    @pytest.fixture
    def opened(self) -> Opener:
        return lambda folder: _own(folder, ".tar.zst", far=False)


class TestTarZstElsewhere(_Archive):
    @pytest.fixture
    def opened(self) -> Opener:
        return lambda folder: _own(folder, ".tar.zst", far=True)


class TestZip(_Archive):
    many = 20_000

    @pytest.fixture
    def opened(self) -> Opener:
        return lambda folder: _own(folder, ".zip", far=False)


class TestZipElsewhere(_Archive):
    @pytest.fixture
    def opened(self) -> Opener:
        return lambda folder: _own(folder, ".zip", far=True)


def _gnu_tar(folder: Path, archive: Path) -> None:
    subprocess.run(
        ["tar", "--format=gnu", "-C", folder.parent, "-cf", archive, "--", folder.name],
        check=True,
        stderr=subprocess.DEVNULL,
    )


def _pax_tar(folder: Path, archive: Path) -> None:
    subprocess.run(
        ["tar", "--format=posix", "-C", folder.parent, "-czf", archive, "--", folder.name],
        check=True,
        stderr=subprocess.DEVNULL,
    )


def _python_tar(folder: Path, archive: Path) -> None:
    with tarfile.open(archive, "w:xz", format=tarfile.PAX_FORMAT) as made:
        made.add(folder, folder.name)


def _seven(folder: Path, archive: Path) -> None:
    subprocess.run(
        [program("x.7z"), "a", "-snl", "-y", "-bd", "-mx=1", archive, f"{folder.parent}/{folder.name}"],
        check=True,
        stdout=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
    )


class TestGnuTar(_Archive):
    special_files = True  # it packs pipes, and names sockets

    @pytest.fixture
    def opened(self) -> Opener:
        return lambda folder: _others(folder, ".tar", _gnu_tar)

    async def test_only_plain_files_are_opened(self, opened: Opener, ground: Path) -> None:
        ground.mkdir()
        os.mkfifo(ground / "pipe")
        async with opened(ground) as (place, top):
            assert (await listed(place, top))["pipe"].kind is EntryKind.OTHER
            with refused(TAKEN):
                await place.open(f"{top}/pipe")


class TestPaxTar(_Archive):
    @pytest.fixture
    def opened(self) -> Opener:
        return lambda folder: _others(folder, ".tgz", _pax_tar)


class TestPythonTar(_Archive):
    @pytest.fixture
    def opened(self) -> Opener:
        return lambda folder: _others(folder, ".txz", _python_tar)


class TestSevenZip(_Archive):
    byte_names = False  # its names are Unicode

    @pytest.fixture
    def opened(self) -> Opener:
        return lambda folder: _others(folder, ".7z", _seven)

    async def test_hostile_names_stay_what_they_are(self, opened: Opener, ground: Path) -> None:
        build(ground, {f"files/{name}": os.fsencode(name) for name in WORD_NAMES})
        async with opened(ground) as (place, top):
            told = {name.replace("\n", "_"): name for name in WORD_NAMES}  # as the program's list has them
            assert set(await listed(place, f"{top}/files")) == set(told)
            for shown, name in told.items():
                assert await read(place, f"{top}/files/{shown}") == os.fsencode(name)


def test_seven_zip_starts_nothing_for_an_archive_that_was_closed(tmp_path: Path) -> None:
    build(tmp_path / "in", {"a": bytes(4 << 20)})
    _seven(tmp_path / "in", tmp_path / "a.7z")
    source = FileSource(os.open(tmp_path / "a.7z", os.O_RDONLY), "a.7z")
    reader = SevenZipReader(source, "a.7z", Limits())
    member = next(one for one in reader.members() if one.size)
    begun = reader.blocks(member)
    assert next(begun)[0] == 0
    reader.close()
    for ask in (lambda: list(begun), lambda: list(reader.members()), lambda: list(reader.blocks(member))):
        with pytest.raises(LabboxError, match="it was closed meanwhile"):
            ask()
    source.close()
