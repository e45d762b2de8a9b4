"""A progress bar on the last line of a terminal, which makes way for whatever is printed."""

from __future__ import annotations

import shutil
import sys
import threading

from labbox.model import Progress
from labbox.text import format_bytes, format_duration, visible_line

_CLEAR = "\r\x1b[K"


class Bar:
    """One line on standard error; silent where that is not a terminal. Safe to use from two threads."""

    def __init__(self, *, quiet: bool = False) -> None:
        """Nothing is drawn before the first `show`."""
        self.live = not quiet and sys.stderr.isatty()
        self._lock = threading.Lock()
        self._line = ""
        self._at_line_start = True

    def show(self, progress: Progress | None, text: str = "") -> None:
        """Draw how far something is; None and no text takes the bar away."""
        if not self.live:
            return
        width = shutil.get_terminal_size().columns - 1
        line = format_bar(progress, width) if progress is not None else visible_line(text)[:width]
        with self._lock:
            if line != self._line:
                self._line = line
                self._draw()

    def write(self, text: str, *, error: bool = False, raw: bool = False) -> None:
        """Print text above the bar; `raw` as bytes where the stream is no terminal."""
        if not text:
            return
        stream = sys.stderr if error else sys.stdout
        with self._lock:
            if self.live and self._line and self._at_line_start:
                sys.stderr.write(_CLEAR)
                sys.stderr.flush()
            if raw and not stream.isatty():
                stream.flush()
                stream.buffer.write(text.encode("utf-8", "surrogateescape"))
                stream.buffer.flush()
            else:
                stream.write(text)
                stream.flush()
            self._at_line_start = text.endswith("\n")
            self._draw()

    def close(self) -> None:
        """Take the bar away."""
        self.show(None)

    def _draw(self) -> None:
        """Only on a line of its own: a prompt without a newline is left as it is."""
        if self.live and self._at_line_start:
            sys.stderr.write(_CLEAR + self._line)
            sys.stderr.flush()


def format_bar(progress: Progress, width: int) -> str:
    """``running [#######-----] 40/100 steps  3.2/s  0m19s left`` in at most `width` columns."""
    words = []
    count = format_bytes if progress.unit == "bytes" else _plain
    if progress.total:
        words.append(f"{count(progress.done)}/{count(progress.total)}")
    elif progress.done:
        words.append(count(progress.done))
    if words and progress.unit not in ("bytes", "steps"):
        words.append(visible_line(progress.unit))
    if progress.files is not None and progress.unit != "files":
        of = "" if progress.files_total is None else f"/{progress.files_total}"
        last = progress.files if progress.files_total is None else progress.files_total
        words.append(f"{progress.files}{of} {'file' if last == 1 else 'files'}")
    if progress.rate:
        words.append(f"{count(progress.rate)}/s")
    if progress.remaining is not None:
        words.append(f"{format_duration(progress.remaining)} left")
    tail = "  ".join(words)
    head = visible_line(progress.phase)
    room = min(40, width - len(head) - len(tail) - 5)
    if progress.total and room >= 5:
        filled = round(room * min(1.0, max(0.0, progress.done / progress.total)))
        head += f" [{'#' * filled}{'-' * (room - filled)}]"
    return f"{head} {tail}"[:width]


def _plain(value: float) -> str:
    return f"{value:.0f}" if value == int(value) or value >= 100 else f"{value:.1f}"
