"""Opening what stands in a shared folder: the trash stays its owner's, lists give way, links lead nowhere."""

from __future__ import annotations

import os
import stat
import struct
from pathlib import Path

import pytest

from labbox.files import deeds, sharing
from labbox.files.editing import EditedFile
from labbox.files.following import no_tick
from labbox.files.places.opening import Places, Roots
from labbox.files.plaintext import PlainText
from labbox.locations import parse

pytestmark = pytest.mark.root

GROUP = 70_123


@pytest.fixture
def top(tmp_path: Path) -> Path:
    folder = tmp_path / "shared"
    folder.mkdir()
    os.chown(folder, 0, GROUP)
    folder.chmod(0o2770)
    return folder


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def opened(top: Path, moment: int = 0) -> None:
    folder = os.open(top, os.O_RDONLY)
    try:
        sharing.open_below(folder, sharing.since(moment), no_tick)
    finally:
        os.close(folder)


def test_the_trash_stays_its_owners(top: Path) -> None:
    trash = top / sharing.trash_name()
    trash.mkdir(0o700)
    (trash / "thrown").write_text("")
    (trash / "thrown").chmod(0o600)
    opened(top)
    assert (mode(trash) & 0o777, mode(trash / "thrown")) == (0o700, 0o600)


def test_what_was_there_before_and_what_links_lead_to_stays(top: Path, tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(0o700)
    (private / "letter").write_text("")
    (private / "letter").chmod(0o600)
    (top / "link").symlink_to(private)
    (top / "link-2").symlink_to(private / "letter")
    (top / "old").write_text("")
    (top / "old").chmod(0o600)
    opened(top, (top / "old").stat().st_ctime_ns + 10**9)
    assert mode(top / "old") == 0o600
    opened(top)
    assert (mode(top / "old"), mode(private), mode(private / "letter")) == (0o660, 0o700, 0o600)


def test_what_was_moved_there_is_opened_with_all_below(top: Path, tmp_path: Path) -> None:
    (tmp_path / "study" / "deep").mkdir(parents=True, mode=0o700)
    (tmp_path / "study" / "deep" / "run").write_text("")
    (tmp_path / "study" / "deep" / "run").chmod(0o700)
    (tmp_path / "study").rename(top / "study")
    opened(top, 1 << 62)
    for path, wanted in (("study", 0o2770), ("study/deep", 0o2770), ("study/deep/run", 0o770)):
        assert (mode(top / path) | 0o005, (top / path).stat().st_gid) == (wanted | 0o005, GROUP), path


def test_an_access_list_that_came_along_lets_the_group_in(top: Path) -> None:
    (top / "file").write_text("")
    rows = (
        (0x01, 6, 0xFFFFFFFF),
        (0x02, 4, 12345),
        (0x04, 0, 0xFFFFFFFF),
        (0x10, 4, 0xFFFFFFFF),
        (0x20, 0, 0xFFFFFFFF),
    )
    brought = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *row) for row in rows)
    os.setxattr(top / "file", "system.posix_acl_access", brought)
    opened(top)
    found = os.getxattr(top / "file", "system.posix_acl_access")
    read = {tag: bits for tag, bits, _ in struct.iter_unpack("<HHI", found[4:])}
    assert (read[0x04], read[0x10]) == (6, 6)


def test_a_log_that_is_cut_is_made_up_for(top: Path, tmp_path: Path) -> None:
    (top / "file").write_text("")
    (top / "file").chmod(0o600)
    log = tmp_path / "log"
    log.write_text(f'open "{"x" * 1000}\n')
    with log.open("rb") as file:
        read = deeds.open_logged(file.fileno(), 0, "/", 0, (str(top),), no_tick)
    assert (mode(top / "file"), read) == (0o660, log.stat().st_size)


