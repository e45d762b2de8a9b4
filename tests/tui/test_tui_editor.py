"""The editor: every key of it pressed, on files of a real disk."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.pilot import Pilot
from textual.widgets import Button

from labbox.errors import LabboxError
from labbox.locations import parse
from labbox.tui.app import LabboxApp
from labbox.tui.external import command
from labbox.tui.screens.editor import EditorScreen

Open = Callable[..., Coroutine[Any, Any, EditorScreen]]


@pytest.fixture
def edit(wait: Any) -> Open:
    async def open_file(pilot: Pilot[int], name: str, **options: Any) -> EditorScreen:
        screen = EditorScreen(parse(name), **options)
        pilot.app.push_screen(screen)
        await wait(pilot, lambda: screen.file is not None and pilot.app.screen is screen)
        return screen

    return open_file


def lines(screen: EditorScreen) -> list[str]:
    return screen.text.document.lines


def asked(pilot: Pilot[int], screen: EditorScreen) -> bool:
    """Whether the dialog about one match stands and takes keys."""
    above = pilot.app.screen
    return above is not screen and above.is_mounted and isinstance(above.focused, Button)


def coloured(screen: EditorScreen) -> bool:
    """Whether the colours of all lines on the screen are known."""
    colours = screen.text.colours
    return colours is not None and colours._known and not colours.lack(screen.text.on_screen(0))


async def test_type_undo_redo_save_and_leave(
    box: Any, running: Any, wait: Any, shown: Any, edit: Open, tmp_path: Path
) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(b"first\r\nsecond\r\n")
    async with running(box) as pilot:
        screen = await edit(pilot, "~/notes.txt")
        assert "Edit ~/notes.txt" in shown(pilot) and "UTF-8  CRLF" in shown(pilot)
        assert "  saved" in shown(pilot) and not screen.modified
        await pilot.press("end", *" line")
        await wait(pilot, lambda: "modified" in shown(pilot))
        await pilot.press("ctrl+z")
        await wait(pilot, lambda: lines(screen) == ["first", "second", ""] and not screen.modified)
        await pilot.press("ctrl+y", "down", "home", "enter", "f2")
        await wait(pilot, lambda: path.read_bytes() == b"first line\r\n\r\nsecond\r\n")
        await wait(pilot, lambda: not screen.modified and "saved" in shown(pilot))
        await pilot.press("escape")
        await wait(pilot, lambda: not screen.is_attached)


async def test_unsaved_changes_are_asked_about(
    box: Any, running: Any, wait: Any, shown: Any, edit: Open, tmp_path: Path
) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("old\n")
    async with running(box) as pilot:
        screen = await edit(pilot, "~/notes.txt")
        await pilot.press("x", "f10")
        await wait(pilot, lambda: "has changes that are not saved" in shown(pilot))
        await pilot.press("escape")
        await wait(pilot, lambda: pilot.app.screen is screen and screen.modified)
        await pilot.press("f10")
        await wait(pilot, lambda: "not saved" in shown(pilot))
        await pilot.press("d")
        await wait(pilot, lambda: not screen.is_attached)
        assert path.read_text() == "old\n"
        screen = await edit(pilot, "~/notes.txt")
        await pilot.press("x", "f10")
        await wait(pilot, lambda: "not saved" in shown(pilot))
        await pilot.press("s")
        await wait(pilot, lambda: not screen.is_attached)
        assert path.read_text() == "xold\n"


async def test_marked_blocks_are_copied_moved_and_deleted(
    box: Any, running: Any, wait: Any, shown: Any, edit: Open, tmp_path: Path
) -> None:
    (tmp_path / "list").write_text("one\ntwo\nthree\nfour\n")
    async with running(box) as pilot:
        screen = await edit(pilot, "~/list")
        await pilot.press("f3", "down", "down")
        await wait(pilot, lambda: "marking: F3 ends" in shown(pilot))
        await pilot.press("f3", "ctrl+end", "f5")
        await wait(pilot, lambda: lines(screen) == ["one", "two", "three", "four", "one", "two", ""])
        await pilot.press("ctrl+home", "down", "f3", "down", "f3", "ctrl+home", "f6")
        await wait(pilot, lambda: lines(screen)[:3] == ["two", "one", "three"])
        await pilot.press("ctrl+home", "f3", "down", "f3", "down", "down", "f6")
        await wait(pilot, lambda: lines(screen)[:3] == ["one", "three", "two"])
        await pilot.press("ctrl+home", "f8")
        await wait(pilot, lambda: lines(screen)[0] == "three")
        await pilot.press("shift+down", "shift+down", "f8")
        await wait(pilot, lambda: lines(screen)[0] == "four")
        await pilot.press("ctrl+a", "f8")
        await wait(pilot, lambda: lines(screen) == [""])
        await pilot.press(*"ab", "f5")
        await wait(pilot, lambda: "Mark something with F3" in shown(pilot))


async def test_copy_cut_and_paste_keep_hostile_bytes(
    box: Any, running: Any, wait: Any, shown: Any, edit: Open, tmp_path: Path
) -> None:
    path = tmp_path / "odd"
    path.write_bytes(b"\x1b]52;c;QQ==\x07 \xff\xc3\xa4\n")
    async with running(box) as pilot:
        screen = await edit(pilot, "~/odd")
        assert "␛]52;c;QQ==␇ �ä" in shown(pilot) and "U+001B" in shown(pilot)
        await pilot.press("shift+end", "ctrl+c", "end", "ctrl+v", "f2")
        await wait(pilot, lambda: path.read_bytes() == b"\x1b]52;c;QQ==\x07 \xff\xc3\xa4" * 2 + b"\n")
        assert pilot.app.clipboard == "␛]52;c;QQ==␇ \\xffä"
        await pilot.press("ctrl+x", "f2")
        await wait(pilot, lambda: path.read_bytes() == b"\n" or path.read_bytes() == b"")
        await wait(pilot, lambda: not screen.modified)


async def test_search_forward_backward_and_by_regex(
    box: Any, running: Any, wait: Any, shown: Any, edit: Open, tmp_path: Path
) -> None:
    (tmp_path / "code.py").write_text("alpha = 1\nbeta = alpha\nALPHA = 2\nalphabet = 3\n")
    async with running(box) as pilot:
        screen = await edit(pilot, "~/code.py")
        await pilot.press("f7", *"alpha", "enter")
        await wait(pilot, lambda: pilot.app.screen is screen and screen.text.selection == ((0, 0), (0, 5)))
        await pilot.press("shift+f7")
        await wait(pilot, lambda: screen.text.selection == ((1, 7), (1, 12)))
        await pilot.press("shift+f7", "shift+f7")
        await wait(pilot, lambda: screen.text.selection == ((3, 0), (3, 5)))
        await pilot.press("shift+f7")
        await wait(
            pilot, lambda: screen.text.selection == ((0, 0), (0, 5)) and "Round the end" in shown(pilot)
        )
        await pilot.press("ctrl+b")
        await wait(pilot, lambda: screen.text.selection == ((3, 0), (3, 5)))
        await pilot.press("ctrl+f", "end", *(["backspace"] * 5), *r"= \d$", "down", "space", "enter")
        await wait(pilot, lambda: pilot.app.screen is screen and screen.text.selection == ((3, 9), (3, 12)))
        await pilot.press("f7", "end", *(["backspace"] * 5), "left_parenthesis", "enter")
        await wait(pilot, lambda: "cannot read the regular expression" in shown(pilot))
        await pilot.press("enter", "f7", "end", "backspace", *"nowhere", "enter")
        await wait(pilot, lambda: "is nowhere in the text" in shown(pilot))


async def test_replace_one_by_one_and_all_at_once(
    box: Any, running: Any, wait: Any, shown: Any, edit: Open, tmp_path: Path
) -> None:
    path = tmp_path / "code.py"
    path.write_text("run1\nrun2\nrun3 run4\n")
    async with running(box) as pilot:
        screen = await edit(pilot, "~/code.py")
        await pilot.press("f4", *"run", "tab", *"go", "enter")
        await wait(pilot, lambda: "“run” by “go”" in shown(pilot))
        await pilot.press("r")
        await wait(pilot, lambda: screen.text.selection == ((1, 0), (1, 3)) and asked(pilot, screen))
        await pilot.press("s")
        await wait(pilot, lambda: screen.text.selection == ((2, 0), (2, 3)) and asked(pilot, screen))
        await pilot.press("r")
        await wait(pilot, lambda: screen.text.selection == ((2, 4), (2, 7)) and asked(pilot, screen))
        assert lines(screen)[2] == "go3 run4"
        await pilot.press("escape")
        await wait(pilot, lambda: "Replaced 2." in shown(pilot))
        assert lines(screen) == ["go1", "run2", "go3 run4", ""]
        await pilot.press("ctrl+r", "end", *(["backspace"] * 3), *r"(go|run)(\d)", "tab", "end")
        await pilot.press("backspace", "backspace", *r"\2-\1", "down", "space", "ctrl+a", "enter")
        await wait(pilot, lambda: lines(screen) == ["1-go", "2-run", "3-go 4-run", ""])
        await pilot.press("ctrl+z")  # all at once is undone at once
        await wait(pilot, lambda: lines(screen) == ["go1", "run2", "go3 run4", ""])


async def test_all_in_a_dialog_replaces_the_rest_and_the_end_is_an_end(
    box: Any, running: Any, wait: Any, shown: Any, edit: Open, tmp_path: Path
) -> None:
    (tmp_path / "a").write_text("a a\na\n")
    async with running(box) as pilot:
        screen = await edit(pilot, "~/a")
        await pilot.press("f4", "a", "tab", *"aa", "enter")  # what is put in holds what is looked for
        for _ in range(3):
            await wait(pilot, lambda: asked(pilot, screen) and "“a” by “aa”" in shown(pilot))
            count = "".join(lines(screen)).count("a")
            await pilot.press("r")
            await wait(pilot, lambda was=count: "".join(lines(screen)).count("a") == was + 1)
        await wait(pilot, lambda: pilot.app.screen is screen and "Replaced 3." in shown(pilot))
        assert lines(screen) == ["aa aa", "aa", ""]
        await pilot.press("f4", "enter")
        await wait(pilot, lambda: "“a” by “aa”" in shown(pilot))
        await pilot.press("a")
        await wait(pilot, lambda: lines(screen) == ["aaaa aaaa", "aaaa", ""])


async def test_goto_line_wrap_and_the_line_to_begin_with(
    box: Any, running: Any, wait: Any, shown: Any, edit: Open, tmp_path: Path
) -> None:
    (tmp_path / "long").write_text("\n".join(f"line {n} " + "w " * 80 for n in range(1, 501)))
    async with running(box) as pilot:
        screen = await edit(pilot, "~/long", line=300)
        assert "line 300 " in shown(pilot) and screen.text.cursor_location == (299, 0)
        await pilot.press("ctrl+l", *"450", "enter")
        await wait(pilot, lambda: screen.text.cursor_location == (449, 0) and "line 450 " in shown(pilot))
        await pilot.press("ctrl+l", *"900", "enter")
        await wait(pilot, lambda: "give a number from 1 to 500" in shown(pilot))
        await pilot.press("escape", "alt+w")
        await wait(pilot, lambda: screen.text.wrapped_document.height > 900)
        await pilot.press("alt+w")
        await wait(pilot, lambda: screen.text.wrapped_document.height == 500)


@pytest.mark.parametrize(("key", "left"), [("o", "mine: theirs was this"), ("r", "theirs"), ("s", "theirs")])
async def test_a_change_underneath_is_asked_about(
    box: Any, running: Any, wait: Any, shown: Any, edit: Open, tmp_path: Path, key: str, left: str
) -> None:
    path = tmp_path / "shared.txt"
    path.write_text("theirs was this")
    async with running(box) as pilot:
        screen = await edit(pilot, "~/shared.txt")
        await pilot.press(*"mine: ")
        path.write_text("theirs")
        await wait(pilot, lambda: "Somebody else has changed this file meanwhile" in shown(pilot), 20)
        await pilot.press("f2")
        await wait(pilot, lambda: "Changed underneath" in shown(pilot))
        assert path.read_text() == "theirs"
        await pilot.press(key)
        if key == "s":
            await wait(pilot, lambda: "Save as" in shown(pilot) and "Where" in shown(pilot))
            await pilot.press("end", *"2", "enter")
            await wait(pilot, lambda: (tmp_path / "shared.txt2").exists())
            assert (tmp_path / "shared.txt2").read_text() == "mine: theirs was this"
            await wait(pilot, lambda: "Edit ~/shared.txt2" in shown(pilot))
        await wait(pilot, lambda: pilot.app.screen is screen and not screen.modified)
        assert path.read_text() == left
        if key == "r":
            assert lines(screen) == ["theirs"]
            await pilot.press("ctrl+z")  # and one's own text is not lost
            await wait(pilot, lambda: lines(screen) == ["mine: theirs was this"] and screen.modified)


async def test_save_as_asks_before_it_overwrites(
    box: Any, running: Any, wait: Any, shown: Any, edit: Open, tmp_path: Path
) -> None:
    (tmp_path / "a").write_text("from a")
    (tmp_path / "ab").write_text("from ab")
    async with running(box) as pilot:
        screen = await edit(pilot, "~/a")
        await pilot.press("shift+f2", "end", "b", "enter")
        await wait(pilot, lambda: "is there already. Write over it?" in shown(pilot))
        await pilot.press("n")
        await wait(pilot, lambda: pilot.app.screen is screen)
        assert (tmp_path / "ab").read_text() == "from ab"
        await pilot.press("f12", "end", "b", "enter")
        await wait(pilot, lambda: "is there already" in shown(pilot))
        await pilot.press("y")
        await wait(pilot, lambda: (tmp_path / "ab").read_text() == "from a" and not screen.modified)


async def test_a_letter_that_the_encoding_lacks(
    box: Any, running: Any, wait: Any, shown: Any, edit: Open, tmp_path: Path
) -> None:
    path = tmp_path / "old.txt"
    path.write_bytes("größe\r\n".encode("latin-1"))
    async with running(box) as pilot:
        screen = await edit(pilot, "~/old.txt")
        assert "größe" in shown(pilot) and "Latin-1  CRLF" in shown(pilot)
        pilot.app.post_message(events.Paste("→"))
        await wait(pilot, lambda: "→größe" in shown(pilot))
        await pilot.press("f2")
        await wait(pilot, lambda: "cannot write “→” (line 1) in Latin-1" in shown(pilot))
        assert path.read_bytes() == "größe\r\n".encode("latin-1")
        await pilot.press("s")
        await wait(pilot, lambda: path.read_bytes() == "→größe\r\n".encode() and not screen.modified)


async def test_what_cannot_be_edited_is_said_and_the_screen_goes(
    box: Any, running: Any, wait: Any, shown: Any, tmp_path: Path
) -> None:
    (tmp_path / "picture").write_bytes(b"\x89PNG\0\0")
    async with running(box) as pilot:
        pilot.app.push_screen(EditorScreen(parse("~/picture")))
        await wait(pilot, lambda: "it is no text (it has zero bytes)" in shown(pilot))
        await pilot.press("enter")
        await wait(pilot, lambda: not any(isinstance(each, EditorScreen) for each in pilot.app.screen_stack))


async def test_a_new_file_is_made_by_its_first_save(
    box: Any, running: Any, wait: Any, shown: Any, edit: Open, tmp_path: Path
) -> None:
    async with running(box) as pilot:
        screen = await edit(pilot, "~/new.txt")
        assert "  new" in shown(pilot)
        await pilot.press("tab", "a", "enter", "b", "f2")
        await wait(pilot, lambda: (tmp_path / "new.txt").exists() and not screen.modified)
        assert (tmp_path / "new.txt").read_text() == "    a\n    b"


async def test_pasted_text_is_made_harmless(
    box: Any, running: Any, wait: Any, shown: Any, edit: Open, tmp_path: Path
) -> None:
    path = tmp_path / "p.txt"
    async with running(box) as pilot:
        await edit(pilot, "~/p.txt")
        pilot.app.post_message(events.Paste("one\r\ntwo\rthree\x1b[2J"))
        await wait(pilot, lambda: "three␛[2J" in shown(pilot))
        await pilot.press("f2")
        await wait(pilot, path.exists)
        await wait(pilot, lambda: path.read_bytes() == b"one\ntwo\nthree\x1b[2J")


async def test_another_editor_needs_leave(
    box: Any, running: Any, wait: Any, shown: Any, edit: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notes.txt").write_text("old\n")
    async with running(box) as pilot:
        await edit(pilot, "~/notes.txt")
        await pilot.press("alt+e")
        await wait(pilot, lambda: "this box does not allow it" in shown(pilot))
    monkeypatch.setenv("EDITOR", "vim -n")
    monkeypatch.delenv("VISUAL", raising=False)
    assert command(True, "/home/ada/x", parse("~/x")) == ["vim", "-n", "/home/ada/x"]
    with pytest.raises(LabboxError, match="cannot open sftp://me@pc/x in another editor") as told:
        command(True, None, parse("sftp://me@pc/x"))
    assert told.value.hint == "it works for files of the box alone"
    monkeypatch.delenv("EDITOR")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LabboxError, match="cannot find an editor"):
        command(True, "/x", parse("/x"))


async def test_a_long_text_takes_keys_at_once(
    box: Any, running: Any, wait: Any, edit: Open, tmp_path: Path
) -> None:
    path = tmp_path / "big.csv"
    with path.open("w") as file:
        file.writelines(f"{n},{n * n},value {n}\n" for n in range(250_000))
    async with running(box) as pilot:
        screen = await edit(pilot, "~/big.csv")
        await pilot.press("ctrl+end", *"end", "ctrl+home", "x", "f2")
        await wait(
            pilot, lambda: not screen.modified and path.read_bytes().endswith(b"value 249999\nend"), 60
        )
        assert path.read_bytes().startswith(b"x0,0,value 0\n1,1,value 1\n")


async def test_what_is_typed_is_coloured_and_what_moves_stays_so(
    box: Any, running: Any, wait: Any, edit: Open, tmp_path: Path
) -> None:
    (tmp_path / "code.py").write_text("import sys\n\n" + "x = 1  # note\n" * 300)
    async with running(box) as pilot:
        screen = await edit(pilot, "~/code.py")
        await wait(pilot, lambda: coloured(screen))

        def colour(row: int, column: int) -> Any:
            line = screen.text.get_line(row)
            styles = [span.style for span in line.spans if span.start <= column < span.end]
            return getattr(styles[-1], "color", None) if styles else None

        keyword, comment = colour(0, 0), colour(2, 8)
        assert keyword is not None and comment is not None and keyword != comment
        assert colour(0, 7) != keyword
        await pilot.press("ctrl+end", *"def", "space", "f")
        await wait(pilot, lambda: colour(302, 0) == keyword)
        await pilot.press("ctrl+home", "enter")
        await wait(pilot, lambda: lines(screen)[0] == "" and colour(1, 0) == keyword)


async def test_a_file_in_an_archive_can_be_looked_at_and_saved_elsewhere(
    box: Any, running: Any, wait: Any, shown: Any, edit: Open, tmp_path: Path
) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("notes.txt", "packed\n")
    async with running(box) as pilot:
        screen = await edit(pilot, "~/a.zip!/notes.txt")
        assert "packed" in shown(pilot) and "read-only" in shown(pilot)
        await pilot.press("x", "f8", "ctrl+x", "ctrl+v", "f5")
        assert lines(screen) == ["packed", ""]
        await pilot.press("f2")
        await wait(pilot, lambda: "cannot save ~/a.zip!/notes.txt" in shown(pilot))
        await pilot.press("enter", "f12", "ctrl+e", *(["backspace"] * 30), *"~/out.txt", "enter")
        await wait(pilot, lambda: (tmp_path / "out.txt").exists() and not screen.text.read_only)
        await pilot.press("x", "f2")
        await wait(pilot, lambda: (tmp_path / "out.txt").read_text() == "xpacked\n")


SCENES: dict[str, tuple[str, tuple[str, ...], str, str]] = {
    "text": ("code.py", (), "UTF-8  LF", "labbox-dark"),
    "hostile": ("odd.txt", ("down",), "U+202E", "labbox-light"),
    "search": ("code.py", ("f7", *"import"), "Whole words", "labbox-dark"),
    "replace": ("code.py", ("f4", *"print", "tab", *"show", "enter"), "by “show”", "labbox-blue"),
    "marked": (
        "code.py",
        ("down", "f3", "down", "down", "f3", "f8", "ctrl+z", "f3", "down"),
        "marking",
        "labbox-ansi",
    ),
    "unsaved": ("code.py", ("x", "f10"), "not saved", "labbox-dark"),
}


@pytest.mark.parametrize("name", SCENES)
def test_picture_of_the_editor(
    name: str, fakes: Any, snap_compare: Any, wait: Any, shown: Any, edit: Open, tmp_path: Path
) -> None:
    (tmp_path / "code.py").write_text("import sys\n\n\ndef main() -> None:\n\tprint(sys.argv)\n\n\nmain()\n")
    (tmp_path / "odd.txt").write_bytes(b"a\x1b[31mred\x07\n\xe2\x80\xaegnp.exe\n\xc3\xa4 and byte \xff\r\n")
    file, keys, arrived, theme = SCENES[name]
    fake = fakes.full_box(60)
    app = LabboxApp(fake, theme)

    async def act(pilot: Pilot[int]) -> None:
        await wait(pilot, lambda: app.status is not None and len(app.screen_stack) > 1)
        screen = await edit(pilot, f"~/{file}")
        for key in keys:
            await pilot.press(key)
            await pilot.pause()
        await wait(pilot, lambda: arrived in shown(pilot))
        await wait(pilot, lambda: "@lab" in shown(pilot) and coloured(screen))
        await pilot.pause()

    try:
        assert snap_compare(app, terminal_size=(80, 24), run_before=act)
    finally:
        fake.close()
