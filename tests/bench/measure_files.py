"""The file manager on large folders: opening them, moving in them, what goes over the wire."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from harness import Box, Sshd, Table, Terminal, median, need, percentile, temporary_box
from textual._xterm_parser import XTermParser
from textual.drivers.headless_driver import HeadlessDriver

from labbox.files.apart import Apart
from labbox.files.directory import Arrangement, Listing, Sort
from labbox.files.scanning import Columns, rearrange, scan

_MANY, _MILLION = 100_000, 1_000_000
_STEPS = 40
_DOWN, _PAGE_DOWN = "\x1b[B", "\x1b[6~"
_REST = 0.04  # seconds between two keys, as of one that is held down
_FIRST = "file-0-run"
_LOOK = 0.02  # seconds between two looks at memory


def measure(table: Table, _options: argparse.Namespace) -> None:
    need("mc", "mc")
    folder = Path(tempfile.mkdtemp(prefix="labbox-many-", dir="/var/tmp"))
    try:
        folder.chmod(0o755)
        many, million = _fill(folder / "many", _MANY), _fill(folder / "million", _MILLION)
        _memory(table, million)  # first: what others leave free in this process would be counted as used
        whole = _open(table, many, "100,000 files")
        theirs = median([_mc(many) for _ in range(3)])
        table.add(
            "100,000 files: complete and sorted",
            "`mc`, to its first page",
            "≤ 1.0",
            f"{whole / theirs:.2f} ({whole:.2f} s against {theirs:.2f} s)",
            whole <= theirs,
        )
        whole = _open(table, million, "a million files")
        table.add("a million files: complete and sorted", "–", "≤ 6 s", f"{whole:.2f} s", whole <= 6)
        with temporary_box(("ada",)) as box:
            _over_ssh(table, box, many.rename(box.state / "homes" / "ada" / "many"))
    finally:
        shutil.rmtree(folder)


def _fill(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        (folder / f"file-{number * 7919 % count}-run{number % 13}.dat").touch()
    return folder


def _mc(folder: Path) -> float:
    terminal = Terminal(["mc", str(folder), "/"])
    taken = terminal.wait_for(_FIRST, "Mkdir")
    terminal.close()
    return taken


class Opening:
    """One folder opened as the pane does it, with a watch on how long the event loop stands still."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.first = self.complete = self.stall = 0.0
        self.queued = 0.0  # of the longest stall, what the loop stood in line for a core
        self.listing = Listing()

    async def run(self) -> None:
        loop, done, began = asyncio.get_running_loop(), asyncio.Event(), time.perf_counter()

        def arrived(listing: Listing, columns: Columns | None) -> None:
            self.listing = listing
            if columns is not None:
                listing.fill(columns)
            self.first = self.first or time.perf_counter() - began
            if listing.complete:
                self.complete = time.perf_counter() - began
                done.set()

        def show(listing: Listing, columns: Columns | None) -> None:
            loop.call_soon_threadsafe(arrived, listing, columns)

        reading = loop.run_in_executor(None, scan, str(self.folder), Arrangement(), show, Apart())
        before, line = time.perf_counter(), _in_line()
        while not done.is_set():
            await asyncio.sleep(0.001)
            now, stood = time.perf_counter(), _in_line()
            self.stall, self.queued = max((self.stall, self.queued), (now - before - 0.001, stood - line))
            before, line = now, stood
        await reading


def _in_line() -> float:
    """Seconds that this thread has stood in line for a core."""
    return int(Path(f"/proc/self/task/{threading.get_native_id()}/schedstat").read_text().split()[1]) / 1e9


def _idle_stall(seconds: float) -> float:
    """How long a loop that has nothing to do stands still: what the machine itself does to it."""

    async def rest() -> float:
        worst, before, end = 0.0, time.perf_counter(), time.perf_counter() + seconds
        while before < end:
            await asyncio.sleep(0.001)
            now = time.perf_counter()
            worst, before = max(worst, now - before - 0.001), now
        return worst

    return asyncio.run(rest())