def test_a_file_that_is_still_written_waits(top: Path, tmp_path: Path) -> None:
    (top / "file").write_text("")
    log = tmp_path / "log"
    first = f'mkdir name "{top}/folder" mode 0700\n'
    log.write_text(first + f'open "{top}/file" flags WRITE,CREATE,TRUNCATE mode 0600\n')
    with log.open("rb") as file:
        assert deeds.open_logged(file.fileno(), 0, "/", 0, (), no_tick) == len(first)
        (top / "file").chmod(0o600)
        with log.open("a") as more:
            more.write(f'set "{top}/file" mode 0600\nclose "{top}/file" bytes read 0 written 0\n')
        assert deeds.open_logged(file.fileno(), len(first), "/", 0, (), no_tick) == log.stat().st_size
    assert mode(top / "file") == 0o660


def test_a_folder_that_was_put_and_renamed_is_opened_with_all_in_it(top: Path, tmp_path: Path) -> None:
    (top / "put" / "deep").mkdir(parents=True)
    (top / "put" / "deep" / "file").write_text("")
    for path, bits in (("put/deep/file", 0o400), ("put/deep", 0o700), ("put", 0o700)):
        os.chown(top / path, -1, GROUP)
        (top / path).chmod(bits)  # a client that keeps modes takes away that the group is handed on
    lines = [
        'mkdir name "first" mode 0700', 'mkdir name "first/deep" mode 0700',
        'open "first/deep/file" flags WRITE,CREATE,TRUNCATE mode 0400', 'set "first/deep/file" mode 0400',
        'close "first/deep/file" bytes read 0 written 0', 'set "first/deep" mode 0700',
        'set "first" mode 0700', 'posix-rename old "first" new "put"',
    ]  # fmt: skip
    log = tmp_path / "log"
    log.write_text("".join(f"{line}\n" for line in lines))
    with log.open("rb") as file:
        deeds.open_logged(file.fileno(), 0, str(top), 0, (), no_tick)
    assert [mode(top / path) for path in ("put", "put/deep", "put/deep/file")] == [0o2770, 0o2770, 0o660]


def test_what_is_renamed_while_the_log_is_gone_through_is_opened(top: Path, tmp_path: Path) -> None:
    (top / "file.part").write_text("")
    os.chown(top / "file.part", -1, GROUP)
    (top / "file.part").chmod(0o600)
    log = tmp_path / "log"
    lines = (
        'open "{}" flags WRITE,CREATE mode 0600',
        'set "{}" mode 0600',
        'close "{}" bytes read 0 written 0',
    )
    first = "".join(f"{line}\n".format("file.part") for line in lines)
    log.write_text(first)

    def rename() -> None:
        if (top / "file.part").exists():
            with log.open("a") as more:
                more.write('posix-rename old "file.part" new "file"\n')
            (top / "file.part").rename(top / "file")

    with log.open("rb") as file:
        assert deeds.open_logged(file.fileno(), 0, str(top), 0, (), rename) == len(first)
        assert deeds.open_logged(file.fileno(), len(first), str(top), 0, (), no_tick) == log.stat().st_size
    assert mode(top / "file") == 0o660


async def test_the_screens_folder_save_and_rename(top: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir(0o700)
    (tmp_path / "mine" / "file").write_text("")
    (tmp_path / "mine" / "file").chmod(0o600)
    before = os.umask(0o027)
    try:
        async with Places(Roots(home=str(tmp_path), shared=str(top))) as places:
            place, _ = await places.get(parse("shared:/"))
            await place.make_folder("/made")
            edited = await EditedFile.at(places, parse("shared:/made/notes.txt"))
            await edited.save(PlainText("text\n"))
            box, _ = await places.get(parse("~"))
            await box.rename("~/mine", f"{top}/moved")
    finally:
        os.umask(before)
    for path, wanted in (
        ("made", 0o2770), ("made/notes.txt", 0o660), ("moved", 0o2770), ("moved/file", 0o660),
    ):  # fmt: skip
        assert (mode(top / path) & wanted, (top / path).stat().st_gid) == (wanted, GROUP), path
