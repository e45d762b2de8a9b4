"""The two answers of the engine that have no end: its events, and the terminal of a process in a container.

Read in the event loop from a connection of their own: nothing blocks, and cancelling closes them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any, Final
from urllib.parse import urlencode

from labbox.errors import LabboxError
from labbox.text import decode, visible_line

_OPEN_SECONDS: Final = 15.0
_LINE: Final = 4 << 20  # bytes; the longest message of the engine


async def open_stream(
    socket_path: str, method: str, path: str, body: dict[str, Any] | None = None, *, upgrade: bool = False
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send a request; what comes back stands after the head of the answer.

    With `upgrade` both directions are then raw bytes. LabboxError "unavailable" where the engine is not
    there, "conflict" where it refuses.
    """
    try:
        async with asyncio.timeout(_OPEN_SECONDS):
            reader, writer = await asyncio.open_unix_connection(socket_path, limit=_LINE)
            try:
                content = b"" if body is None else json.dumps(body).encode()
                head = [f"{method} {path} HTTP/1.1", "Host: engine", f"Content-Length: {len(content)}"]
                head += ["Content-Type: application/json"] if content else []
                head += ["Connection: Upgrade", "Upgrade: tcp"] if upgrade else []
                writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + content)
                await writer.drain()
                answer = await reader.readuntil(b"\r\n\r\n")
                status = int(answer.split(maxsplit=2)[1])
                if status not in (101, 200):
                    said = visible_line(decode(await reader.read(2000))).strip()
                    raise LabboxError(
                        "conflict", f"cannot do this in the container engine now: {said or status}"
                    )
            except BaseException:
                writer.close()
                raise
    except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError) as error:
        why = (error.strerror if isinstance(error, OSError) else "") or "it does not answer"
        raise LabboxError(
            "unavailable",
            f"cannot reach the container engine at {socket_path}: {why}",
            "start it on the box: systemctl start docker, or ./autoboot.sh engine where no systemd runs",
        ) from error
    return reader, writer


@contextlib.asynccontextmanager
async def events(
    socket_path: str, api_version: str, label: str
) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    """The events of the containers that have a label, from now on; the iterator ends with the connection."""
    filters = json.dumps({"type": ["container"], "label": [label]})
    path = f"/v{api_version}/events?{urlencode({'filters': filters})}"
    reader, writer = await open_stream(socket_path, "GET", path)
    try:
        yield _lines_of_json(reader)
    finally:
        writer.close()


async def _lines_of_json(reader: asyncio.StreamReader) -> AsyncIterator[dict[str, Any]]:
    """The messages in a chunked body (RFC 9112, 7.1); the engine may put one into several chunks."""
    rest = b""
    with contextlib.suppress(OSError, EOFError, ValueError):  # an engine that was killed ends in the middle
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            rest += (await reader.readexactly(size + 2))[:-2]
            *lines, rest = rest.split(b"\n")
            for line in lines:
                if line.strip():
                    yield json.loads(line)
