from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from labbox.daemon.jobs.logs import Logs, RunLog
from labbox.model import Progress
from labbox.protocol import LogRecord


class Run:
    """A run's folders, and its log while it is open."""

    def __init__(self, logs: Logs, folder: Path) -> None:
        self.logs = logs
        self.results = folder / "results"
        self.spool = folder / "spool"
        self.results.mkdir()
        self.spool.mkdir()
        self.progress: list[Progress] = []
        self.full = 0

    def open(self, limit: int = 1 << 30) -> RunLog:
        log = self.logs.open(
            results=self.results,
            spool=self.spool,
            limit=limit,
            progress=self.progress.append,
            full=self._note_full,
        )
        log.begins()
        return log

    def _note_full(self) -> None:
        self.full += 1

    def write(self, data: bytes, stream: str = "stdout") -> None:
        with (self.spool / stream).open("ab") as file:
            file.write(data)

    def holds(self, data: bytes) -> bool:
        path = self.results / "log.txt"
        return path.exists() and path.read_bytes() == data

    @property
    def log(self) -> bytes:
        return (self.results / "log.txt").read_bytes()

    async def records(self, after: int = 0, tail: int | None = None) -> list[LogRecord]:
        return [record async for record in self.logs.read(self.results, attempt=1, after=after, tail=tail)]


@pytest.fixture
def logs() -> Iterator[Logs]:
    made = Logs()
    yield made
    made.close()


@pytest.fixture
def run(logs: Logs, tmp_path: Path) -> Run:
    return Run(logs, tmp_path)
