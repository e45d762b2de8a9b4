"""The file manager on a real pseudo-terminal: the bytes that terminals send, and the bytes that they get."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from panes import terminals

HERE = Path(__file__).parent
HOSTILE = "bad\x1b]52;c;aGk=\x07\x1b[2J\u202ename\n\udcff\u009b31m.txt"
KEYS = {
    "alt+c": ("\x1bc", "Go to"),
    "alt+y": ("\x1by", ""),
    "alt+f1": ("\x1b[1;3P", "Place of the left pane"),
    "alt+f2": ("\x1b[1;3Q", "Place of the right pane"),
    "alt+f5": ("\x1b[15;3~", "Pack"),
    "alt+f7": ("\x1b[18;3~", "Find"),
    "alt+g": ("\x1bg", "Where one often is"),
    "shift+f4": ("\x1b[1;2S", "New file"),
    "shift+f6": ("\x1b[17;2~", "New name"),
    "shift+f8": ("\x1b[19;2~", "Nothing brings it back"),
    "ctrl+backslash": ("\x1c", "Bookmarks"),
    "ctrl+x c": ("\x18c", "Octal"),
    "ctrl+x o": ("\x18o", "Owner and group"),
    "ctrl+x s": ("\x18s", "Symbolic link"),
    "ctrl+x j": ("\x18j", "My transfers"),
    "ctrl+n": ("\x0e", "Rename 1 item"),
    "ctrl+o": ("\x0f", "Runs 60"),
    "f5": ("\x1b[15~", "Copy “alpha.txt” to:"),
    "f6": ("\x1b[17~", "Move “alpha.txt” to:"),
    "f7": ("\x1b[18~", "Make a folder"),
    "f8": ("\x1b[19~", "Delete “alpha.txt”?"),
    "f9": ("\x1b[20~", "Make a folder"),
    "plus": ("+", "Mark"),
    "minus": ("-", "Unmark"),
    "ctrl+p": ("\x10", "What do you want to do?"),
}
IN_FRONT = ("╭─", "┌─", "My transfers", "Runs 60", "What do you")


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    module, made = terminals(), []
    for name in ("alpha.txt", "beta.txt", ".secret"):
        (tmp_path / name).write_text(name)
    (tmp_path / "sub").mkdir()

    def start(**options: Any) -> Any:
        made.append(module.Terminal(module.START + module.MAIN.format(start="files"), **options))
        return made[-1]

    yield start
    for each in made:
        each.close()


def ready(page: str) -> bool:
    return "alpha.txt" in page and "F10Quit" in page


def rested(shown: Any) -> None:
    """Nothing more is painted."""
    seen = -1
    while seen != len(shown.seen):
        seen = len(shown.seen)
        shown.take(0.4)


def test_every_key_of_the_table_comes_through_a_terminal(terminal: Any) -> None:
    shown = terminal(rows=34, columns=110)
    shown.wait(ready)
    shown.press("\x1b[B\x1b[B")
    shown.wait(lambda page: "alpha.txt  9" in page)
    for key, (sent, heading) in KEYS.items():
        if not heading:
            continue
        shown.press(sent)
        shown.wait(lambda page, heading=heading: heading in page)
        if key == "ctrl+o":
            shown.press("\x0f")
        else:
            shown.press("\x1b")
        shown.wait(lambda page: "alpha.txt  9" in page and not any(each in page for each in IN_FRONT))


def test_backspace_goes_up_and_ctrl_h_shows_hidden_files(terminal: Any) -> None:
    shown = terminal()
    shown.wait(ready)
    shown.press("\x08")
    shown.wait(lambda page: ".secret" in page)
    shown.press("\x08")
    shown.wait(lambda page: ".secret" not in page)
    shown.press("\x1b[B\r")
    shown.wait(lambda page: "▸~/sub" in page)
    shown.press("\x7f")
    shown.wait(lambda page: "▸~ " in page)
    shown.press("\x00")  # Ctrl+Space
    shown.wait(lambda page: "/sub" in page and " 0 " in page)


def test_a_path_in_one_packet_with_its_key_is_gone_to(terminal: Any) -> None:
    shown = terminal()
    shown.wait(ready)
    shown.press("\t\x1bc~/sub\r")
    shown.wait(lambda page: "▸~/sub" in page)


def test_one_cursor_step_is_less_than_a_kilobyte(terminal: Any, tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / f"file-{number}").touch()
    shown = terminal(rows=50, columns=200)
    shown.wait(lambda page: "file-20" in page and "F10Quit" in page)
    shown.wait(lambda page: page.count(" free") == 2)
    rested(shown)
    for jump in ("", "\x1b[B" * 60):  # behind the last row on the screen every step scrolls
        if jump:
            shown.press(jump)
            rested(shown)
        costs = []
        for _ in range(5):
            before = len(shown.seen)
            shown.press("\x1b[B")
            shown.wait(lambda page, before=before: len(shown.seen) > before)
            rested(shown)
            costs.append(len(shown.seen) - before)
        assert sorted(costs)[2] <= 1024, costs  # of five: the free space may change meanwhile and be painted


def test_hostile_names_reach_no_terminal(terminal: Any, tmp_path: Path) -> None:
    (tmp_path / HOSTILE).write_text("x")
    (tmp_path / ("sub/" + HOSTILE)).mkdir()
    shown = terminal(rows=34, columns=110)
    shown.wait(lambda page: ready(page) and "bad␛" in page)
    shown.press("bad")
    shown.wait(lambda page: "Search: bad" in page and "…" not in page.splitlines()[-2][:20])
    shown.press("\x1b")
    for sent, heading in (
        ("\x1b[19~", "Delete"),
        ("\x1b[17;2~", "New name"),
        ("\x0e", "Rename 1"),
        ("\x0c", "inode"),
    ):
        shown.press(sent)
        shown.wait(lambda page, heading=heading: heading in page)
        if heading != "inode":
            shown.press("\x1b")
            shown.wait(lambda page: "╭─" not in page)
    shown.press("\x1b[21~")
    assert shown.ended() == 0
    painted = shown.seen[shown.seen.index(b"\x1b[?1049h") :]
    left = terminals().ALLOWED.sub(b"", painted).replace(b"\r", b"").replace(b"\n", b"")
    assert not re.search(rb"[\x00-\x1f\x7f]", left)
    assert b"\x1b]52" not in painted and b"\x1b[2J" not in painted
    assert not re.search("[\x80-\x9f\u202a-\u202e\u2066-\u2069]", left.decode("utf-8"))


@pytest.mark.parametrize(
    "environ", [{"TERM": "xterm", "COLORTERM": ""}, {"TERM": "xterm-256color", "NO_COLOR": "1"}]
)
def test_kinds_are_told_without_colours(terminal: Any, tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "run").touch(0o755)
    (tmp_path / "broken").symlink_to("nothing")
    shown = terminal(rows=30, columns=90, **environ)
    wanted = ("/sub", "*run", "!broken")  # which may come in several pieces
    shown.wait(lambda page: ready(page) and all(each in page for each in wanted))
    if "NO_COLOR" not in environ:  # Textual makes greys of all colours then
        assert b"38;2;" not in shown.seen and b"38;5;" not in shown.seen
    shown.press("\x1b[2~\x1b[2~")
    shown.wait(lambda page: "▌" in page and "1 item, " in page)


def test_a_hundred_thousand_files_are_shown_sorted_and_stay_live(terminal: Any, tmp_path: Path) -> None:
    many = tmp_path / "many"
    many.mkdir()
    for number in range(100_000):
        os.close(os.open(many / f"file-{number * 7919 % 100_000}", os.O_CREAT | os.O_WRONLY, 0o644))
    shown = terminal(rows=24, columns=80)
    shown.wait(ready)
    shown.press("many\r")
    shown.wait(
        lambda page: "▸~/many" in page and "100,000" in page and " file-1 " in page and "…" not in page, 60
    )
    shown.press("\x1b[F")
    shown.wait(lambda page: "file-99999" in page, 30)
    (many / "file-99998b").touch()
    shown.wait(lambda page: "file-99998b" in page and "100,001" in page, 30)
    shown.press("file-777")
    shown.wait(lambda page: "Search: file-777" in page and " file-777 " in page, 60)
