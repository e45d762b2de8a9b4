"""What a build script finds: no password, and nothing of this machine's own network."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import hashlib
import io
import os
import re
import socket
import tarfile
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import IO, Any

import pytest
from made_packages import backend, make_source, make_wheel

from labbox.custom import Configuration, ContainerSettings, Settings
from labbox.daemon.containers import debian
from labbox.daemon.containers.images import build_image, context_of
from labbox.daemon.jobs.folders import WorkerFolders
from labbox.daemon.people.accounts import Account
from labbox.errors import LabboxError
from labbox.model import Limits

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


def building(**more: Any) -> Settings:
    return Settings(containers=ContainerSettings(dockerfiles=True, **more))


@pytest.mark.attack("S13")
@pytest.mark.parametrize("network", ["host", "none", "bridge"])
async def test_a_dockerfile_finds_no_password_and_none_of_this_machines_services(
    open_box: Callable[..., Any], index: Index, network: str, tried: Callable[..., None]
) -> None:
    proxy = f"http://lab:{PASSWORD}@127.0.0.1:{index.port}"
    environ = {"PIP_CONFIG_FILE": "/dev/null", "http_proxy": proxy, "https_proxy": proxy}
    box = await open_box(environ, settings=building(build_network=network))
    tried(5)
    asks = " ; ".join(
        f"curl -s -m 5 {words} http://{host}:{index.own_port}/own"
        for host in ("127.0.0.1", "localhost", "0.0.0.0")
        for words in ("", "--noproxy '*'")
    )
    looks = f"env; cat /proc/*/environ | tr '\\0' ' '; {asks}; true"
    text = f"FROM labbox/base\nLABEL labbox-test={box.name}\nRUN {looks}\n"
    prepared = await box.prepare(("dockerfile", text))
    said = "\n".join(box.lines)
    assert "http_proxy=http://127.0.0.1:3128" in said
    assert PASSWORD not in said
    assert "own-thing" not in said
    assert index.own == []
    found = await box.connection.call(lambda api: api.history(prepared.image))
    assert PASSWORD not in repr(found)
    await box.connection.call(lambda api: api.remove_image(prepared.image, force=True))


_LOOK_ABOUT = """
import socket
routes = [line.split() for line in open("/proc/net/route")][1:]
gateways = [socket.inet_ntoa(bytes.fromhex(one[2])[::-1]) for one in routes if one[1] == "00000000"]
for address in [(one, {port}) for one in gateways + [{own!r}, "127.0.0.1", "172.17.0.1"]] + [{link!r}]:
    try:
        with socket.create_connection(address, timeout=2) as seen:
            said = seen.recv(20)
    except OSError as error:
        said = str(error)
    print("tried", *address, said)
print("by", *gateways)
"""


def _own_address() -> str:
    """The address of this machine that faces the world, if it has one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.connect(("192.0.2.1", 9))  # sends nothing
        return str(probe.getsockname()[0])
    return "127.0.0.1"


@pytest.mark.attack("S13")
@pytest.mark.parametrize("way", ["dockerfile", "source", "apt"])
async def test_a_build_with_a_network_reaches_no_port_of_the_box_and_no_keys_of_the_machine(
    open_box: Callable[..., Any],
    index: Index,
    on_the_link: tuple[str, int],
    way: str,
    tried: Callable[..., None],
) -> None:
    with socket.create_server(("0.0.0.0", 0)) as listening:
        listening.settimeout(0.1)
        port = listening.getsockname()[1]
        look = _LOOK_ABOUT.format(port=port, own=_own_address(), link=on_the_link)
        box = await open_box(settings=building())
        run = f"echo {base64.b64encode(look.encode()).decode()} | base64 -d | python3 -"
        text = f"FROM labbox/base\nLABEL labbox-test={box.name}\n"
        if way == "source":
            work = (
                f"import subprocess\nreturn subprocess.run({run!r}, shell=True, stdout=-1, text=True).stdout"
            )
            make_source(index.folder, "labspy", backend("labspy", work))
            prepared = await box.prepare(("requirements", "labspy\n"))
            ran = await box.run(prepared, "python3", "-c", "import labspy; print(labspy.found)")
            lines = list(ran.lines)
        elif way == "dockerfile":
            prepared = await box.prepare(("dockerfile", f"{text}RUN {run}\n"))
            lines = box.lines
        else:
            spy = f"RUN printf '#!/bin/sh\\n{run}\\n' >/usr/local/bin/apt-get"
            text += f"{spy}\nRUN chmod 755 /usr/local/bin/apt-get\n"
            prepared = await box.prepare(("dockerfile", text), ("apt", "hello\n"))
            lines = box.lines
        asked = [line for line in lines if "tried " in line]
        tried(len(asked))
        assert len(asked) >= 4
        assert [line for line in lines if re.search(r"\bby [0-9.]+", line)]  # it has a network
        assert not [line for line in asked if "REACHED" in line]
        with pytest.raises(TimeoutError):
            listening.accept()
    if way != "source":
        await box.connection.call(lambda api: api.remove_image(prepared.image, force=True))


