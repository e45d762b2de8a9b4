from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from labbox.daemon.jobs.logfiles import LogReader
from labbox.model import Stream

KILLS = 50


def test_fifty_kills_while_a_run_writes_lose_and_double_nothing(run: Any) -> None:
    script = Path(__file__).with_name("log_killed.py")
    choice = random.Random(20)
    stop = threading.Event()
    written = {"stdout": bytearray(), "stderr": bytearray()}

    def write() -> None:
        files = {name: (run.spool / name).open("ab", buffering=0) for name in written}
        number = 0
        while not stop.is_set():
            name = choice.choice(("stdout", "stderr"))
            number += 1
            data = b"%s %d %s" % (name.encode(), number, b"x" * choice.randrange(3000))
            data += choice.choice((b"\n", b"\n", b"", "ü€\n".encode()))
            files[name].write(data)
            written[name] += data
            stop.wait(0.0005)
        for file in files.values():
            file.close()

    writer = threading.Thread(target=write)
    writer.start()
    grown = 0
    try:
        for _ in range(KILLS):
            with subprocess.Popen(
                [sys.executable, str(script), str(run.results), str(run.spool)],
                stdout=subprocess.PIPE,
                env=os.environ,
            ) as follower:
                assert follower.stdout is not None
                assert follower.stdout.readline() == b"ready\n"
                stop.wait(choice.random() * 0.06)
                follower.kill()
            size = (run.results / "log.txt").stat().st_size if (run.results / "log.txt").exists() else 0
            grown += size > 0
    finally:
        stop.set()
        writer.join()
    assert grown > KILLS // 2  # the kills struck while it was writing
    asyncio.run(run.open().finish())
    assert _streams(run.results) == {Stream.OUT: written["stdout"], Stream.ERR: written["stderr"]}


def _streams(results: Path) -> dict[Stream, bytearray]:
    reader = LogReader(results)
    found = {Stream.OUT: bytearray(), Stream.ERR: bytearray()}
    place = 0
    for piece in reader.pieces(0, 1 << 30):
        found[piece.stream] += reader.bytes(place, piece.end)
        place = piece.end
    reader.close()
    return found
