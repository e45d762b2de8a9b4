"""What was acknowledged is there: after a kill at any moment, and on a disk that is full."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import labbox
from labbox.daemon.store import Store
from labbox.errors import LabboxError

ROUNDS = 8

WRITER = """
import asyncio, sys
from pathlib import Path
from labbox.daemon.store import Store

async def main():
    store = await Store.open(Path(sys.argv[1]))
    first = int(sys.argv[2])
    async def put(number):
        await store.write(lambda db: db.execute("INSERT INTO meta VALUES (?, '')", (f"{number:09}",)).close())
        sys.stdout.write(f"{number:09}\\n")
        sys.stdout.flush()
    async def lane(offset):
        for number in range(first + offset, first + 10**6, 4):
            await put(number)
    await asyncio.gather(*(lane(offset) for offset in range(4)))

asyncio.run(main())
"""


async def test_a_killed_writer_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "labbox.db"
    chance = random.Random(20261121)
    acknowledged: set[str] = set()
    for number in range(ROUNDS):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, path, str(number * 10**6)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(labbox.__file__).parent.parent)},
        )
        with writer:
            assert writer.stdout is not None
            for _ in range(chance.randrange(1, 400)):
                acknowledged.add(writer.stdout.readline().strip())
            writer.send_signal(signal.SIGKILL)
            acknowledged.update(line.strip() for line in writer.stdout if line.endswith("\n"))
    store = await Store.open(path)
    kept = await store.read(lambda db: {row["key"] for row in db.execute("SELECT key FROM meta")})
    await store.close()
    assert len(acknowledged) > ROUNDS
    assert acknowledged <= kept


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place], check=True, timeout=10)
    yield place
    subprocess.run(["umount", "-l", place], check=True, timeout=10)


@pytest.mark.root
async def test_a_full_disk_is_said_in_words_and_costs_nothing_that_was_kept(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"\0" * 500_000)
    store = await Store.open(small_disk / "labbox.db")

    def put(key: str, size: int) -> object:
        return store.write(lambda db: db.execute("INSERT INTO meta VALUES (?, ?)", (key, "x" * size)).close())

    kept: list[str] = []
    refused: LabboxError | None = None
    for number in range(1000):
        keys = [f"{number:03}-{part}" for part in range(4)]
        outcomes = await asyncio.gather(*(put(key, 20_000) for key in keys), return_exceptions=True)  # type: ignore[call-overload]
        kept += [key for key, outcome in zip(keys, outcomes, strict=True) if outcome is None]
        errors = [outcome for outcome in outcomes if outcome is not None]
        if errors:
            assert all(isinstance(error, LabboxError) for error in errors), errors
            refused = errors[0]
            break
    assert refused is not None
    assert refused.code == "unavailable"
    assert "the disk is full" in refused.message
    assert refused.hint

    def stored(db: sqlite3.Connection) -> list[str]:
        return [row["key"] for row in db.execute("SELECT key FROM meta ORDER BY key")]

    assert await store.read(stored) == sorted(kept)
    ballast.unlink()
    assert await store.write(lambda db: db.execute("INSERT INTO meta VALUES ('later', '')").rowcount) == 1
    await store.close()
    store = await Store.open(small_disk / "labbox.db")
    assert await store.read(stored) == [*sorted(kept), "later"]
    await store.close()