def _open(table: Table, folder: Path, what: str) -> float:
    """First rows and stalls; the seconds until all is there."""
    subprocess.run(["ls", "-f", folder], check=True, stdout=subprocess.DEVNULL)  # in the kernel's memory
    tried = []
    for _ in range(3):
        tried.append(Opening(folder))
        asyncio.run(tried[-1].run())
        if len(tried) > 1:
            tried[-2].listing = Listing()
    rows, whole = median([each.first for each in tried]), median([each.complete for each in tried])
    stall, queued = sorted((each.stall, each.queued) for each in tried)[1]
    idle = _idle_stall(whole)
    table.add(f"{what}: first rows", "–", "≤ 100 ms", f"{rows * 1000:.0f} ms", rows <= 0.1)
    table.add(
        f"{what}: the longest stall of the event loop meanwhile",
        f"an idle loop: {idle * 1000:.0f} ms",
        "≤ 20 ms",
        f"{stall * 1000:.0f} ms, of it in line for a core {queued * 1000:.0f} ms",
        stall <= 0.02,
    )
    began = time.perf_counter()
    rearrange(tried[-1].listing, Arrangement(Sort.SIZE, reverse=True), Apart())
    print(f"      {what}: sorted by size in {time.perf_counter() - began:.2f} s, off the loop")
    return whole


def _memory(table: Table, folder: Path) -> None:
    """The growth of this process by one listing, and the most that it and its helpers took meanwhile."""
    looks: list[float] = []
    done = threading.Event()

    def look() -> None:
        while not done.wait(_LOOK):
            looks.append(_resident())

    gc.collect()
    before = _resident()
    watch = threading.Thread(target=look)
    watch.start()
    opening = Opening(folder)
    asyncio.run(opening.run())
    done.set()
    watch.join()
    grown, most = (_resident() - before) / 1e6, (max(looks) - before) / 1e6
    table.add(
        "a million files: memory added, with the helpers while they live",
        "–",
        "≤ 150 MB",
        f"{most:.0f} MB at most, {grown:.0f} MB from then on",
        most <= 150,
    )
    assert len(opening.listing) == _MILLION


def _resident() -> float:
    """Bytes in memory of this process and of all below it; what several share is counted once."""
    pids, total = [os.getpid()], 0
    for pid in pids:
        try:
            for task in Path(f"/proc/{pid}/task").iterdir():
                pids += map(int, (task / "children").read_text().split())
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue  # it has ended
        total += sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return total * 1024


def _over_ssh(table: Table, box: Box, folder: Path) -> None:
    sshd = Sshd(box.folder / "sshd", box.key)
    theirs, steps, pages, sizes = [], [], [], []
    ours = []
    try:
        terminal = Terminal(box.ssh("ada", tty=True))
        terminal.wait_for("Modified", "Quit")
        for _ in "lr":  # both panes go there, and remember it
            terminal.drain()
            terminal.reach(b"\x1bc", "Go to")
            terminal.reach(b"~/many\r", "▸~/many", _FIRST)  # the sign of the pane with the keys
            terminal.drain()
            os.write(terminal.fd, b"\t")
        terminal.drain(1.0)
        os.write(terminal.fd, b"\x1b[21~")
        terminal.drain(10.0)  # to the end of the session, which writes down where it was
        terminal.close()
        for turn in range(7):
            terminal = Terminal(box.ssh("ada", tty=True))
            ours.append(terminal.wait_for(_FIRST, "Quit"))
            if turn == 6:
                terminal.drain(2.0)
                for _ in range(_STEPS):
                    start = len(terminal.data)
                    steps.append(terminal.key(b"\x1b[B"))
                    terminal.drain(0.1)
                    sizes.append(len(terminal.data) - start)
                for _ in range(_STEPS):
                    pages.append(terminal.key(b"\x1b[6~"))
                    terminal.drain(0.1)
            terminal.close()
            terminal = Terminal(sshd.ssh("mc", str(folder), str(folder), tty=True))
            theirs.append(terminal.wait_for(_FIRST, "Mkdir"))
            terminal.close()
    finally:
        sshd.stop()
    ratio = median(ours) / median(theirs)
    table.add(
        "`ssh` to the pane on 100,000 files, its first sorted page on the screen",
        "`ssh -t host mc DIR DIR`",
        "≤ 0.5",
        f"{ratio:.2f} ({median(ours):.2f} s against {median(theirs):.2f} s)",
        ratio <= 0.5,
    )
    table.add(
        "one cursor step in 100,000 files, over ssh: bytes for the terminal",
        "–",
        "≤ 1 KB",
        f"{max(sizes)} bytes at most",
        max(sizes) <= 1024,
    )
    print(
        f"      over ssh, key to paint: step {median(steps) * 1000:.1f} ms, p95 "
        f"{percentile(steps, 0.95) * 1000:.1f} ms; page down {median(pages) * 1000:.1f} ms, p95 "
        f"{percentile(pages, 0.95) * 1000:.1f} ms"
    )
    asyncio.run(_in_the_app(table, folder))


