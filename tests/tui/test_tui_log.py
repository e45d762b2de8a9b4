"""The log screen and the book of lines under it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from labbox.model import Stream
from labbox.protocol import LogRecord
from labbox.tui.logbook import MOST_BYTES, MOST_LINES, Logbook, View, clean

AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def piece(text: str, stream: Stream = Stream.OUT, cursor: int = 0) -> LogRecord:
    return LogRecord(cursor=cursor, at=AT, stream=stream, text=text)


def test_pieces_become_lines_each_stream_for_itself() -> None:
    book = Logbook()
    book.add(
        [piece("one\ntw"), piece("err", Stream.ERR), piece("o\nthr"), piece("or\n", Stream.ERR), piece("ee")]
    )
    assert [(line.stream.value, line.text) for line in book.lines] == [
        ("out", "one"), ("out", "two"), ("err", "error"), ("out", "three"),
    ]  # fmt: skip


def test_progress_by_carriage_return_leaves_its_last_state() -> None:
    book = Logbook()
    for percent in range(0, 101, 10):
        book.add([piece(f"\r{percent}%")])
    assert [line.text for line in book.lines] == ["100%"]
    assert clean("a\x1b[31mred\x1b[0m") == ("ared", ((1, 4, "red"),))
    assert clean("bell\x07 \x1b]0;x\x07").text == "bell␇ ␛]0;x␇"


def test_an_endless_log_stays_bounded() -> None:
    book = Logbook()
    for _ in range(300):
        book.add([piece("x" * 60 + "\n") for _ in range(200)])
    assert len(book.lines) <= MOST_LINES and book.bytes <= MOST_BYTES
    assert book.dropped + len(book.lines) == 60_000
    for _ in range(200):
        book.add([piece("y" * 64_000 + "\n")])
    assert book.bytes <= MOST_BYTES and book.bytes == sum(len(line.text) for line in book.lines)


def test_rows_wrap_hide_streams_and_are_found() -> None:
    book = Logbook()
    view = View(book)
    view.width = 10
    book.add([piece("short\n" + "l" * 25 + "\n"), piece("warning\n", Stream.ERR)])
    view.rebuild()
    assert len(view.rows) == 3
    view.wrap = True
    view.rebuild()
    assert view.rows == [(0, 0), (1, 0), (1, 10), (1, 20), (2, 0)]
    view.streams = {Stream.ERR}
    view.rebuild()
    assert view.rows == [(2, 0)]
    assert view.find("WARN", 0) == 0 and view.find("nothing", 0) is None


async def test_it_follows_until_someone_scrolls_up(box: Any, running: Any, wait: Any, shown: Any) -> None:
    box.log_open = True
    async with running(box, size=(100, 24)) as pilot:
        await pilot.press("l")
        await wait(pilot, lambda: "trial  60" in shown(pilot) and "following" in shown(pilot))
        assert "labbox:progress" not in shown(pilot)
        await pilot.press("P")
        await wait(pilot, lambda: "labbox:progress 40/100" in shown(pilot))
        assert "$ job submit studies/reaction-time --cpus 2 --env SEED=7" in shown(pilot)
        box.write("a fresh line\n")
        await wait(pilot, lambda: "a fresh line" in shown(pilot))
        await pilot.press("pageup")
        await wait(pilot, lambda: "F2 follows" in shown(pilot))
        box.write("unseen\n")
        await wait(pilot, lambda: pilot.app.screen.book.lines[-1].text == "unseen")
        assert "unseen" not in shown(pilot)
        await pilot.press("end")
        await wait(pilot, lambda: "unseen" in shown(pilot))


async def test_streams_times_wrap_and_search(box: Any, running: Any, wait: Any, shown: Any) -> None:
    box.write("w" * 150 + "END\n")
    async with running(box, size=(100, 30)) as pilot:
        await pilot.press("l")
        await wait(pilot, lambda: "! UserWarning" in shown(pilot) and "end of log" in shown(pilot))
        await pilot.press("2")
        await wait(pilot, lambda: "UserWarning" not in shown(pilot) and "without err" in shown(pilot))
        await pilot.press("2", "m")
        await wait(pilot, lambda: "12:00:" in shown(pilot))
        assert "wEND" not in shown(pilot)
        await pilot.press("W")
        await wait(pilot, lambda: "wEND" in shown(pilot))
        assert "trial  17" not in shown(pilot)
        await pilot.press("slash", *"trial  17", "enter")
        await wait(pilot, lambda: "trial  17" in shown(pilot))
        await pilot.press("slash", *["backspace"] * 9, *"nowhere", "enter")
        await wait(pilot, lambda: "“nowhere” not found" in shown(pilot))
        await pilot.press("S")
        await wait(pilot, lambda: "jobs/2026/11/21/1000/log.txt" in shown(pilot))
        await pilot.press("home")
        await wait(pilot, lambda: "› labbox: image" in shown(pilot))


async def test_a_flood_does_not_stall_the_screen(box: Any, running: Any, wait: Any, shown: Any) -> None:
    import threading
    import time

    box.log_open = True
    stop = threading.Event()

    def flood() -> None:
        block = ("x" * 999 + "\n") * 64
        while not stop.wait(0.02):  # 16 blocks of 64 kB each 20 ms: 50 MB/s
            for _ in range(16):
                box.write(block)
            with box.changed:
                del box.log[:-2000]

    thread = threading.Thread(target=flood)
    async with running(box) as pilot:
        await pilot.press("l")
        await wait(pilot, lambda: "following" in shown(pilot))
        thread.start()
        try:
            worst = 0.0
            for _ in range(30):
                began = time.perf_counter()
                await pilot.press("m")
                worst = max(worst, time.perf_counter() - began)
            book = pilot.app.screen.book
            assert worst < 2.0
            assert book.bytes <= MOST_BYTES
        finally:
            stop.set()
            thread.join()


async def test_colours_are_kept_and_nothing_else(box: Any, running: Any, wait: Any, shown: Any) -> None:
    box.write("\x1b[32mall good\x1b[0m \x1b[2Jdone\n\r 1%\r 2%\n")
    async with running(box, size=(100, 30)) as pilot:
        await pilot.press("l")
        await wait(pilot, lambda: "all good ␛[2Jdone" in shown(pilot))
        assert " 2%" in shown(pilot) and " 1%" not in shown(pilot)
        view = pilot.app.screen.log_view
        (green,) = [
            segment.style
            for y in range(view.size.height)
            for segment in view.render_line(y)
            if segment.text == "all good"
        ]
        assert green.color.triplet.green > green.color.triplet.red
