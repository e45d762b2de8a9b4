"""Archives that were made to harm, or are damaged: nothing gets out, everything is named, nothing is left."""

from __future__ import annotations

import bz2
import gzip
import io
import os
import random
import shutil
import stat
import struct
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from archive_attacks import attempts
from archiving import opened, unpacked
from conformance import listed, read, refused
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transferring import picture

from labbox.errors import LabboxError
from labbox.files.archives import Limits, Quiet, unpacking
from labbox.files.archives.names import clean, leads_inside
from labbox.files.places.base import EntryKind
from labbox.files.places.local import LocalPlace
from labbox.locations import check_name
from labbox.text import visible_line

LIMIT = frozenset({"limit"})
BROKEN = frozenset({"invalid"})
MIB = 1 << 20


def make_tar(archive: Path, *members: tuple[str, bytes, str | bytes], mode: str = "w") -> Path:
    """Members as (name, tarfile's type, content or target)."""
    with tarfile.open(archive, mode) as made:  # type: ignore[call-overload]
        for name, kind, what in members:
            one = tarfile.TarInfo(name)
            one.type = kind
            one.mode = 0o4755 if name.startswith("setuid") else 0o644
            data = what if isinstance(what, bytes) else b""
            one.linkname = what if isinstance(what, str) else ""
            one.size = len(data)
            made.addfile(one, io.BytesIO(data))
    return archive


def make_zip(archive: Path, *members: tuple[str, bytes], system: int = 3, method: int = 0) -> Path:
    with warnings.catch_warnings(), zipfile.ZipFile(archive, "w", method) as made:
        warnings.simplefilter("ignore")
        for name, data in members:
            one = zipfile.ZipInfo("x")
            one.filename, one.create_system, one.compress_type = name, system, method
            made.writestr(one, data)
    return archive


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def refusals(hooks: Quiet) -> dict[str, str]:
    for path, error in hooks.failures:
        assert error.message.startswith("cannot ") and visible_line(error.message) == error.message
        check = path.split("/")
        assert ".." not in check
    return {path: error.message for path, error in hooks.failures}


async def test_attacks_do_not_get_out(tmp_path: Path) -> None:
    found = await attempts(250, 20_261, tmp_path)
    assert found.successes == []
    assert found.attempts == 250 and found.refused < found.entries


async def test_the_attacks_are_real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "leads_inside", lambda _folder, _target: True)
    assert (await attempts(40, 20_261, tmp_path)).successes


async def test_a_link_and_then_a_write_through_it(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    archive = make_tar(
        tmp_path / "x.tar",
        ("l", tarfile.SYMTYPE, str(tmp_path / "outside")),
        ("l/file", tarfile.REGTYPE, b"attack"),
        ("up", tarfile.SYMTYPE, "../outside"),
        ("up/file", tarfile.REGTYPE, b"attack"),
        ("in", tarfile.SYMTYPE, "l"),
    )
    hooks = await unpacked(archive, tmp_path / "t")
    assert not list((tmp_path / "outside").iterdir())
    assert "leads out of the folder" in refusals(hooks)["l"] and "leads out" in refusals(hooks)["up"]
    assert (tmp_path / "t/l/file").read_bytes() == b"attack" and not (tmp_path / "t/l").is_symlink()
    assert (tmp_path / "t/in").readlink() == Path("l")


async def test_a_folder_swapped_for_a_link_before_it_is_filled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "outside").mkdir()
    archive = make_tar(tmp_path / "x.tar", ("file", tarfile.REGTYPE, b"attack"))
    make = LocalPlace.make_folder

    async def swapped(place: LocalPlace, path: str, mode: int | None = None) -> None:
        await make(place, path, mode)
        Path(path).rmdir()
        Path(path).symlink_to(tmp_path / "outside")

    monkeypatch.setattr(LocalPlace, "make_folder", swapped)
    with refused(frozenset({"conflict"})) as caught:
        await unpacked(archive, tmp_path / "t")
    assert "in its place" in caught.error.message
    assert (tmp_path / "outside").is_dir() and not names_in(tmp_path / "outside")


async def test_links_that_together_lead_out(tmp_path: Path) -> None:
    archive = make_tar(
        tmp_path / "x.tar",
        ("a/b/c/top", tarfile.SYMTYPE, "../../.."),
        ("out", tarfile.SYMTYPE, "a/b/c/top/../secret"),
    )
    (tmp_path / "secret").write_text("SECRET")
    hooks = await unpacked(archive, tmp_path / "t")
    assert (tmp_path / "t/a/b/c/top").resolve() == (tmp_path / "t").resolve()
    assert "out" in refusals(hooks) and not (tmp_path / "t/out").is_symlink()


