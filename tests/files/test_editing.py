"""Texts go into the editor and back byte for byte; a save is whole, or has not happened."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from passable import passable

from labbox.errors import LabboxError
from labbox.files.editing import MAX_BYTES, ChangedBeneathError, EditedFile, FolderClosedError
from labbox.files.places.local import LocalPlace
from labbox.files.places.opening import Places, Roots
from labbox.files.plaintext import Encoding, PlainText, decode, encode
from labbox.files.standins import hidden, name_of, pictured, revealed
from labbox.locations import parse
from labbox.text import visible_line

ODD = [
    chr(code) for code in (*range(32), 127, *range(128, 160), 0x202E, 0x2066, 0xFEFF, 0xE0041, 0x2028, 0x85)
]


@pytest.fixture
async def places(tmp_path: Path) -> AsyncIterator[Places]:
    async with Places(Roots(home=str(tmp_path))) as made:
        yield made


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


async def edited(places: Places, name: str) -> EditedFile:
    return await EditedFile.at(places, parse(name))


def leavings(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.endswith(".labbox")]


@given(st.binary(max_size=400))
@example(b"\xef\xbb\xbfmark\r\n")
@example(b"\xff\xfea\0b")  # half a UTF-16
@example(b"\xff\xfea\0\r\0\n\0")
@example(b"\xfe\xff\0a\xd8\x00")  # a surrogate that is alone
@example(b"gr\xfc\xdfe\r")
@example(b"\xc3\xa4 and \xff")
@example(b"one\r\ntwo\nthree\r")
@example(b"\xed\xa0\x80")
@example("soft\u00adhyphen, zero\u200bwidth, \u2060 joiner".encode())
@example(b"\xad")
def test_every_file_comes_back_byte_for_byte(data: bytes) -> None:
    plain = decode(data)
    assert encode(plain) == data
    shown = pictured(plain.text)
    assert len(shown) == len(plain.text)
    assert visible_line(shown.replace("\n", "").replace("\t", "")) == shown.replace("\n", "").replace(
        "\t", ""
    )


@given(st.text(st.one_of(st.sampled_from(ODD), st.characters(codec="utf-8")), max_size=200))
def test_what_is_hidden_is_revealed_as_it_was(text: str) -> None:
    assert revealed(hidden(text)) == text
    assert hidden(hidden(text)) == hidden(text)
    assert len(hidden(text)) == len(text)


@pytest.mark.parametrize(
    ("data", "encoding", "ends", "text"),
    [
        (b"a\nb\n", Encoding.UTF8, "LF", "a\nb\n"),
        (b"a\r\nb", Encoding.UTF8, "CRLF", "a\nb"),
        (b"a\rb\r", Encoding.UTF8, "CR", "a\nb\n"),
        (b"\xef\xbb\xbfa", Encoding.UTF8_BOM, "LF", "a"),
        ("ö\r\n".encode("utf-16"), Encoding.UTF16_LE, "CRLF", "ö\n"),
        (b"\xfe\xff\0a", Encoding.UTF16_BE, "LF", "a"),
        ("größe".encode("latin-1"), Encoding.LATIN1, "LF", "größe"),
        (b"", Encoding.UTF8, "LF", ""),
    ],
)
def test_encoding_and_line_ends_are_found(data: bytes, encoding: Encoding, ends: str, text: str) -> None:
    plain = decode(data)
    assert (plain.encoding, plain.ends, plain.text) == (encoding, ends, text)


def test_mixed_line_ends_stay_mixed() -> None:
    plain = decode(b"a\r\nb\n")
    assert pictured(plain.text) == "a␍\nb\n"
    assert encode(plain._replace(text=plain.text + "c\n")) == b"a\r\nb\nc\n"


def test_what_an_encoding_lacks_is_named_with_its_line() -> None:
    plain = PlainText("größe\n→", Encoding.LATIN1, "\r\n")
    with pytest.raises(LabboxError, match=r"cannot write “→” \(line 2\) in Latin-1"):
        encode(plain)


def test_hostile_characters_have_names() -> None:
    names = [name_of(hidden(character)) for character in ("\x1b", "\u202e", "a")]
    assert names == ["U+001B", "U+202E", "U+0061 a"]
    assert name_of(b"\xff".decode("utf-8", "surrogateescape")) == "byte ff"


async def test_a_save_keeps_mode_and_attributes_and_is_another_file(places: Places, tmp_path: Path) -> None:
    path = tmp_path / "run.sh"
    path.write_bytes(b"#!/bin/sh\r\n")
    path.chmod(0o750)
    os.setxattr(path, "user.origin", b"scanner 3")
    before = path.stat()
    file = await edited(places, "~/run.sh")
    plain = await file.read()
    await file.save(plain._replace(text=plain.text + "true\n"))
    after = path.stat()
    assert path.read_bytes() == b"#!/bin/sh\r\ntrue\r\n"
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino
    assert os.getxattr(path, "user.origin") == b"scanner 3"
    assert not leavings(tmp_path)
    await file.save(plain)  # and again, knowing what it wrote itself
    assert path.read_bytes() == b"#!/bin/sh\r\n"


@pytest.mark.root
async def test_a_file_of_somebody_else_stays_theirs(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "theirs"
    path.write_text("old and long\n")
    os.chown(path, 70_001, 70_001)
    file = await edited(places, "~/theirs")
    await file.read()
    await file.save(PlainText("new\n"))
    assert (path.read_text(), path.stat().st_uid, path.stat().st_gid) == ("new\n", 70_001, 70_001)

    async def nothing(*_: object) -> None: ...

    monkeypatch.setattr(LocalPlace, "change", nothing)  # as where the caller may give no file away
    inode = path.stat().st_ino
    await file.save(PlainText("newer still\n"))
    assert (path.read_text(), path.stat().st_uid, path.stat().st_ino) == ("newer still\n", 70_001, inode)
    assert not leavings(tmp_path)


async def test_all_names_of_a_file_see_the_change(places: Places, tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("a long old text\n")
    other.hardlink_to(one)
    file = await edited(places, "~/one")
    await file.read()
    await file.save(PlainText("short\n"))
    assert other.read_text() == "short\n" and other.samefile(one)
    assert not leavings(tmp_path)


async def test_a_link_stays_one_and_its_target_is_edited(places: Places, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    target = tmp_path / "deep" / "real.txt"
    target.write_text("old\n")
    (tmp_path / "link").symlink_to("deep/real.txt")
    file = await edited(places, "~/link")
    assert (await file.read()).text == "old\n"
    await file.save(PlainText("new\n"))
    assert (tmp_path / "link").is_symlink() and target.read_text() == "new\n"
    assert not leavings(tmp_path) and not leavings(tmp_path / "deep")


@pytest.mark.parametrize("deed", ["change", "same size", "replace", "remove", "make"])
async def test_a_change_underneath_is_noticed_and_never_overwritten(
    places: Places, tmp_path: Path, deed: str
) -> None:
    path = tmp_path / "shared.txt"
    if deed != "make":
        path.write_text("mine\n")
    file = await edited(places, "~/shared.txt")
    await file.read()
    assert not await file.changed()
    match deed:
        case "change" | "make":
            path.write_text("theirs, longer\n")
        case "same size":
            path.write_text("thei\n")
            os.utime(path, ns=(1, 1))
        case "replace":
            kept = path.stat()
            (tmp_path / "new").write_text("hers\n")
            os.utime(tmp_path / "new", ns=(kept.st_mtime_ns, kept.st_mtime_ns))
            (tmp_path / "new").replace(path)
        case "remove":
            path.unlink()
    assert await file.changed()
    theirs = path.read_bytes() if path.exists() else None
    with pytest.raises(ChangedBeneathError, match="just so: somebody else has"):
        await file.save(PlainText("mine again\n"))
    assert (path.read_bytes() if path.exists() else None) == theirs
    assert not leavings(tmp_path)
    await file.save(PlainText("mine again\n"), over=True)
    assert path.read_text() == "mine again\n" and not await file.changed()


async def test_a_change_while_the_new_text_is_written_is_noticed(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "shared.txt"
    path.write_text("mine\n")
    file = await edited(places, "~/shared.txt")
    await file.read()
    change = LocalPlace.change

    async def meanwhile(self: LocalPlace, where: str, attributes: object) -> None:
        path.write_text("theirs\n")
        await change(self, where, attributes)  # type: ignore[arg-type]

    monkeypatch.setattr(LocalPlace, "change", meanwhile)
    with pytest.raises(ChangedBeneathError):
        await file.save(PlainText("mine again\n"))
    assert path.read_text() == "theirs\n" and not leavings(tmp_path)


async def test_a_full_disk_leaves_the_old_text_whole(places: Places, small_disk: Path) -> None:
    path = small_disk / "notes.txt"
    path.write_text("old\n" * 1000)
    file = await edited(places, str(path))
    await file.read()
    with pytest.raises(LabboxError) as told:
        await file.save(PlainText("new\n" * 200_000))
    assert told.value.code == "limit" and told.value.hint
    assert told.value.message == f"cannot save {path}: the disk is full; it is as it was"
    assert path.read_text() == "old\n" * 1000 and not leavings(small_disk)
    with pytest.raises(LabboxError):
        await file.save(PlainText("new\n" * 200_000), in_place=True)
    assert path.read_text() == "old\n" * 1000
    await file.save(PlainText("new\n"))
    assert path.read_text() == "new\n"


@pytest.mark.root
def test_a_folder_that_takes_no_files_is_told_and_the_file_itself_is_written(tmp_path: Path) -> None:
    passable(tmp_path)
    folder = tmp_path / "closed"
    folder.mkdir()
    path = folder / "notes.txt"
    path.write_text("a long old text\n")
    os.chown(path, 70_322, 70_322)
    folder.chmod(0o755)

    async def deed() -> None:
        async with Places(Roots(home=str(tmp_path))) as places:
            file = await edited(places, str(path))
            await file.read()
            with pytest.raises(FolderClosedError, match="its folder does not let you"):
                await file.save(PlainText("new\n"))
            assert path.read_text() == "a long old text\n"
            await file.save(PlainText("new\n"), in_place=True)

    _as_person(deed)
    assert path.read_text() == "new\n" and list(folder.iterdir()) == [path]


def _as_person(deed: Callable[[], object]) -> None:
    import asyncio
    import traceback

    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.setgroups([])
            os.setresgid(70_322, 70_322, 70_322)
            os.setresuid(70_322, 70_322, 70_322)
            asyncio.new_event_loop().run_until_complete(deed())  # type: ignore[arg-type]
            code = 0
        except BaseException:  # noqa: BLE001 - it is told, and the code fails the test
            traceback.print_exc()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


async def test_what_is_no_text_or_too_long_or_no_file_is_refused_in_words(
    places: Places, tmp_path: Path
) -> None:
    (tmp_path / "picture").write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    with (tmp_path / "long").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    os.mkfifo(tmp_path / "pipe")
    for name, words in (
        ("~/picture", "cannot edit ~/picture: it is no text"),
        ("~/long", "cannot edit ~/long: it has 8.0 MiB, more than the 8.0 MiB"),
        ("~/pipe", "cannot edit ~/pipe: it is no plain file"),
        ("~", "cannot edit ~: it is a folder"),
    ):
        with pytest.raises(LabboxError) as told:
            await (await edited(places, name)).read()
        assert words in told.value.message and told.value.hint


async def test_a_new_file_is_made_by_the_first_save(places: Places, tmp_path: Path) -> None:
    name = "n" * 255
    file = await edited(places, f"~/{name}")
    assert not file.exists and (await file.read()).text == "" and not (tmp_path / name).exists()
    await file.save(PlainText("begun\n"))
    assert (tmp_path / name).read_text() == "begun\n" and (tmp_path / name).stat().st_mode & 0o777 == 0o644


async def test_where_nothing_can_be_written_a_save_says_so(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notes.txt").write_text("packed\n")
    file = await edited(places, "~/notes.txt")
    place, _ = await places.get(parse("~"))
    monkeypatch.setattr(place, "traits", place.traits._replace(writable=False))
    assert (await file.read()).text == "packed\n" and not file.writable
    with pytest.raises(LabboxError, match="nothing can be written there"):
        await file.save(PlainText("new\n"))


@pytest.mark.root
async def test_a_file_on_another_host_is_edited_as_one_here(tmp_path: Path) -> None:
    from sshd import Sshd

    from labbox.files.places.credentials import Credential, Secret

    server = Sshd(tmp_path / "sshd").start()
    far = tmp_path / "far.txt"
    far.write_bytes(b"one\r\ntwo \xff\xc3\xa4\r\n")
    far.chmod(0o640)

    class Kept:
        async def credential(self, host: str) -> Credential:
            key = Secret(server.key.read_text())
            return Credential("root", "127.0.0.1", server.port, private_key=key, host_keys=(server.host_key,))

    try:
        async with Places(Roots(home=str(tmp_path)), credentials=Kept()) as places:
            file = await edited(places, f"sftp://root@127.0.0.1:{server.port}/{far}")
            plain = await file.read()
            await file.save(plain._replace(text=plain.text + "three\n"))
            assert far.read_bytes() == b"one\r\ntwo \xff\xc3\xa4\r\nthree\r\n"
            assert far.stat().st_mode & 0o777 == 0o640 and not leavings(tmp_path)
            far.write_text("theirs, and longer than before")
            with pytest.raises(ChangedBeneathError):
                await file.save(plain)
            await file.save(plain, over=True)
            assert far.read_bytes() == encode(plain)
    finally:
        server.stop()
