"""The viewer: its keys pressed, its screens read, on files of every kind and of any size."""

from __future__ import annotations

import gzip
import json
import lzma
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import numpy
import pytest
from PIL import Image
from textual.containers import Horizontal
from textual.pilot import Pilot
from textual.screen import Screen

from labbox.files.places.opening import Places, Roots
from labbox.locations import parse, path_text
from labbox.tui.screens.viewer import ViewerScreen
from labbox.tui.widgets.quickview import InfoPanel, QuickView
from labbox.tui.widgets.textpage import TextPage

STUDY = Path(__file__).parent.parent / "files/viewing/study.h5"
HOSTILE = b"one\n\x1b]52;c;AAAA\x07\x9b31m \xe2\x80\xae\xef\xbb\xbf \xff\r\r\n\x1b[2J\n"
GIB = 1 << 30


class Eyes:
    """Keys, and what is seen."""

    def __init__(self, pilot: Pilot[int], wait: Any, shown: Callable[[Any], str]) -> None:
        self.pilot, self._wait, self._shown = pilot, wait, shown

    @property
    def page(self) -> str:
        return self._shown(self.pilot)

    @property
    def top(self) -> str:
        """The first line of the file on the screen."""
        return self.page.split("\n")[1].rstrip()

    async def until(self, reached: Callable[[], object]) -> None:
        await self._wait(self.pilot, reached, 30)
        await self.pilot.pause()

    async def sees(self, *texts: str) -> None:
        await self.until(lambda: all(text in self.page for text in texts))

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self.pilot.press(key)
            await self.pilot.pause()


View = Callable[..., AbstractAsyncContextManager[Eyes]]


@pytest.fixture
def viewing(box: Any, running: Any, wait: Any, shown: Any, tmp_path: Path) -> View:
    """`async with viewing(path) as at`: the viewer over a file, its folder's files at hand."""

    @asynccontextmanager
    async def view(path: Path, size: tuple[int, int] = (100, 30)) -> AsyncIterator[Eyes]:
        async with running(box, size=size) as pilot:
            location = parse(path_text(str(path)))
            siblings = [location.parent.joined(name) for name in sorted(os.listdir(path.parent))]  # noqa: PTH208 - as bytes come
            await pilot.app.push_screen(ViewerScreen(location, siblings=siblings))
            at = Eyes(pilot, wait, shown)
            screen = pilot.app.screen
            await at.until(lambda: screen.file.source is not None and screen.file.children)
            yield at

    return view


async def test_a_single_packed_file_is_shown_as_what_is_in_it(viewing: View, tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"id,rt\n1,2\n3,4\n"))
    async with viewing(tmp_path / "a.csv.gz") as at:
        await at.sees("id", "rt", "2 rows, 2 columns")
    (tmp_path / "b.txt.xz").write_bytes(lzma.compress(b"some text\n"))
    async with viewing(tmp_path / "b.txt.xz") as at:
        await at.sees("some text", "text, UTF-8")
    (tmp_path / "cut.txt.gz").write_bytes(gzip.compress(bytes(range(256)) * 99)[:-20])
    async with viewing(tmp_path / "cut.txt.gz") as at:
        await at.sees("gzip-compressed data")