class Timed(HeadlessDriver):
    """Takes keys as the driver of a terminal takes their bytes, and notes when the answer is written."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._parser = XTermParser()
        self._sink = os.open(os.devnull, os.O_WRONLY)
        self.written = asyncio.Event()
        self.wall = self.worked = 0.0

    @property
    def is_headless(self) -> bool:
        return False  # all is drawn

    def type(self, keys: str) -> None:
        """Bytes have come."""
        self.written.clear()
        for event in self._parser.feed(keys):
            self.process_message(event)

    def write(self, data: str) -> None:
        os.write(self._sink, data.encode())
        self.wall, self.worked = time.perf_counter(), time.process_time()
        self.written.set()


class Pressing(NamedTuple):
    """What keys of one sort took, each from its bytes to the last write that answers them."""

    wall: list[float]
    core: list[float]  # of all threads of the process
    after: list[float]  # the same, with what is still done once the answer is written


async def _press(driver: Timed, keys: Sequence[str]) -> Pressing:
    found = Pressing([], [], [])
    for key in keys:
        began, begun = time.perf_counter(), time.process_time()
        driver.type(key)
        await asyncio.wait_for(driver.written.wait(), 10)
        await asyncio.sleep(_REST)  # Textual may write twice
        found.wall.append(driver.wall - began)
        found.core.append(driver.worked - begun)
        found.after.append(time.process_time() - begun)
    return found


async def _in_the_app(table: Table, folder: Path) -> None:
    """What a key costs the app itself, from the bytes that the driver gets to those that it writes."""
    import sys

    sys.path.insert(0, str(Path(__file__).parent.parent / "tui"))
    import fake_client  # type: ignore[import-not-found]  # the box in memory of the tests of the screens

    from labbox.locations import parse
    from labbox.tui.app import LabboxApp
    from labbox.tui.screens.files import FilesScreen

    box = fake_client.full_box(60)
    with tempfile.TemporaryDirectory() as home:
        os.environ["HOME"] = home
        app = LabboxApp(box, "labbox-dark", Timed)
        running = asyncio.create_task(app.run_async(size=(200, 50), mouse=False))
        while not (app.screen_stack and isinstance(app.screen, FilesScreen) and app.screen.here.listing):
            await asyncio.sleep(_REST)
        screen, driver = app.screen, app._driver
        assert isinstance(screen, FilesScreen)
        assert isinstance(driver, Timed)
        with app._context():  # as everything that the app does itself
            await screen.go(parse(str(folder)))
        while screen.here.listing is None or len(screen.here.listing) < _MANY or screen.here.reading:
            await asyncio.sleep(_REST)
        await asyncio.sleep(1.0)  # what follows a reading
        steps = await _press(driver, [_DOWN] * _STEPS)
        pages = await _press(driver, [_PAGE_DOWN] * _STEPS)
        scrolls = await _press(driver, [_DOWN] * _STEPS)
        app.exit()
        await running
        box.close()
    for what, taken in (("step", steps), ("step that scrolls", scrolls), ("page down", pages)):
        core, wall, after = (median(times) * 1000 for times in (taken.core, taken.wall, taken.after))
        print(
            f"      {what}, from its bytes to its answer: {core:.1f} ms of a core, {wall:.1f} ms in all "
            f"(p95 {percentile(taken.wall, 0.95) * 1000:.1f}); all its work {after:.1f} ms",
            file=sys.__stdout__,
        )
    page, step, scroll = (median(taken.core) for taken in (pages, steps, scrolls))
    table.add(
        "page down and cursor in 100,000 files: a core's time from the key's bytes to the answer's",
        "–",
        "≤ 10 ms, ≤ 3 ms (≤ 2.5 ms where all rows move)",
        f"{page * 1000:.1f} ms, {step * 1000:.1f} ms ({scroll * 1000:.1f} ms where all rows move)",
        page <= 0.01 and step <= 0.003 and scroll <= 0.0025,
    )
