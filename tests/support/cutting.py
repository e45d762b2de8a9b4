"""A transfer in a process of its own that is killed at a given step, and counts what it reads."""

from __future__ import annotations

import json
import mmap
import os
import signal
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

COUNTED = ("read", "pread", "preadv", "copy_file_range")


def transfer(
    spec: dict[str, Any], home: Path, job: Path, counts: Path, kill_at: int = 0, places: bool = False
) -> subprocess.CompletedProcess[bytes]:
    """Run it to its end, or until it has taken `kill_at` steps and kills itself with SIGKILL."""
    words = json.dumps([spec, str(home), str(job), str(counts), kill_at, places])
    support = str(Path(__file__).parent)
    return subprocess.run(
        [
            sys.executable,
            "-P",
            "-c",
            f"import sys; sys.path.insert(0, {support!r}); import cutting; cutting.main()",
        ],
        input=words.encode(),
        capture_output=True,
        timeout=100,
        check=False,
    )


def counted(counts: Path) -> tuple[int, int]:
    """Steps taken by the last run, and bytes read by all runs."""
    steps, read = struct.unpack("qq", counts.read_bytes())
    return steps, read


def main() -> None:
    """The child: every call that opens, makes, renames, links or reads is a step."""
    import asyncio

    import msgspec

    from labbox.files.places.opening import Places, Roots
    from labbox.files.transfer import asked, content, run
    from labbox.model import TransferSpec

    spec, home, job, counts, kill_at, places_only = json.loads(sys.stdin.read())
    if places_only:
        asked.Spot.local = property(lambda _self: False)  # type: ignore[assignment,method-assign]
    content._KERNEL_BLOCK = 1 << 18  # type: ignore[misc]
    Path(counts).touch()
    with Path(counts).open("r+b") as file:
        if os.fstat(file.fileno()).st_size == 0:
            file.write(bytes(16))
            file.flush()
        memory = mmap.mmap(file.fileno(), 16)
    struct.pack_into("q", memory, 0, 0)

    def step(read: int = 0) -> None:
        steps, total = struct.unpack_from("qq", memory)
        struct.pack_into("qq", memory, 0, steps + 1, total + read)
        if steps + 1 == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    going = False

    def hook(event: str, _arguments: object) -> None:
        if going and (event == "open" or event.startswith("os.")):
            step()

    def counting(call: Any) -> Any:
        def wrapped(*arguments: Any) -> Any:
            result = call(*arguments)
            if going:
                step(result if isinstance(result, int) else len(result))
            return result

        return wrapped

    sys.addaudithook(hook)
    for name in COUNTED:
        setattr(os, name, counting(getattr(os, name)))

    async def go() -> None:
        nonlocal going
        async with Places(Roots(home=home)) as places:
            going = True
            summary = await run(msgspec.convert(spec, TransferSpec), places, Path(job))
            going = False
            sys.stdout.write(msgspec.json.encode(summary).decode())

    asyncio.run(go())