async def test_second_names_of_files_outside(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("SECRET")
    archive = make_tar(
        tmp_path / "x.tar",
        ("a", tarfile.LNKTYPE, "../secret"),
        ("b", tarfile.LNKTYPE, str(tmp_path / "secret")),
        ("s", tarfile.SYMTYPE, "../secret"),
        ("c", tarfile.LNKTYPE, "s"),
        ("f", tarfile.REGTYPE, b"file"),
        ("g", tarfile.LNKTYPE, "f"),
    )
    hooks = await unpacked(archive, tmp_path / "t")
    assert set(refusals(hooks)) == {"a", "b", "s", "c"}
    assert set(names_in(tmp_path / "t")) == {"f", "g"}
    assert (tmp_path / "t/f").samefile(tmp_path / "t/g")
    assert (tmp_path / "secret").stat().st_nlink == 1


async def test_devices_pipes_and_rights_of_owners(tmp_path: Path) -> None:
    archive = make_tar(
        tmp_path / "x.tar",
        ("null", tarfile.CHRTYPE, ""),
        ("disk", tarfile.BLKTYPE, ""),
        ("pipe", tarfile.FIFOTYPE, ""),
        ("setuid", tarfile.REGTYPE, b"program"),
    )
    hooks = await unpacked(archive, tmp_path / "t")
    assert set(refusals(hooks)) == {"null", "disk", "pipe"}
    assert "device" in refusals(hooks)["disk"]
    assert names_in(tmp_path / "t") == ["setuid"]
    assert stat.S_IMODE((tmp_path / "t/setuid").stat().st_mode) == 0o755
    assert list(hooks.lost) == ["“setuid” may not run with the rights of its owner or group any more"]
    async with opened(archive) as place:
        assert (await place.entry("null")).kind is EntryKind.OTHER
        assert set(await place.flags()) == {"null", "disk", "pipe", "setuid"}


# ---------------------------------------------------------------------- bombs


def _zeros_gz(size: int) -> bytes:
    assert size % (64 * MIB) == 0
    return gzip.compress(bytes(64 * MIB), mtime=0) * (size // (64 * MIB))


def _header(size: int) -> bytes:
    one = tarfile.TarInfo("zeros")
    one.size = size
    return one.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("kind", ["gz", "bz2", "zst"])
async def test_ten_gigabytes_of_zeros(tmp_path: Path, kind: str) -> None:
    size = 10 << 30
    piece = bytes(64 * MIB)
    pack: Callable[[bytes], bytes] = {
        "gz": lambda data: gzip.compress(data),
        "bz2": lambda data: bz2.compress(data),
        "zst": lambda data: zstandard.compress(data),
    }[kind]
    archive = tmp_path / f"bomb.tar.{kind}"
    archive.write_bytes(pack(_header(size)) + pack(piece) * (size // len(piece)))
    with refused(LIMIT) as caught:
        await unpacked(archive, tmp_path / "t")
    assert "250 times" in caught.error.message and caught.error.hint
    assert names_in(tmp_path) == [archive.name]
    with refused(LIMIT):
        async with opened(archive) as place:
            await listed(place, "")


async def test_a_bomb_that_lies_about_its_size(tmp_path: Path) -> None:
    packed = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = packed.compress(bytes(256 * MIB)) + packed.flush()
    archive = make_zip(tmp_path / "x.zip", ("zeros", data), ("other", b"kept"))
    raw = bytearray(archive.read_bytes())
    central = raw.index(b"PK\1\2")
    for method, size in ((8, 22), (central + 10, central + 24)):
        struct.pack_into("<H", raw, method, 8)
        struct.pack_into("<L", raw, size, 1000)
    archive.write_bytes(raw)
    hooks = await unpacked(archive, tmp_path / "t")
    assert refusals(hooks) == {
        "zeros": f"cannot read “zeros” in “{archive}”: more comes out of it than it says"
    }
    assert names_in(tmp_path / "t") == ["other"]
    async with opened(archive) as place:
        with refused(BROKEN):
            await read(place, "zeros")


async def test_a_bomb_of_files_that_share_their_bytes(tmp_path: Path) -> None:
    packed = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = packed.compress(bytes(64 * MIB)) + packed.flush()
    archive = make_zip(tmp_path / "x.zip", ("000000", data))
    raw = archive.read_bytes()
    start = raw.index(b"PK\1\2")
    row, local = bytearray(raw[start : raw.index(b"PK\5\6")]), bytearray(raw[:start])
    for part, method, crc in ((row, 10, 16), (local, 8, 14)):
        struct.pack_into("<H", part, method, 8)
        struct.pack_into("<L", part, crc, zlib.crc32(bytes(64 * MIB)))
    struct.pack_into("<L", row, 24, 64 * MIB)
    rows = b"".join(bytes(row[:46]) + b"%06d" % number for number in range(1000))
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1000, 1000, len(rows), len(local), 0)
    archive.write_bytes(local + rows + end)
    with refused(LIMIT):
        await unpacked(archive, tmp_path / "t", limits=Limits(ratio=100))
    assert names_in(tmp_path) == ["x.zip"]


async def test_archives_in_archives_stay_packed(tmp_path: Path) -> None:
    inner = b"x" * 1000
    for _ in range(20):
        memory = io.BytesIO()
        with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as made:
            for number in range(4):
                made.writestr(f"{number}.zip", inner)
        inner = memory.getvalue()
    (tmp_path / "x.zip").write_bytes(inner)
    await unpacked(tmp_path / "x.zip", tmp_path / "t")
    assert sorted(names_in(tmp_path / "t")) == ["0.zip", "1.zip", "2.zip", "3.zip"]


async def test_more_entries_than_the_cap(tmp_path: Path) -> None:
    header = _header(0)
    archive = tmp_path / "x.tar"
    archive.write_bytes(header * 30_000 + bytes(1024))
    with refused(LIMIT) as caught:
        await unpacked(archive, tmp_path / "t", limits=Limits(entries=20_000))
    assert "more than 20,000 entries" in caught.error.message
    assert names_in(tmp_path) == ["x.tar"]
    with refused(LIMIT):
        async with opened(archive, limits=Limits(listed=20_000)) as place:
            await listed(place, "")


async def test_ten_million_entries_are_refused_before_they_are_read(tmp_path: Path) -> None:
    archive = tmp_path / "x.zip"
    count, length = 10_000_000, 460_000_000
    with archive.open("wb") as made:
        made.truncate(length)  # a hole: nobody reads it
        made.seek(length)
        made.write(struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, length, 0))
        made.write(struct.pack("<4sLQL", b"PK\6\7", 0, length, 1))
        made.write(struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0))
    for deed in (unpacked(archive, tmp_path / "t"), _whole(archive)):
        with refused(LIMIT) as caught:
            await deed
        assert "entries" in caught.error.message


async def _whole(archive: Path) -> set[str]:
    async with opened(archive) as place:
        return set(await listed(place, ""))


@pytest.mark.parametrize("ending", [".tar", ".zip"])
async def test_a_hundred_thousand_entries(tmp_path: Path, ending: str) -> None:
    archive = tmp_path / f"x{ending}"
    count = 100_000
    if ending == ".tar":
        with archive.open("wb") as made:
            for number in range(count):
                made.write(tarfile.TarInfo(f"d/{number:06d}").tobuf(tarfile.USTAR_FORMAT))
            made.write(bytes(1024))
    else:
        make_zip(archive, *((f"d/{number:06d}", b"") for number in range(count)))
    async with opened(archive) as place:
        batches = place.list("d")
        first = await anext(batches)
        assert len(first) <= 4096
        rest = [entry.name async for batch in batches for entry in batch]
        assert len({*rest, *(entry.name for entry in first)}) == count
        assert (await place.entry("d/099999")).kind is EntryKind.FILE


# ---------------------------------------------------------------------- damage


def _samples() -> dict[str, bytes]:
    rng = random.Random(7)
    files = {f"d{number % 3}/f{number}": rng.randbytes(number * 700) for number in range(8)}
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w") as made:
        for name, data in files.items():
            one = tarfile.TarInfo(name)
            one.size = len(data)
            made.addfile(one, io.BytesIO(data))
    plain = memory.getvalue()
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, data in files.items():
            zipped.writestr(name, data)
    return {
        ".tar": plain,
        ".tar.gz": gzip.compress(plain, mtime=0),
        ".tar.bz2": bz2.compress(plain),
        ".tar.zst": zstandard.compress(plain),
        ".zip": memory.getvalue(),
    }


SAMPLES = _samples()


@given(
    ending=st.sampled_from(sorted(SAMPLES)),
    cut=st.floats(0, 1),
    flips=st.lists(st.tuples(st.floats(0, 1), st.integers(1, 255)), max_size=4),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_damaged_archives_are_named(
    tmp_path: Path, ending: str, cut: float, flips: list[tuple[float, int]]
) -> None:
    data = bytearray(SAMPLES[ending])
    for at, bits in flips:
        data[int(at * (len(data) - 1))] ^= bits
    data = data[: len(data) if flips else int(cut * len(data))]
    yard = tmp_path / "yard"
    yard.mkdir(exist_ok=True)
    archive = yard / f"x{ending}"
    archive.write_bytes(data)
    limits = Limits(size=64 * MIB, header=1 << 16)
    before = picture(yard, times=False)
    try:
        hooks = await unpacked(archive, yard / "t", limits=limits)
        refusals(hooks)
    except LabboxError as error:
        assert error.message.startswith("cannot ") and visible_line(error.message) == error.message
        assert picture(yard, times=False) == before, "something was left"
    else:
        shutil.rmtree(yard / "t")
    try:
        async with opened(archive, limits=limits) as place:
            async for batch in place.list(""):
                for entry in batch:
                    check_name(entry.name)
    except LabboxError as error:
        assert error.message.startswith("cannot ")


async def test_what_is_there_of_a_cut_archive_is_shown(tmp_path: Path) -> None:
    archive = tmp_path / "x.tar"
    archive.write_bytes(SAMPLES[".tar"][:9000])
    names: list[str] = []
    async with opened(archive) as place:
        with refused(BROKEN) as caught:
            async for batch in place.list(""):
                names += [entry.name for entry in batch]
        assert "cut off" in caught.error.message
        assert len(await read(place, "d1/f1")) == 700
    assert sorted(names) == ["d0", "d1", "d2"]
    with refused(BROKEN):
        await unpacked(archive, tmp_path / "t")
    assert names_in(tmp_path) == ["x.tar"]


@pytest.mark.parametrize("ending", [".zip", ".tar", ".tar.gz", ".7z"])
@pytest.mark.parametrize("data", [b"", b"hello", b"PK\5\6", bytes(100)])
async def test_what_is_no_archive_says_so(tmp_path: Path, ending: str, data: bytes) -> None:
    archive = tmp_path / f"x{ending}"
    archive.write_bytes(data)
    with refused(BROKEN):
        async with opened(archive):
            pass
    with refused(BROKEN):
        await unpacked(archive, tmp_path / "t")
    assert names_in(tmp_path) == [archive.name]


async def test_a_wrong_checksum(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "x.zip", ("a", b"hello"), ("b", b"right"))
    archive.write_bytes(archive.read_bytes().replace(b"hello", b"jello"))
    hooks = await unpacked(archive, tmp_path / "t")
    assert refusals(hooks) == {"a": f"cannot read “a” in “{archive}”: its checksum does not fit"}
    assert names_in(tmp_path / "t") == ["b"]


async def test_an_encrypted_zip(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "x.zip", ("a", b"hello"), ("b", b"open"))
    raw = bytearray(archive.read_bytes())
    raw[6] |= 1
    raw[raw.index(b"PK\1\2") + 8] |= 1
    archive.write_bytes(raw)
    hooks = await unpacked(archive, tmp_path / "t")
    assert refusals(hooks) == {"a": f"cannot read “a” in “{archive}”: it is encrypted"}
    assert "password" in hooks.failures[0][1].hint
    async with opened(archive) as place:
        assert set(await listed(place, "")) == {"a", "b"}
        with refused(BROKEN) as caught:
            await place.open("a")
        assert "encrypted" in caught.error.message
        assert await read(place, "b") == b"open"


# ---------------------------------------------------------------------- names


async def test_names_of_tar_are_harmless_and_flagged(tmp_path: Path) -> None:
    archive = make_tar(
        tmp_path / "x.tar",
        ("/etc/passwd", tarfile.REGTYPE, b"absolute"),
        ("../../up", tarfile.REGTYPE, b"up"),
        ("a/../../b", tarfile.REGTYPE, b"within"),
        ("twice", tarfile.REGTYPE, b"first"),
        ("twice", tarfile.REGTYPE, b"second"),
        ("both", tarfile.REGTYPE, b"a file"),
        ("both/below", tarfile.REGTYPE, b"and a folder"),
        ("n" * 300, tarfile.REGTYPE, b"long"),
        ("out", tarfile.SYMTYPE, "/etc/passwd"),
        ("./plain", tarfile.REGTYPE, b"plain"),
        ("d/" * 400 + "deep", tarfile.REGTYPE, b"deep"),
    )
    async with opened(archive) as place:
        names = await listed(place, "")
        for name in names:
            check_name(name)
        flags = await place.flags()
        assert await read(place, "etc/passwd") == b"absolute" and "root" in flags["etc/passwd"]
        assert await read(place, "(..)/(..)/up") == b"up" and "leads out" in flags["(..)/(..)/up"]
        assert await read(place, "twice") == b"second" and "more than once" in flags["twice"]
        assert await read(place, "both/below") == b"and a folder"
        assert await read(place, "both (file)") == b"a file" and "file and a folder" in flags["both"]
        assert "leads out" in flags["out"] and names["out"].target == "/etc/passwd"
        with refused(frozenset({"not_found"})) as caught:
            await place.entry("out", follow=True)
        assert "leads out of the archive" in caught.error.message
        long = next(name for name in names if name.startswith("nnn"))
        assert await read(place, long) == b"long"
    hooks = await unpacked(archive, tmp_path / "t")
    assert (tmp_path / "t/etc/passwd").read_bytes() == b"absolute" and any(
        "root" in text for text in hooks.lost
    )
    assert (tmp_path / "t/twice").read_bytes() == b"second"
    there = [path for path in (tmp_path / "t").rglob("*") if path.is_file()]
    assert hooks.counts[EntryKind.FILE] == len(there)  # what gave way does not count
    assert (tmp_path / "t/plain").read_bytes() == b"plain"
    gone = refusals(hooks)
    assert "(..)/(..)/up" in gone and long in gone and "out" in gone and len(gone) == 6


async def test_names_of_zip_are_read_as_they_were_written(tmp_path: Path) -> None:
    made = make_zip(tmp_path / "dos.zip", ("dir\\file.txt", b"1"), ("C:\\Windows\\x", b"2"), system=0)
    async with opened(made) as place:
        assert await read(place, "dir/file.txt") == b"1"
        assert await read(place, "C:/Windows/x") == b"2"
        assert set(await place.flags()) == {"C:/Windows/x"}
    made = make_zip(tmp_path / "unix.zip", ("back\\slash", b"1"), ("é", b"2"), ("../x", b"3"), ("/y", b"4"))
    async with opened(made) as place:
        assert set(await listed(place, "")) == {"back\\slash", "é", "(..)", "y"}
    raw = make_zip(tmp_path / "old.zip", ("xxx", b"1"), system=0).read_bytes()
    (tmp_path / "old.zip").write_bytes(raw.replace(b"xxx", b"\x84\x94\x81"))
    async with opened(tmp_path / "old.zip") as place:
        assert await read(place, "äöü") == b"1"
    (tmp_path / "raw.zip").write_bytes(
        make_zip(tmp_path / "raw.zip", ("xxx", b"1")).read_bytes().replace(b"xxx", b"\xe4\0b")
    )
    async with opened(tmp_path / "raw.zip") as place:
        assert await read(place, "\udce4␀b") == b"1"
    hooks = await unpacked(tmp_path / "raw.zip", tmp_path / "t")
    assert len(refusals(hooks)) == 1 and not names_in(tmp_path / "t")


async def test_a_header_that_asks_for_too_much(tmp_path: Path) -> None:
    one = tarfile.TarInfo("././@LongLink")
    one.type, one.size = tarfile.GNUTYPE_LONGNAME, 1 << 32
    archive = tmp_path / "x.tar"
    with archive.open("wb") as made:
        made.write(one.tobuf(tarfile.GNU_FORMAT))
        made.truncate(1 << 33)
    with refused(BROKEN) as caught:
        async with opened(archive):
            pass
    assert "too long" in caught.error.message


async def test_without_7zip_the_way_out_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "x.7z"
    archive.write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(100))
    with refused(BROKEN):  # with the program it is a damaged archive
        async with opened(archive):
            pass
    monkeypatch.setattr("labbox.files.archives.sevenzip._PROGRAMS", ("no-such-program",))
    with refused(frozenset({"unavailable"})) as caught:
        async with opened(archive):
            pass
    assert "is not installed" in caught.error.message and "apt install 7zip" in caught.error.hint


@given(st.text(alphabet="ab./\\\0é:", max_size=40))
def test_clean_names_are_names(raw: str) -> None:
    for part in clean(raw, 5).parts:
        check_name(part)
    assert len(clean(raw, 5).parts) <= 5


@given(st.lists(st.sampled_from(["a", "b"]), max_size=4), st.text(alphabet="a./", max_size=12))
def test_links_that_are_let_in_stay_in(folder: list[str], target: str) -> None:
    if leads_inside(tuple(folder), target):
        path = os.path.normpath("/top/" + "/".join(folder) + "/" + target)
        assert path == "/top" or path.startswith("/top/")
