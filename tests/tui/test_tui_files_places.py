"""The file manager on a real pseudo-terminal, beyond plain folders: archives, hosts, the mouse, any name."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from panes import BACKSPACE, DOWN, END, F3, F4, F5, F10, HOME, Panes, there
from sshd import Sshd

MARKED = re.compile(r"\d items?, ")  # in the line below a pane
HOSTILE = {
    "newline": b"h-new\nline.txt",
    "return": b"h-return\r\rover.txt",
    "clipboard": b"h-osc\x1b]52;c;aGk=\x07.txt",
    "clear": b"h-clear\x1b[2J\x1b[H.txt",
    "title": b"h-title\x1b]0;pwned\x1b\\.txt",
    "string": b"h-dcs\x1bP+q544e\x1b\\.txt",
    "c1": "h-c1\x9b31m\x9d0;x\x9c.txt".encode(),
    "bidi": "h-\u202egpj.exe\u2066\u2069\u200f.txt".encode(),
    "bytes": b"h-\xff\xfe\x80\xc3.txt",
    "surrogate": b"h-\xed\xa0\x80.txt",
    "long": b"h-long" + b"x" * 249,
    "long and wide": ("h-" + "漢" * 84).encode(),
    "dots": b"h-dots...",
    "spaces": b"h-  spaces  ",
    "wide": "h-漢字かな한글🧪.txt".encode(),
    "combining": ("h-e" + "\u0301" * 60 + "a.txt").encode(),
    "joined": "h-👩‍🔬👨‍👩‍👧‍👦🇨🇭.txt".encode(),
    "markup": b"h-[red]x[red][@click=app.quit]y.txt",
    "shell": b"h-$(touch pwned);`id`&*?.txt",
    "option": b"h--rf",
    "invisible": "h-unseen\u200b\u2060\ufeff\u00ad.txt".encode(),
    "tags": "h-\U000e0041\U000e007f.txt".encode(),
}


# ── archives ──────────────────────────────────────────────────────────────────────────────────────────────


def test_an_archive_is_entered_looked_into_and_copied_out_of(
    panes: Callable[..., Panes], tmp_path: Path
) -> None:
    (tmp_path / "into").mkdir()
    (tmp_path / "aside.txt").write_text("aside\n")
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        archive.writestr("raw/deep/one.csv", "a,b\n1,2\n")
        archive.writestr("raw/two.csv", "a,b\n3,4\n")
        archive.writestr("notes.txt", "what was packed\n")
        archive.writestr("inner.zip", b"PK\x05\x06" + bytes(18))
    at = panes()
    at.press("\t")
    at.until(lambda page: " ~" in page.splitlines()[1] and "▸~ " in page.splitlines()[1][50:])
    at.on("into")
    at.press("\r")
    at.sees("▸~/into")
    at.press("\t")
    at.on("data.zip")
    at.press("\r")
    at.sees("▸~/data.zip!/ ", "/raw ", "notes.txt")
    at.on("raw")
    at.press("\r")
    at.sees("▸~/data.zip!/raw ", "/deep ", "two.csv")
    at.press(BACKSPACE)
    at.until(lambda page: "▸~/data.zip!/ " in page and page.splitlines()[-2].startswith(" raw "))
    # F3 looks into a packed file.
    at.on("notes.txt")
    at.press(F3)
    at.sees("what was packed", "F3Quit")
    at.press("\x1b")
    at.calm()
    # F4 shows it, says that nothing can be written, and takes no letters.
    at.press(F4)
    at.sees("what was packed", "Nothing can be written here", "read-only")
    at.press("zzz", "\x1b")
    at.calm()
    # What would change the archive is refused in a sentence.
    at.press("\x1b[18~")
    at.sees("Make a folder")
    at.press("new\r")
    at.sees("Cannot ", "cannot ")
    at.press("\r")
    at.calm()
    # An archive in an archive stays packed: it is looked at, not entered.
    at.on("inner.zip")
    at.press("\r")
    at.until(lambda page: "F3Quit" in page or "cannot" in page)
    at.press("\x1b")
    at.calm()
    # F5 out of it: a folder and a file, by a transfer.
    at.press(HOME, DOWN, " ")
    at.sees("1 item")
    at.press(END, " ")
    at.sees("2 items")
    at.press(F5)
    at.sees("Copy 2 items to:", "~/into", "3 files, 2 folders", "nothing in the way")
    at.press("\r")
    at.calm()
    at.until(lambda _page: there(tmp_path / "into/raw/deep/one.csv") and there(tmp_path / "into/notes.txt"))
    at.until(lambda page: page.count("/raw ") == 2)  # the other pane shows it without being asked
    assert (tmp_path / "into/raw/deep/one.csv").read_text() == "a,b\n1,2\n"
    assert (tmp_path / "into/notes.txt").read_text() == "what was packed\n"
    # Backspace leads out, and the cursor stands on the archive.
    at.press(HOME, BACKSPACE)
    at.until(lambda page: "▸~ " in page and page.splitlines()[-2].startswith(" data.zip "))
    at.ends()


def test_what_only_claims_to_be_an_archive_is_said_and_the_pane_stays(
    panes: Callable[..., Panes], tmp_path: Path
) -> None:
    (tmp_path / "broken.zip").write_bytes(b"no archive at all\n" * 9)
    (tmp_path / "empty.tar").write_bytes(b"")
    at = panes()
    for name in ("broken.zip", "empty.tar"):
        at.on(name)
        at.press("\r")
        at.until(lambda page: "!/" in page or ("Cannot " in page and "cannot " in page))
        if "Cannot " in at.page:
            at.press("\r")
            at.calm()
            assert "▸~ " in at.page
        else:
            at.press(BACKSPACE)
            at.until(lambda page: "▸~ " in page)
    at.ends()


# ── other hosts ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with Sshd(tmp_path_factory.mktemp("sshd")) as made:
        yield made


def kept(sshd: Sshd, name: str, port: int | None = None) -> str:
    return (
        f"HostSecret(name={name!r}, user='root', host='127.0.0.1', port={port or sshd.port},"
        f" private_key={sshd.key.read_text()!r}, host_keys=({sshd.host_key!r},)),"
    )


@pytest.mark.root
def test_another_host_is_a_place_of_the_pane(
    panes: Callable[..., Panes], tmp_path: Path, sshd: Sshd, tmp_path_factory: pytest.TempPathFactory
) -> None:
    far = tmp_path_factory.mktemp("far")
    (far / "results/deep").mkdir(parents=True)
    (far / "results/table.csv").write_text("a,b\n5,6\n")
    (far / "results/deep/more.txt").write_text("more\n")
    (tmp_path / "mine.txt").write_text("from here\n")
    host = f"root@127.0.0.1:{sshd.port}"
    off = "root@127.0.0.1:1"
    at = panes(f", ({kept(sshd, host)}{kept(sshd, off, 1)})")
    # Alt+F2 names the hosts that something is kept for; the path is typed with Alt+C.
    at.press("\x1b[1;3Q")
    at.sees("Place of the right pane", f"sftp://{host}/")
    at.press(f"{sshd.port}", "\r")
    at.until(lambda page: f"▸sftp://{host}/" in page)
    at.press("\x1bc")
    at.sees("Go to")
    at.press(f"sftp://{host}/{far}/results\r")
    at.sees(f"{far.name}/results ", "/deep ", "table.csv")
    # F3 over the line.
    at.on("table.csv")
    at.press(F3)
    at.sees("F3Quit", "5")
    at.press("\x1b")
    at.calm()
    # F4: changed over there.
    at.press(F4)
    at.sees("a,b", "F2Save")
    at.press("\x1b[1;5H", "x,", "\x1b[12~")
    at.until(lambda _page: (far / "results/table.csv").read_text() == "x,a,b\n5,6\n")
    at.press(F10)
    at.calm()
    # F5 from there to here, and from here to there.
    at.press(F5)
    at.sees("Copy “table.csv” to:", "1 file", "nothing in the way")
    at.press("\r")
    at.until(lambda _page: there(tmp_path / "table.csv"))
    assert (tmp_path / "table.csv").read_text() == "x,a,b\n5,6\n"
    at.calm()
    at.press("\t")
    at.sees("▸~ ")
    at.on("mine.txt")
    at.press(F5)
    at.sees("Copy “mine.txt” to:", f"sftp://{host}", "1 file", "nothing in the way")
    at.press("\r")
    at.until(lambda _page: there(far / "results/mine.txt"))
    at.calm()
    at.until(lambda page: page.count("mine.txt") >= 3)  # the pane over there has it too
    # F7 and Backspace over there.
    at.press("\t\x1b[18~")
    at.sees("Make a folder")
    at.press("made\r")
    at.until(lambda _page: (far / "results/made").is_dir())
    at.sees("/made ")
    at.press(HOME, BACKSPACE)
    at.until(lambda page: f"{far.name} " in page.splitlines()[1] and "/results " in page)
    at.press("\r")  # the cursor stands on what was left; the line that says so is under the toasts
    at.until(lambda page: f"{far.name}/results " in page.splitlines()[1] and "/made " in page)
    # A machine that is off is named, and the pane stays where it was.
    at.press("\x1bc")
    at.sees("Go to")
    at.press(f"sftp://{off}/\r")
    at.sees("Cannot ", "nothing answers on port 1")
    at.press("\r")
    at.calm()
    at.ends()


@pytest.mark.root
def test_a_new_machine_is_met_in_the_pane(
    panes: Callable[..., Panes], sshd: Sshd, tmp_path_factory: pytest.TempPathFactory
) -> None:
    far = tmp_path_factory.mktemp("far")
    (far / "from-there.txt").write_text("hello\n")
    host = f"root@127.0.0.1:{sshd.port}"
    at = panes()
    at.press("\x1b[1;3P")  # Alt+F1: it is in no list yet
    at.sees("Place of the left pane", "Home")
    at.press("another\r")
    at.sees("Another machine", "me@my-pc")
    at.press(f"{host}//{far}\r")
    at.sees(f"{host} is new here", "Make a key", "Give a password")
    at.press("\r")
    at.sees(f"A key for {host}", "authorized_keys of root", "Copy the line")
    at.press("\r")
    sent = re.compile(rb"\x1b\]52;c;([A-Za-z0-9+/=]+)\x07")  # to its end: it may come in pieces
    at.until(lambda _page: sent.search(at.shown.seen))
    copied = sent.findall(at.shown.seen)[-1]
    line = base64.b64decode(copied).decode()
    assert line.startswith("ssh-ed25519 AAAA")
    told = subprocess.run(
        ["ssh-keygen", "-lf", sshd.folder / "host_key.pub"], check=True, capture_output=True, text=True
    )
    fingerprint = told.stdout.split()[1]
    at.press("\r")  # “Go there”, before the line is over there
    at.sees(f"Is this {host}?", fingerprint, "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub")
    at.press("\r")  # Enter does not trust
    at.calm()
    assert "▸~ " in at.page
    at.press("\x1bc")
    at.sees("Go to")
    at.press(f"sftp://{host}//{far}\r")
    at.sees(f"Is this {host}?")
    at.press("\x1b[D", "\r")
    at.sees(f"{host} does not take the key", "Use a password")
    with (sshd.folder / "authorized").open("a") as authorized:
        authorized.write(line + "\n")
    at.press("\x1b[C", "\r")
    at.sees(f"{far.name} ", "from-there.txt")
    # Set up anew, it is refused, and the list of machines is the way out.
    at.press("\x18m")
    at.sees("Other machines of ada", host, fingerprint)
    sshd.new_host_key()
    at.press("\x1bOS")
    at.sees(f"{host} shows another key", fingerprint, "F5 there confirms")
    at.press("\r")
    at.until(lambda page: "shows another key" not in page)
    at.press("\x1b[15~")
    at.sees("yes, or the fingerprint itself")
    at.press("yes\r")
    at.until(lambda page: fingerprint not in page and "SHA256:" in page)
    at.press("t")
    at.sees("answers: its")
    at.press("\r")
    at.until(lambda page: f"▸sftp://{host}/" in page)
    at.ends()


@pytest.mark.root
def test_a_host_that_goes_away_under_the_pane_is_named(panes: Callable[..., Panes], sshd: Sshd) -> None:
    host = f"root@127.0.0.1:{sshd.port}"
    at = panes(f", ({kept(sshd, host)})")
    at.press("\x1bc")
    at.sees("Go to")
    at.press(f"sftp://{host}//usr\r")
    at.sees("usr ", "/bin ")
    sshd.stop()
    at.on("share")
    at.press("\r")
    at.sees("Cannot ", "cannot ")
    at.press("\r")
    at.calm()
    assert "/bin " in at.page
    sshd.start()
    at.press("\r")
    at.sees("usr/share ")
    at.ends()


# ── places of the box ─────────────────────────────────────────────────────────────────────────────────────


def test_shared_and_projects_are_places_of_the_pane(panes: Callable[..., Panes], tmp_path: Path) -> None:
    for name in ("shared/lab", "atlas/maps"):
        (tmp_path / ".others" / name).mkdir(parents=True)
    others = tmp_path / ".others"
    at = panes(f", shared={str(others / 'shared')!r}, projects={{'atlas': {str(others / 'atlas')!r}}}")
    at.press("\x1b[1;3P")  # Alt+F1
    at.sees("Place of the left pane", "Home", "the lab's shared folder", "project:atlas/", "Root")
    at.press("atlas\r")
    at.sees("▸project:atlas/", "/maps ")
    at.press("\x1b[1;3Q")
    at.sees("Place of the right pane")
    at.press("shared\r")
    at.sees("▸shared:/", "/lab ", " project:atlas/")
    at.press(BACKSPACE)  # the top of a place is its top
    at.press("\x1b[18~")
    at.sees("Make a folder")
    at.press("new\r")
    at.until(lambda _page: (others / "shared/new").is_dir())
    at.sees("/new ")
    # The list is chosen from with the arrows too, and left with Esc.
    at.press("\x1b[1;3P")
    at.sees("Place of the left pane")
    at.press("\x1b")
    at.calm()
    at.press("\x1b[1;3P")
    at.sees("Place of the left pane")
    at.press(DOWN, "\x1b[A", "\r")
    at.sees("▸~ ")
    at.ends()


# ── the mouse ─────────────────────────────────────────────────────────────────────────────────────────────


def test_wheel_click_double_click_right_click_heading_and_tabs(
    panes: Callable[..., Panes], tmp_path: Path
) -> None:
    for number in range(80):
        (tmp_path / f"file-{number:02}").write_bytes(bytes(100 - number))
    (tmp_path / "sub/below").mkdir(parents=True)
    at = panes()
    at.sees("file-20")
    at.mouse(0, "file-05")
    at.until(lambda page: page.splitlines()[-2].startswith(" file-05  95"))
    at.mouse(2, "file-03")
    at.mouse(2, "file-04")
    at.sees("2 items, 193 B", "▌")
    at.mouse(2, "file-03")
    at.sees("1 item, 96 B")
    at.mouse(65, "file-10", times=9)
    at.until(lambda page: "file-00" not in "".join(line[:54] for line in page.splitlines()[3:-2]))
    assert "file-00" in "".join(line[56:] for line in at.page.splitlines()[3:-2])  # the other pane stays
    at.mouse(64, "file-3", times=30)
    at.until(lambda page: "/.." in page[: 54 * 8] and "file-00" in page.splitlines()[5][:54])
    # The other pane gets the keys by a click, and sorts by its heading.
    at.mouse(0, "sub", left=False)
    at.until(lambda page: "▸~" in page.splitlines()[1][54:])
    y = 3
    at.press(f"\x1b[<0;{at.page.splitlines()[2].rindex('Size') + 1};{y}M")
    at.press(f"\x1b[<0;{at.page.splitlines()[2].rindex('Size') + 1};{y}m")
    at.until(lambda page: "Size ↓" in page.splitlines()[2][54:])
    at.mouse(0, "sub", left=False, times=2)
    at.sees("▸~/sub ", "/below ")
    at.mouse(0, "..", left=False, times=2)
    at.until(lambda page: "▸~ " in page)
    # A tab is chosen by a click; so is a label of the bar of keys.
    at.press("\x14")
    at.until(lambda page: page.splitlines()[1][55:].count(" ~ ") >= 2)
    last = len(at.page.splitlines())
    column = at.page.splitlines()[-1].index("Mkdir") + 1
    at.press(f"\x1b[<0;{column};{last}M\x1b[<0;{column};{last}m")
    at.sees("Make a folder")
    at.press("\x1b")
    at.calm()
    at.ends()


# ── further keys ──────────────────────────────────────────────────────────────────────────────────────────


def test_further_keys_of_the_table_do_what_they_say(panes: Callable[..., Panes], tmp_path: Path) -> None:
    (tmp_path / "sub/below").mkdir(parents=True)
    for name in ("a.csv", "b.csv", "c.txt"):
        (tmp_path / name).write_text(name)
    at = panes()

    def left(page: str) -> str:
        return "\n".join(line[:54] for line in page.splitlines())

    def right(page: str) -> str:
        return "\n".join(line[54:] for line in page.splitlines())

    at.on("sub")
    at.press("\x1bo")  # Alt+O: this in the other pane
    at.until(lambda page: "~/sub " in right(page) and "▸~ " in left(page))
    at.press("\x15")  # Ctrl+U: the panes change places
    at.until(lambda page: "▸~/sub " in left(page) and "~ " in right(page).splitlines()[1])
    at.press("\x1bi")  # Alt+I: the same folder in the other pane
    at.until(lambda page: "~/sub " in right(page) and "/below" in right(page))
    at.press(BACKSPACE)
    at.until(lambda page: "▸~ " in left(page))
    at.press("\x1by")  # Alt+Y: back
    at.until(lambda page: "▸~/sub " in left(page))
    at.press("\x1bu")  # Alt+U: forward
    at.until(lambda page: "▸~ " in left(page))
    at.press("\x14")  # Ctrl+T: a tab
    at.until(lambda page: left(page).splitlines()[1].count(" ~ ") == 2)
    at.press("\x17")  # Ctrl+W
    at.until(lambda page: "▸~ " in left(page).splitlines()[1])
    at.on("a.csv")
    at.press("\x1b[1;2B", "\x1b[1;2B")  # Shift+Down
    at.sees("2 items, 10 B")
    at.press("*")
    at.sees("2 items, 5 B")
    at.press("-")
    at.sees("Unmark")
    at.press("\r")
    at.until(lambda page: not MARKED.search(page))
    at.press("\x1b[2~")  # Ins
    at.sees("1 item")
    at.press("\x1b")
    at.until(lambda page: not MARKED.search(page))
    at.press("\x06", "csv")  # Ctrl+F
    at.until(lambda page: "a.csv" in left(page) and "c.txt" not in left(page))
    at.press("\x1b")
    at.until(lambda page: "c.txt" in left(page))
    at.press("\x02")  # Ctrl+B: everything below
    at.until(lambda page: "flat" in left(page) and "/below" not in left(page))
    at.press("\x02")
    at.until(lambda page: "flat" not in left(page) and "/sub" in left(page))
    at.on("c.txt")
    at.press("\x1b[17;2~")  # Shift+F6: rename in place
    at.sees("New name")
    at.press(END, ".old\r")  # all but the ending is selected
    at.until(lambda _page: (tmp_path / "c.txt.old").exists())
    at.calm()
    at.press("\x1bz")  # Alt+Z: undo
    at.sees("Undo: rename c.txt?")
    at.press("y")
    at.until(lambda page: "c.txt" in left(page) and "c.txt.old" not in left(page))
    at.calm()
    at.press("\x18d")  # Ctrl+X D: compare with the other pane
    at.sees("3 items, 15 B")
    at.press("\x12")  # Ctrl+R: read again; the marks stay
    at.sees("3 items, 15 B")
    at.ends()


# ── names ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_hostile_names_are_listed_marked_copied_viewed_and_reach_no_terminal(
    panes: Callable[..., Panes], tmp_path: Path
) -> None:
    raw = os.fsencode(tmp_path)
    (tmp_path / "zz").mkdir()
    for number, name in enumerate(HOSTILE.values()):
        with open(raw + b"/" + name, "wb") as file:  # noqa: PTH123 - the name is bytes
            file.write(b"content %d\n" % number)
    os.mkdir(raw + b"/h-folder\x1b[2J\n\xff")  # noqa: PTH102 - as above
    at = panes(rows=40, columns=140)
    at.sees("h-new␊line.txt", "h-osc␛]52", "h-clear␛[2J", "\\xff\\xfe", "\\u202e", "h-dots...", "[red]", "👩")
    # Every name takes the cells it should. Of the joined one that cannot be told here: pyte leaves out what
    # follows it, and the border comes back there only when the other pane is painted by itself.
    at.until(
        lambda _page: {row for row in range(3, 38) if at.cell(row, 69) != "│"} <= set(at.rows_with("👩"))
    )
    at.press("\t")
    at.on("zz")
    at.press("\r")
    at.sees("▸~/zz")
    at.press("\t", "+")
    at.sees("Mark")
    at.press("\x15h-*\r")
    at.sees(f"{len(HOSTILE) + 1} items, ")
    # Each is looked at, quick view beside it, and all about it.
    at.press("\x11")
    at.press(HOME, DOWN, DOWN)
    for number in range(len(HOSTILE)):
        at.press(DOWN)
        if number % 5 == 0:
            at.press(F3)
            at.sees("F3Quit")
            at.press("\x1b")
            at.calm()
    at.press("\x0c")
    at.sees("inode")
    for _ in range(len(HOSTILE)):
        at.press("\x1b[A")
    at.press("\x0c")
    at.until(lambda page: "inode" not in page)
    # All of them by one transfer, into the other pane.
    at.press(F5)
    at.sees(f"Copy {len(HOSTILE) + 1} items to:", "nothing in the way")
    at.press("\r")
    at.calm()
    at.until(lambda _page: len(os.listdir(raw + b"/zz")) == len(HOSTILE) + 1)  # noqa: PTH208 - the names are bytes
    for number, name in enumerate(HOSTILE.values()):
        with open(raw + b"/zz/" + name, "rb") as file:  # noqa: PTH123 - as above
            assert file.read() == b"content %d\n" % number
    # Into a folder of such a name: into itself, not into one of the name that is shown.
    at.press("\t", HOME, BACKSPACE)
    at.until(lambda page: "▸~ " in page and page.splitlines()[-2][70:].startswith(" zz "))
    at.press(HOME, DOWN, "\r")
    at.sees("▸~/h-folder␛[2J␊\\xff")
    at.press("\t")
    at.on("h-dots...")
    at.press(F5)
    at.sees("Copy “h-dots...” to:", "~/h-folder␛[2J␊", "nothing in the way")
    at.press("\r")
    at.calm()
    at.until(lambda _page: os.path.exists(raw + b"/h-folder\x1b[2J\n\xff/h-dots..."))  # noqa: PTH110 - as above
    at.press("\t", HOME, BACKSPACE)
    at.sees("▸~ ")
    at.ends()
    left = at.painted()
    assert not re.search(rb"[\x00-\x1f\x7f]", left), re.findall(rb".{20}[\x00-\x1f\x7f].{20}", left)[:3]
    seen = at.shown.seen[at.shown.seen.index(b"\x1b[?1049h") :]
    for sent in (b"\x1b]52", b"\x1b]0", b"\x1bP", b"\x1b[2J"):
        assert sent not in seen
    text = left.decode("utf-8")
    assert not re.search("[\x80-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\U000e0000-\U000e007f]", text)
    assert not (tmp_path / "pwned").exists()


# ── another editor ────────────────────────────────────────────────────────────────────────────────────────

EDITOR = """#!/bin/sh
trap 'echo interrupted >>"$HOME/.told"' INT
trap '' QUIT
printf 'my own editor for %s\\n' "$(basename "$1")"
stty -a </dev/tty | grep -q -- '-icanon' && echo raw >>"$HOME/.told"
while :; do
    read -r line || continue
    [ "$line" = end ] && break
    [ "$line" = stop ] && kill -STOP $$
    printf '%s\\n' "$line" >>"$1"
    printf 'took %s\\n' "$line"