async def test_a_text_moves_by_rows_pages_and_ends(viewing: View, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("".join(f"line {number}\n" for number in range(1, 1001)))
    async with viewing(tmp_path / "a.txt") as at:
        await at.sees("line 27", "text, UTF-8", "F4Hex", "F7Search", "F10Quit")
        await at.press("down", "down")
        await at.until(lambda: at.top == "line 3")
        await at.press("pagedown")
        await at.until(lambda: at.top == "line 29")
        await at.press("up")
        await at.until(lambda: at.top == "line 28")
        await at.press("end")
        await at.sees("line 1000", "100 %")
        await at.press("home", "l")
        await at.until(lambda: at.top.split() == ["1", "line", "1"])
        await at.press("f3")
        await at.until(lambda: not isinstance(at.pilot.app.screen, ViewerScreen))


async def test_gigabytes_open_at_once_and_jumps_go_anywhere(viewing: View, tmp_path: Path) -> None:
    with (tmp_path / "big").open("wb") as file:
        file.write(b"first\n" * 2000)
        file.truncate(4 * GIB)
        file.seek(2 * GIB)
        file.write(b"\nmiddle\n")
        file.seek(4 * GIB - 6)
        file.write(b"\nlast\n")
    async with viewing(tmp_path / "big") as at:
        await at.sees("first", "4.0 GiB")
        await at.press("end")
        await at.sees("last")
        await at.press("f5", *"50%", "enter")
        await at.sees("middle", "50 %")
        await at.press("f5", *"1000", "enter")
        await at.until(lambda: at.top == "first" and "byte 5,994 of" in at.page)
        await at.press("f4")
        await at.sees("000001760")
        await at.press("f5", *"0x80000000", "enter")
        await at.sees("080000000  0a 6d 69 64 64 6c 65 0a", "·middle·")
        await at.press("f5", *"nowhere", "enter")
        await at.sees("cannot go there")


async def test_wide_lines_are_wrapped_cut_and_scrolled(viewing: View, tmp_path: Path) -> None:
    (tmp_path / "wide").write_bytes(b"begin " + b"0123456789" * 1_000_000 + b" end\nnext\n")
    async with viewing(tmp_path / "wide") as at:
        await at.sees("begin 0123", "wrapped")
        await at.press("end")
        await at.sees("89 end", "next")
        await at.press("home", "f2")
        await at.sees("cut")
        await at.press("right", "right")
        await at.until(lambda: at.top.startswith("4567890123"))
        await at.press("left", "left")
        await at.until(lambda: at.top.startswith("begin"))
        await at.press("f5", *"@5000000", "enter")
        await at.sees("49 %")
        await at.press("f2")
        await at.sees("wrapped", "0123456789")


async def test_search_goes_on_and_back_in_text_and_in_hex(viewing: View, tmp_path: Path) -> None:
    lines = [f"line {number}\n" for number in range(5000)]
    lines[1234] = lines[4321] = "here is Grün\n"
    (tmp_path / "a.txt").write_text("".join(lines))
    async with viewing(tmp_path / "a.txt") as at:
        await at.press("f7", *"grün", "enter")
        await at.sees("here is Grün", "line 1233", "line 1235")
        await at.press("n")
        await at.sees("line 4320", "here is Grün")
        await at.press("n")
        await at.sees("is not there from here on")
        await at.press("N")
        await at.sees("line 1233")
        await at.press("slash", *["backspace"] * 4, *"^line 43.[02]$", "down", "space", "enter")
        await at.sees("line 4300", "line 4302")
        await at.press(
            "f4", "home", "f7", *["backspace"] * 20, *"47 72 c3", "down", "space", "down", "space", "enter"
        )
        await at.sees("47 72  c3 bc", "72 65 20 69")
        await at.press(
            "f7",
            "down",
            "space",
            "down",
            "space",
            "up",
            "up",
            *["backspace"] * 20,
            *"(",
            "enter",
        )
        await at.sees("cannot use the pattern")


async def test_a_search_is_ended_by_escape(viewing: View, tmp_path: Path) -> None:
    (tmp_path / "evil.txt").write_bytes(b"a" * 5000 + b"!")
    async with viewing(tmp_path / "evil.txt") as at:
        await at.press("f7", *"(a+)+$", "down", "space", "enter")
        await at.sees("searching")
        await at.press("escape")
        await at.sees("The search was ended")
        assert isinstance(at.pilot.app.screen, ViewerScreen)


async def test_following_goes_through_cutting_and_rotation(viewing: View, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("".join(f"line {number}\n" for number in range(100)))
    async with viewing(log) as at:
        await at.press("F")
        await at.sees("line 99", "following")
        with log.open("a") as file:
            file.write("appended\n")
        await at.sees("line 99", "appended")
        log.write_text("cut\n")
        await at.sees("cut", "the file was written anew")
        assert "appended" not in at.page
        log.rename(tmp_path / "log.1")
        log.write_text("rotated\n")
        await at.sees("rotated", "another file has taken its name")
        await at.press("f6")
        await at.until(lambda: "following" not in at.page)


async def test_encodings_are_guessed_and_turned(viewing: View, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("grün €\n".encode("cp1252"))
    (tmp_path / "b.txt").write_bytes("grün €\n".encode("utf-16"))
    async with viewing(tmp_path / "a.txt") as at:
        await at.sees("grün €", "Latin-1")
        await at.press("ctrl+f")
        await at.sees("b.txt", "grün €", "UTF-16 LE")
        await at.press("ctrl+b")
        await at.sees("a.txt", "Latin-1")
        await at.press("ctrl+b")
        await at.sees("That was the first file.")
        await at.press("e", "e", "e")
        await at.sees("· UTF-8 ·", "gr\\xfcn \\x80")


async def test_lines_that_end_in_a_return_alone_are_lines(viewing: View, tmp_path: Path) -> None:
    (tmp_path / "a.m").write_bytes(b"x = 1\ry = 2\rz = 3\r")
    (tmp_path / "b.csv").write_bytes(b"time,value\r0,10\r1,20\r")
    async with viewing(tmp_path / "a.m") as at:
        await at.sees("x = 1", "y = 2", "z = 3", "text, UTF-8")
    async with viewing(tmp_path / "b.csv") as at:
        await at.sees("time", "value", "2 rows, 2 columns")


async def test_source_code_has_colours(viewing: View, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text('"""Text\nover two lines."""\n\ndef f():\n    return 1  # why\n')
    async with viewing(tmp_path / "a.py") as at:
        await at.sees("def f():")
        screen = at.pilot.app.screen
        assert isinstance(screen, ViewerScreen)
        text = screen.text
        assert text is not None
        await at.until(lambda: any(text._marks))
        assert ("note" in [ink for _low, _high, ink in text._marks[3]]) and text._marks[1][0][2] == "good"


async def test_tables_show_any_row_and_the_text_behind(viewing: View, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        "id,name,rt\n" + "".join(f'{n},"sub\n{n}",{n / 7:.3f}\n' for n in range(50_000))
    )
    async with viewing(tmp_path / "a.csv") as at:
        await at.sees("50,000 rows, 3 columns", "sub␊25")
        await at.press("end")
        await at.sees("sub␊49999", "7142.714")
        await at.press("right")
        await at.until(lambda: " id " not in at.page and "sub␊49999" in at.page)
        await at.press("f8")
        await at.sees("id,name,rt", '0,"sub')
        await at.press("f8")
        await at.sees("50,000 rows")
        await at.press("f4")
        await at.sees("00000000  69 64 2c")


async def test_trees_of_arrays_are_entered_and_left(viewing: View, tmp_path: Path) -> None:
    (tmp_path / "study.h5").write_bytes(STUDY.read_bytes())
    numpy.save(tmp_path / "x.npy", numpy.arange(3000.0).reshape(1000, 3))
    async with viewing(tmp_path / "study.h5") as at:
        await at.sees("HDF5 data", "run1/", "float64 500×4", "@subject", "ada␛[31m")
        await at.press("down", "down", "down", "enter")
        await at.sees("/run1/eeg: 500 rows", " 87")
        await at.press("end")
        await at.sees("499", "1999")
        await at.press("escape")
        await at.sees("@subject")
        await at.press("right_square_bracket")
        await at.sees("NumPy array", "1,000 rows")


async def test_documents_are_laid_out(viewing: View, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# Plan\n\n- one **bold**\n\n| a | b |\n|---|---|\n| 1 | 2 |\n")
    cells = [
        {
            "cell_type": "code",
            "execution_count": 1,
            "source": ["print(2)"],
            "outputs": [{"text": "2\n", "output_type": "stream"}],
        }
    ]
    (tmp_path / "b.ipynb").write_text(json.dumps({"cells": cells}))
    async with viewing(tmp_path / "a.md") as at:
        await at.sees("Plan", "════", "• one bold", "a │ b")
        await at.press("f8")
        await at.sees("# Plan", "**bold**")
        await at.press("ctrl+f")
        await at.sees("In [1]: print(2)", "Jupyter notebook")


async def test_pictures_and_what_only_claims_to_be_one(viewing: View, tmp_path: Path) -> None:
    Image.new("RGB", (120, 80), (10, 200, 30)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"\x89PNG\r\n\x1a\nand nothing behind it")
    async with viewing(tmp_path / "a.png") as at:
        await at.sees("120 × 80 pixels", "▀")
        await at.press("ctrl+f")
        await at.sees("cannot show the picture: it is damaged", "89 50 4e 47")


async def test_archives_say_what_is_in_them(viewing: View, tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "a.zip", "w") as held:
        held.writestr("raw/run1.csv", "x" * 2048)
        held.writestr("notes\x1b[2J.txt", "x")
    async with viewing(tmp_path / "a.zip") as at:
        await at.sees("ZIP archive", "raw/", "run1.csv", "2.0 KiB", "notes␛[2J.txt")


@pytest.mark.parametrize(
    "name", ["a.txt", "a.csv", "a.md", "a.ipynb", "a.py", "a.bin", "a\x1b]0;x\x07\u202e\n\udcff.txt"]
)
async def test_nothing_hostile_reaches_the_terminal(viewing: View, tmp_path: Path, name: str) -> None:
    cells = {"cells": [{"cell_type": "markdown", "source": HOSTILE.decode("latin-1")}]}
    data = json.dumps(cells).encode() if name.endswith(".ipynb") else HOSTILE
    (tmp_path / name).write_bytes(data)
    async with viewing(tmp_path / name) as at:
        for key in ("", "f4", "f4", "f8", "e", "l", "f2"):
            if key:
                await at.press(key)
            await at.sees("F10Quit")
            bad = [each for each in at.page.replace("\n", "") if ord(each) < 32 or 127 <= ord(each) < 160]
            assert not bad
            assert not set(at.page) & set("\u202e\ufeff\udcff")


@pytest.fixture
def beside(box: Any, running: Any, wait: Any, shown: Any, tmp_path: Path) -> View:
    """`async with beside() as at`: quick view and information side by side."""

    @asynccontextmanager
    async def view() -> AsyncIterator[Any]:
        async with Places(Roots(home=str(tmp_path))) as places, running(box, size=(120, 30)) as pilot:
            made: Screen[None] = Screen()
            await pilot.app.push_screen(made)
            quick, info = QuickView(places), InfoPanel(places)
            await made.mount(Horizontal(quick, info))
            at = Eyes(pilot, wait, shown)
            at.quick, at.info = quick, info  # type: ignore[attr-defined]
            yield at

    return view


async def test_the_other_pane_shows_each_kind_as_the_cursor_goes(beside: Any, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("some text\n")
    Image.new("RGB", (120, 80)).save(tmp_path / "a.png")
    (tmp_path / "a.csv").write_text("id,rt\n1,2\n")
    (tmp_path / "folder/below").mkdir(parents=True)
    (tmp_path / "folder/x.dat").write_bytes(bytes(3000))
    os.mkfifo(tmp_path / "pipe")
    os.link(tmp_path / "a.txt", tmp_path / "again.txt")
    (tmp_path / "link").symlink_to("a.txt")
    async with beside() as at:
        for name, words in (
            (
                "a.txt",
                (
                    "some text",
                    "text, UTF-8 · 10 B",
                    "2 names of one file",
                    "10 bytes",
                    "0644",
                    "mounted on",
                    "free",
                ),
            ),
            ("a.png", ("120 × 80 pixels", "▀", "PNG picture")),
            ("a.csv", ("id", "1 row, 2 columns")),
            ("folder", ("folders       1", "files         1", ".dat", "drwx")),
            ("pipe", ("neither a file nor a folder",)),
            ("link", ("some text", "leads to", "symbolic link")),
            ("nowhere", ("cannot look at", "it is not there")),
        ):
            at.quick.show(parse(f"~/{name}"))
            at.info.show(parse(f"~/{name}"))
            await at.sees(*words)


async def test_the_quick_view_drops_what_the_cursor_has_left(beside: Any, tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"{number}.csv").write_text(f"id,name\n{number},this is {number}\n")
    async with beside() as at:
        for number in range(30):
            at.quick.show(parse(f"~/{number}.csv"))
        await at.sees("this is 29")
        assert "this is 28" not in at.page
        at.quick.show(None)
        await at.until(lambda: "this is" not in at.page)
        assert at.quick.file.source is None


LOG = (
    "labbox:progress 1/3\n"
    "downloading\n"
    "\r 10%|#         |\r 50%|#####     |\r100%|##########|\n"
    "\x1b[31mERROR\x1b[0m it \x1b]52;c;AAAA\x07failed\n"
    "labbox:progress 2/3\n"
    "\tlast line\n"
    "labbox:progress 3/3\n"
)


@pytest.mark.parametrize("name", ["log.txt", "train.log", "slurm-1.out", "notes.txt"])
async def test_a_log_is_drawn_as_a_terminal_draws_it(viewing: View, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(LOG)
    async with viewing(tmp_path / name) as eyes:
        await eyes.sees("100%|##########|", "ERROR it ␛]52;c;AAAA␇failed", "        last line", "100 %")
        assert "labbox:progress" not in eyes.page and "50%" not in eyes.page and "␍" not in eyes.page
        assert eyes.top == "downloading"
        text = eyes.pilot.app.screen.query_one(TextPage)
        drawn = [segment for y in range(5) for segment in text.render_line(y) if segment.text == "ERROR"]
        colours = [segment.style.color for segment in drawn if segment.style is not None]
        (red,) = [colour.triplet for colour in colours if colour is not None]
        assert red is not None and red.red > red.green
        await eyes.press("P")
        await eyes.sees("labbox:progress 1/3", "labbox:progress 3/3")
        await eyes.press("P")
        await eyes.until(lambda: "labbox:progress" not in eyes.page)
        await eyes.press("f8")  # the plain text: every control to be seen
        await eyes.sees("labbox:progress 2/3", "␍ 50%|#####", "␛[31mERROR␛[0m")


async def test_a_log_of_many_lines_moves_by_rows_that_are_shown(viewing: View, tmp_path: Path) -> None:
    lines = [f"labbox:progress {n}/600\n\x1b[3{n % 8}mline {n:03}\x1b[0m\n" for n in range(600)]
    (tmp_path / "many.log").write_text("".join(lines))
    async with viewing(tmp_path / "many.log") as eyes:
        await eyes.until(lambda: eyes.top == "line 000")
        await eyes.press("down", "down")
        await eyes.until(lambda: eyes.top == "line 002")
        await eyes.press("up")
        await eyes.until(lambda: eyes.top == "line 001")
        await eyes.press("end")
        await eyes.sees("line 599", "100 %")
        await eyes.press("slash", *"line 123", "enter")
        await eyes.until(lambda: "line 123" in eyes.page or "not there" in eyes.page)
        await eyes.press("home")
        await eyes.until(lambda: eyes.top == "line 000")