@pytest.mark.attack("S14")
async def test_a_build_has_limits_and_adds_no_address(
    open_box: Callable[..., Any], index: Index, tried: Callable[..., None]
) -> None:
    box = await open_box(settings=building(build_network="none"))
    tried(2)
    with pytest.raises(LabboxError, match="ADD of an address"):
        await box.prepare(("dockerfile", f"FROM labbox/base\nADD http://127.0.0.1:{index.own_port}/own /x\n"))
    assert index.own == []
    limits = "cat /sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes"
    prepared = await box.prepare(
        ("dockerfile", f"FROM labbox/base\nLABEL labbox-test={box.name}\nRUN {limits}\n")
    )
    (memory,) = (int(line) for line in box.lines if line.isdigit())
    assert memory <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    await box.connection.call(lambda api: api.remove_image(prepared.image, force=True))


@pytest.mark.attack("S14")
async def test_steps_that_an_image_brings_for_who_builds_on_it_are_not_done(
    open_box: Callable[..., Any], tried: Callable[..., None]
) -> None:
    """They are in no Dockerfile that anybody looked at; a job may name an image without one, too."""
    box = await open_box(settings=building(build_network="none", pull=False))
    name = f"labbox-test/triggers-{box.name}"
    recipe = f"FROM scratch\nLABEL labbox-test={box.name}\nONBUILD ADD http://169.254.169.254/ /x\n"
    await build_image(box.connection, recipe.encode(), f"{name}:latest", box.hear)
    try:
        for way in (
            {"files": [("dockerfile", f"FROM {name}\n")]},
            {"files": [("dockerfile", f"FROM labbox/base AS one\nFROM {name}:latest\n")]},
            {"files": [("apt", "hello\n")], "image": name},
        ):
            tried()
            files = way.pop("files")
            with pytest.raises(LabboxError, match="steps of its own"):
                await box.prepare(*files, **way)
    finally:
        await box.connection.call(lambda api: api.remove_image(f"{name}:latest", force=True))