done
"""


def test_another_editor_has_the_terminal_and_gives_it_back(
    panes: Callable[..., Panes], tmp_path: Path
) -> None:
    editor = tmp_path / ".edit me"
    editor.write_text(EDITOR)
    editor.chmod(0o755)
    (tmp_path / "notes.txt").write_text("first\n")
    at = panes(", external_editor=True", EDITOR=f"'{editor}'", VISUAL="")
    at.on("notes.txt")
    before = at.page
    at.press(F4)
    at.sees("first", "F2Save")
    at.press("\x1be")
    at.sees("my own editor for notes.txt")
    assert at.shown.seen.count(b"\x1b[?1049h") == at.shown.seen.count(
        b"\x1b[?1049l"
    )  # the screens step aside
    at.shown.screen.reset()  # what stands there afterwards has been painted anew
    at.press("second\n")
    at.sees("took second")
    at.press("\x03")  # Ctrl+C is the editor's, not the session's
    at.until(lambda _page: "interrupted" in _told(tmp_path))
    at.press("\x1c", "stop\n")  # so is Ctrl+\\; one that stops itself goes on
    at.until(lambda page: "took stop" in page)
    at.press("third\n")
    at.sees("took third")
    at.shown.resize(36, 120)  # the window changes its size meanwhile
    at.press("end\n")
    at.until(lambda page: "F2Save" in page.splitlines()[-1] and "first" in page)
    at.sees("second", "third", "Edit ~/notes.txt")
    assert "my own editor" not in at.page and "raw" not in _told(tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "first\nsecond\nstop\nthird\n"
    at.press("X\x1b[12~")
    at.until(lambda _page: (tmp_path / "notes.txt").read_text().startswith("X"))
    at.press(F10)
    at.calm()
    assert "notes.txt" in before and "▸~ " in at.page
    at.mouse(2, "notes.txt")  # the mouse works again
    at.sees("1 item")
    at.ends()


def test_an_editor_that_is_not_there_is_said_on_the_whole_screen(
    panes: Callable[..., Panes], tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("first\n")
    at = panes(", external_editor=True", EDITOR="no-such-editor-anywhere", VISUAL="")
    at.on("notes.txt")
    at.press(F4)
    at.sees("first", "F2Save")
    at.press("\x1be")
    at.sees("cannot start the editor no-such-editor-anywhere", "check EDITOR")
    at.press("\r")
    at.until(lambda page: "F2Save" in page and "cannot" not in page)
    at.press(F10)
    at.calm()
    at.ends()


def _told(home: Path) -> str:
    path = home / ".told"
    return path.read_text() if path.exists() else ""
