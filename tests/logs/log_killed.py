"""Follows a spool until it is killed; tests/logs/test_logs_killed.py starts it again and again."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from labbox.daemon.jobs.logs import Logs


async def main(results: str, spool: str) -> None:
    log = Logs().open(
        results=Path(results), spool=Path(spool), limit=1 << 30, progress=lambda _: None, full=lambda: None
    )
    print("ready", flush=True)
    await log.follow()


asyncio.run(main(*sys.argv[1:]))
