"""The file manager on a real pseudo-terminal, of a box that does its transfers."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent.parent / "tui"
WORK = (
    "import working_box; from labbox.protocol import HostSecret; "
    "working_box.put_to_work(box, {home!r}{more}); "
)
# The terminal becomes the controlling one, as it is for a login: an editor's Ctrl+C reaches its whole group.
LOGIN = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
F3, F4, F5, F8, F10 = "\x1bOR", "\x1bOS", "\x1b[15~", "\x1b[19~", "\x1b[21~"
DOWN, HOME, END, BACKSPACE = "\x1b[B", "\x1b[H", "\x1b[F", "\x7f"
IN_FRONT = ("╭─", "┌─")


def terminals() -> Any:
    name = "labbox_tests_terminals"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, HERE / "test_tui_terminal.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


class Panes:
    """A terminal with the file manager of a box that does its transfers."""

    def __init__(self, shown: Any) -> None:
        self.shown = shown
        self.sees("F10Quit", "▸~ ")

    @property
    def page(self) -> str:
        return "\n".join(self.shown.screen.display)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.shown.press(key)

    def until(self, reached: Callable[[str], object], seconds: float = 30) -> str:
        return str(self.shown.wait(reached, seconds))

    def sees(self, *texts: str) -> str:
        return self.until(lambda page: all(text in page for text in texts))

    def on(self, name: str) -> None:
        """Put the cursor on an entry by typing its name."""
        self.press(name)
        self.sees(f"Search: {name}▏")
        self.press("\x1b")
        self.until(lambda page: "Search" not in page and f" {name}  " in page.splitlines()[-2])

    def calm(self) -> None:
        """No dialog, and the panes in front, painted from the first line to the last."""
        self.until(
            lambda page: (
                "Files on lab" in page
                and "F2Submit" in page.splitlines()[-1]
                and not any(each in page for each in IN_FRONT)
            )
        )

    def mouse(self, button: int, text: str, left: bool = True, times: int = 1) -> None:
        """Press a button where a text stands or comes, left or right; the wheel is 64 and 65."""
        half = self.shown.screen.columns // 2
        found: list[tuple[int, int]] = []

        def there(page: str) -> bool:
            parts = enumerate(line[:half] if left else line[half:] for line in page.splitlines())
            found[:] = [
                (part.index(text) + (0 if left else half), y) for y, part in parts if y > 2 and text in part
            ]
            return bool(found)

        self.until(there)
        x, y = found[0]
        for _ in range(times):
            self.press(f"\x1b[<{button};{x + 1};{y + 1}M")
            if button < 64:
                self.press(f"\x1b[<{button};{x + 1};{y + 1}m")

    def cell(self, row: int, column: int) -> str:
        return str(self.shown.screen.buffer[row][column].data)

    def rows_with(self, *texts: str) -> list[int]:
        """Where joined emoji and characters without width stand: what follows them pyte does not draw."""
        lines = enumerate(self.shown.screen.display)
        return [row for row, line in lines if any(text in line for text in texts)]

    def ends(self) -> None:
        self.press(F10)
        assert self.shown.ended() == 0

    def painted(self) -> bytes:
        """What reached the terminal beyond the sequences of the interface itself."""
        seen: bytes = self.shown.seen
        left: bytes = terminals().ALLOWED.sub(b"", seen[seen.index(b"\x1b[?1049h") :])
        return left.replace(b"\r", b"").replace(b"\n", b"")


def start(home: Path, more: str = "", rows: int = 30, columns: int = 110, **environ: str) -> Panes:
    """`more`: further words for `working_box.put_to_work`."""
    module = terminals()
    script = LOGIN + module.START + WORK.format(home=str(home), more=more) + module.MAIN.format(start="files")
    shown = module.Terminal(script, rows=rows, columns=columns, **environ)
    try:
        return Panes(shown)
    except BaseException:
        shown.close()
        raise


def there(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0