@pytest.mark.attack("S10")
async def test_packages_in_a_persons_image_are_added_within_limits_and_places(
    open_box: Callable[..., Any], tried: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    box = await open_box(settings=building(build_network="none"))
    tried(2)
    limits = "cat /sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes"
    held: list[str] = []
    place = box.environments._places.of

    def noted(askers: Callable[[], Any]) -> Any:
        held.extend(askers())
        return place(askers)

    monkeypatch.setattr(box.environments._places, "of", noted)
    spy = f"RUN printf '#!/bin/sh\\n{limits}\\n' >/usr/local/bin/apt-get\n"
    spy += "RUN chmod 755 /usr/local/bin/apt-get\n"
    text = f"FROM labbox/base\nLABEL labbox-test={box.name}\n{spy}"
    prepared = await box.prepare(("dockerfile", text), ("apt", "hello\n"), asker="70001")
    memory = [int(line) for line in box.lines if line.isdigit()]
    assert memory and max(memory) <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    assert held == ["70001", "70001"]  # for the Dockerfile, and for the packages
    await box.connection.call(lambda api: api.remove_image(prepared.image, force=True))


@pytest.mark.attack("S18")
async def test_an_image_made_for_one_person_is_nobody_elses(
    open_box: Callable[..., Any], tried: Callable[..., None]
) -> None:
    box = await open_box(settings=building(build_network="none", pull=False))
    hers = await box.prepare(("dockerfile", f"FROM scratch\nLABEL labbox-test={box.name}\n"))
    known = await box.connection.call(lambda api: api.inspect_image(hers.image))
    (tag,) = known["RepoTags"]
    number = hers.image.removeprefix("sha256:")
    for name in (
        tag,
        f"docker.io/{tag}",
        f"index.docker.io/{tag}",
        f"registry-1.docker.io/{tag}",
        tag.upper(),
        f" {tag}",
        f"{tag}@sha256:{number}",
        f"labbox/environment@sha256:{number}",
        f"x@sha256:{number}",
        f"sha256:{number}",
        number,
        number[:12],
        number[:4],
    ):
        tried(3)
        with pytest.raises(LabboxError):
            await box.prepare(image=name)
        for text in (f"FROM {name}\n", f"FROM labbox/base\nCOPY --from={name} / /x/\n"):
            with pytest.raises(LabboxError):
                await box.prepare(("dockerfile", text))
    await box.connection.call(lambda api: api.remove_image(hers.image, force=True))


class Handed:
    """A context as a person's own process may hand it over: any bytes."""

    name = "handed"

    def __init__(self, archive: bytes) -> None:
        self.archive = archive

    async def pack(self, recipe: str, beside: Mapping[str, bytes]) -> IO[bytes]:
        return io.BytesIO(self.archive)


@pytest.mark.attack("S14")
async def test_what_is_built_is_the_dockerfile_that_was_checked(
    open_box: Callable[..., Any], tried: Callable[..., None]
) -> None:
    box = await open_box(settings=building(build_network="none", bases=("labbox/base",)))
    evil = b"FROM scratch\nLABEL evil=1\n"
    ignore = b"*\n!Dockerfile\n"
    links = io.BytesIO()
    with tarfile.open(fileobj=links, mode="w") as written:
        for name, target in (
            ("Dockerfile", "/proc/1/environ"),
            (".labbox", ".."),
            (".dockerignore", "Dockerfile"),
        ):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            written.addfile(entry)
    made = [
        context_of({"Dockerfile": evil, "dockerfile": evil, ".labbox-x": evil, "a": b"a"}).read(),
        context_of({"Dockerfile": evil, ".dockerignore": ignore, "a": b"a"}).read(),
        bytes(1024) + context_of({"Dockerfile": evil, "a": b"a"}).read(),
        links.getvalue(),
        gzip.compress(context_of({"Dockerfile": evil, "a": b"a"}).read()),
        b"",
    ]
    text = "FROM labbox/base\nLABEL labbox-test={}\nRUN echo honest\nCOPY . /srv/\nRUN ls -A /srv\n"
    for number, archive in enumerate(made):
        tried()
        box.lines.clear()
        recipe = ("dockerfile", text.format(f"{box.name}-{number}"))
        try:
            prepared = await box.prepare(recipe, context=Handed(archive))
        except LabboxError as error:
            assert error.code == "invalid"
            continue
        known = await box.connection.call(lambda api, image=prepared.image: api.inspect_image(image))
        await box.connection.call(lambda api, image=prepared.image: api.remove_image(image, force=True))
        assert "honest" in box.lines
        assert "evil" not in known["Config"]["Labels"]
        if number == 0:
            assert [line for line in box.lines if line.startswith(".labbox-")] == [".labbox-x"]


@pytest.mark.attack("S14")
def test_what_one_person_packs_becomes_no_image_of_another(tried: Callable[..., None]) -> None:
    """Images go by the name of the code they are made of; its tar is the word of whose process made it."""
    nothing: Any = None
    folders = WorkerFolders(nothing, Configuration(), Path("/nowhere"), nothing, frozenset())

    def account(name: str, uid: int) -> Account:
        home = Path("/nowhere") / name
        return Account(name=name, uid=uid, gid=uid, groups=(), admin=False, home=home, limits=Limits())

    names = [
        folders.context(account(name, uid), "tree-1").name
        for name, uid in (("ada", 70001), ("bob", 70002), ("ada", 70003))
    ]
    tried(2)
    assert len(set(names)) == 3
    assert folders.context(account("ada", 70001), "tree-1").name == names[0]


_SPY = "RUN printf '#!/bin/sh\\nenv; cat /proc/*/environ /etc/apt/auth.conf.d/*; {}' >/usr/local/bin/apt-get"


@pytest.mark.attack("S13")
@pytest.mark.parametrize("network", ["host", "none", "bridge"])
async def test_packages_added_to_a_persons_image_are_added_without_passwords(
    open_box: Callable[..., Any],
    index: Index,
    network: str,
    tried: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its apt-get may be anybody's program."""
    (tmp_path / "apt").mkdir()
    (tmp_path / "apt/auth.conf").write_text(f"machine a.example login lab password {PASSWORD}\n")
    (tmp_path / "os-release").write_text("VERSION_CODENAME=bookworm\n")
    monkeypatch.setattr(debian, "ETC", tmp_path)
    proxy = f"http://lab:{PASSWORD}@127.0.0.1:{index.port}"
    environ = {"PIP_CONFIG_FILE": "/dev/null", "http_proxy": proxy, "https_proxy": proxy}
    box = await open_box(environ, settings=building(build_network=network))
    tried(2)
    asks = f"curl -s -m 5 --noproxy x http://127.0.0.1:{index.own_port}/own; true"
    text = f"FROM labbox/base\nLABEL labbox-test={box.name}\n{_SPY.format(asks)}\n"
    prepared = await box.prepare(
        ("dockerfile", text + "RUN chmod 755 /usr/local/bin/apt-get\n"), ("apt", "hello\n")
    )
    said = "\n".join(box.lines)
    assert "DEBIAN_FRONTEND=noninteractive" in said  # it did look
    assert "http_proxy=http://127.0.0.1:3128" in said
    assert PASSWORD not in said
    assert index.own == []
    await box.connection.call(lambda api: api.remove_image(prepared.image, force=True))
