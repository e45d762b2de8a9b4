"""Archives entered like folders: the suite of all places over each format, made by labbox and by others."""

from __future__ import annotations

import os
import subprocess
import tarfile
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from archiving import Build, opened, packed
from conformance import TAKEN, WORD_NAMES, Conformance, Opener, build, listed, read, refused

from labbox.errors import LabboxError
from labbox.files.archives import Quiet, unpack
from labbox.files.archives.limits import Limits
from labbox.files.archives.sevenzip import SevenZipReader, program
from labbox.files.archives.source import FileSource
from labbox.files.places.base import EntryKind, Place
from labbox.files.places.local import LocalPlace


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


class _Said(zipfile.ZipInfo):
    """An entry whose name stands as a program of Windows writes it, without a word on how."""

    said = b""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:  # noqa: N802 - zipfile's
        return self.said, self.flag_bits & ~0x800


def _zip_of_windows(path: Path, names: list[bytes]) -> None:
    with zipfile.ZipFile(path, "w") as made:
        for number, name in enumerate(names):
            entry = _Said(f"{number}")
            entry.create_system, entry.said = 0, name
            made.writestr(entry, b"%d" % number)


@pytest.mark.parametrize(
    ("codec", "names"),
    [
        ("cp932", ["データ/結果.csv", "ソフト表.txt"]),
        ("gbk", ["数据/结果.csv"]),
        ("big5", ["資料/結果.csv"]),
        ("cp949", ["데이터/결과.csv"]),
        ("cp866", ["данные"]),
        ("cp866", ["Новая папка/Отчёт.docx", "ДАННЫЕ"]),
        ("cp1251", ["данные/Отчет.csv"]),
        ("koi8_r", ["данные/Отчет.csv"]),
        ("cp1252", ["Größe.csv"]),
        ("cp1252", ["résumé.txt"]),
        ("cp850", ["Größe.csv", "smørrebrød.txt"]),
        ("cp437", ["Größe.csv"]),
        ("cp1252", ["GRÖSSE.CSV"]),
        ("cp852", ["zażółć gęślą.txt"]),
        ("cp1250", ["Příliš žluťoučký.csv"]),
        ("cp737", ["Δεδομένα.csv"]),
        ("cp1253", ["Δεδομένα.csv"]),
        ("cp862", ["נתונים.csv"]),
        ("cp1255", ["נתונים.csv"]),
        ("cp1256", ["بيانات.csv"]),
        ("cp857", ["Ölçüm sonuçları.csv"]),
        ("utf-8", ["Größe.csv", "данные"]),
    ],
)
async def test_names_of_zips_from_windows_are_told_by_all_of_them(
    tmp_path: Path, codec: str, names: list[str]
) -> None:
    """Entered, and unpacked; `plain.txt` before them says nothing."""
    names = ["plain.txt", *names]
    _zip_of_windows(tmp_path / "a.zip", [name.encode(codec) for name in names])
    async with opened(tmp_path / "a.zip") as place:
        for number, name in enumerate(names):
            assert await read(place, f"/{name}") == b"%d" % number
    async with LocalPlace(home=str(tmp_path)) as place:
        await unpack(place, str(tmp_path / "a.zip"), place, str(tmp_path / "out"), hooks=Quiet())
    found = {str(each.relative_to(tmp_path / "out")) for each in (tmp_path / "out").rglob("*.*")}
    assert found >= {name for name in names if "." in name}


async def test_names_that_say_how_they_are_written_are_believed(tmp_path: Path) -> None:
    """Marked as UTF-8, or from Unix: others of the archive do not change them."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as made:
        marked = ["grün.txt", *(f"Größe der Blätter {number}.txt" for number in range(20))]
        for name in marked:
            made.writestr(name, b"marked")
        entry = _Said("unix")
        entry.create_system, entry.said = 3, "größer.txt".encode()
        made.writestr(entry, b"unix")
        entry = _Said("old")
        entry.create_system, entry.said = 0, "結果.txt".encode("cp932")
        made.writestr(entry, b"old")
    async with opened(tmp_path / "a.zip") as place:
        assert set(await listed(place, "/")) == {*marked, "größer.txt", "結果.txt"}
