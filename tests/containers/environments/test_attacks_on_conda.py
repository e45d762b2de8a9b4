"""Conda channels that lie, and channels that lead back into the box."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import json
import stat
import sys
import tarfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from made_packages import add_package
from rattler.index import index_fs

from labbox.custom import IndexSettings, Settings
from labbox.daemon.containers.environments import helper
from labbox.daemon.containers.environments.conda import Solved
from labbox.daemon.containers.environments.folders import Folders
from labbox.daemon.containers.environments.index import PackageIndex
from labbox.daemon.containers.environments.programs import Programs
from labbox.daemon.containers.guard import Guard
from labbox.errors import LabboxError


async def make_channel(
    folder: Path, words: str, *, lie: Callable[[dict[str, Any]], object] | None = None
) -> str:
    """A channel with one package `words` that holds `words`; `lie` edits what the channel says of it."""
    add_package(folder, "words", "1.0", {"share/words": words})
    (folder / "linux-64").mkdir()
    await index_fs(folder, write_zst=False, write_shards=False)
    index = folder / "noarch/repodata.json"
    if lie is not None:
        document = json.loads(index.read_text())
        record = next(iter(document["packages"].values()))
        lie(record)
        index.write_text(json.dumps(document))
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    folder.chmod(0o755)
    return folder.as_uri()


def asks(*channels: str, spec: str = "words") -> tuple[str, str]:
    named = "".join(f"  - {json.dumps(each)}\n" for each in channels)
    return "conda", f"channels:\n{named}dependencies:\n  - {json.dumps(spec)}\n"


def opens(*channels: str) -> Settings:
    return Settings(index=IndexSettings(channels=channels))


async def held(prepared: Any) -> str:
    return str((prepared.environment / "share/words").read_text())


@pytest.mark.attack("S2")
async def test_no_channels_package_is_served_as_anothers(
    open_box: Callable[..., Any], links: Path, tried: Callable[..., None]
) -> None:
    """Same name, version and build: without a hash, with another's hash, with a right hash of other bytes."""
    honest = await make_channel(links / "honest", "honest\n")
    archive = next((links / "honest/noarch").glob("*.tar.bz2")).read_bytes()
    known = {"sha256": hashlib.sha256(archive).hexdigest(), "size": len(archive)}
    bare = await make_channel(links / "bare", "evil\n", lie=lambda record: record.pop("sha256"))
    claims = await make_channel(links / "claims", "evil\n", lie=lambda record: record.update(known))
    weak = await make_channel(links / "weak", "evil\n", lie=lambda record: record.update(sha256="abc"))
    other = await make_channel(links / "other", "other\n")
    box = await open_box(settings=opens(honest, bare, claims, weak, other))
    for channel, says in ((bare, "gives no sha256"), (claims, "has the sha256"), (weak, "sha256|digest")):
        tried()
        with pytest.raises(LabboxError, match=says) as caught:
            await box.prepare(asks(channel))
        assert caught.value.code in ("forbidden", "invalid", "unavailable")
    tried(2)
    assert await held(await box.prepare(asks(other))) == "other\n"
    assert await held(await box.prepare(asks(honest))) == "honest\n"
    # an archive in the cache that changed is not used either
    tried()
    for path in (box.state / "environments-cache/conda/archives").glob("*/*/*.tar.bz2"):
        path.write_bytes(next((links / "claims/noarch").glob("*.tar.bz2")).read_bytes())
    again = await open_box(settings=opens(honest, other))
    assert await held(await again.prepare(asks(honest, other))) == "honest\n"


@pytest.mark.attack("S2")
async def test_channels_that_the_lab_has_not_opened(
    open_box: Callable[..., Any], links: Path, tried: Callable[..., None]
) -> None:
    local = await make_channel(links / "local", "local\n")
    path = links / "local"
    for settings in (None, opens("*")):  # one after the other: they share a state folder
        box = await open_box(settings=settings)
        for channel in (
            local,
            str(path),
            f"file://localhost{path}",
            f"FILE://{path}",
            "http://127.0.0.1:9/ch",
            "http://localhost:9/ch",
            "http://[::1]:9/ch",
            "http://[::ffff:127.0.0.1]:9/ch",
            "http://2130706433:9/ch",
            "http://0x7f.1:9/ch",
            "http://0.0.0.0:9/ch",
            "http://169.254.169.254/latest",
            "http://[fe80::1]:9/ch",
            "s3://bucket/ch",
            "oci://127.0.0.1:9/ch",
        ):
            tried()
            with pytest.raises(LabboxError, match=r"cannot use environment\.yml|cannot read the conda"):
                await box.prepare(asks(channel))
    for spec in (
        f"{path.as_uri()}/noarch/words-1.0-0.tar.bz2",
        f"{path}/noarch/words-1.0-0.tar.bz2",
        f"words[url={path.as_uri()}/noarch/words-1.0-0.tar.bz2]",
        "http://127.0.0.1:9/words-1.0-0.conda",
        f"{local}::words",
        f"words[channel={local}]",
    ):
        tried()
        with pytest.raises(LabboxError):
            await box.prepare(asks("conda-forge", spec=spec))


@pytest.fixture
async def own_service() -> AsyncIterator[tuple[int, list[bytes]]]:
    """A service on loopback that only this machine should reach, and what it was asked."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.read(1024))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nsecret")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1], asked
    server.close()


async def ask(guard: Guard, request: str) -> bytes:
    """What a proxy answers to a request."""
    server = await asyncio.start_server(guard, "127.0.0.1", 0)
    async with asyncio.timeout(20):
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(request.encode())
        with contextlib.suppress(ConnectionError):
            answer = await reader.read()
    writer.close()
    server.close()
    return answer


@pytest.mark.attack("S2")
@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "0"]
)
async def test_the_guard_leads_to_no_service_of_this_machine(
    host: str, own_service: tuple[int, list[bytes]], tried: Callable[..., None]
) -> None:
    port, asked = own_service
    tried(3)
    for request in (
        f"GET http://{host}:{port}/ HTTP/1.1\r\nHost: example.org\r\n\r\n",
        f"CONNECT {host}:{port} HTTP/1.1\r\n\r\n",
        f"GET http://user@{host}:{port}/ HTTP/1.1\r\n\r\n",
    ):
        assert b"secret" not in await ask(Guard(private=True), request)
    assert asked == []


async def test_the_guard_leads_where_the_lab_named_it(own_service: tuple[int, list[bytes]]) -> None:
    port, asked = own_service
    guard = Guard(named=[("127.0.0.1", port)])
    answer = await ask(guard, f"GET http://127.0.0.1:{port}/x?y HTTP/1.1\r\nHost: a\r\nProxy-X: y\r\n\r\n")
    assert answer.endswith(b"secret")
    assert asked[0].startswith(b"GET /x?y HTTP/1.1\r\n")
    assert b"proxy" not in asked[0].lower()
    assert b"407" in await ask(Guard(token="right"), "CONNECT example.org:443 HTTP/1.1\r\n\r\n")


async def test_the_guard_gives_the_password_of_the_boxs_proxy(own_service: tuple[int, list[bytes]]) -> None:
    port, asked = own_service
    guard = Guard(proxies={"http_proxy": f"http://ada:p%40ss@127.0.0.1:{port}"})
    answer = await ask(guard, "GET http://192.0.2.1/x HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b"403" in answer  # of no network
    answer = await ask(guard, "GET http://1.1.1.1/x HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answer.endswith(b"secret")
    assert b"Proxy-Authorization: Basic YWRhOnBAc3M=" in asked[0]
    assert b"403" in await ask(guard, "GET http://localhost/x HTTP/1.1\r\n\r\n")


@pytest.mark.attack("S2")
async def test_a_redirect_does_not_lead_back_into_the_box(
    open_box: Callable[..., Any], own_service: tuple[int, list[bytes]], tried: Callable[..., None]
) -> None:
    port, asked = own_service

    async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        place = f"http://127.0.0.1:{port}/repodata.json"
        writer.write(
            f"HTTP/1.1 302 Found\r\nLocation: {place}\r\nContent-Length: 0\r\n"
            "Connection: close\r\n\r\n".encode()
        )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(redirect, "127.0.0.1", 0)
    channel = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/channel"
    tried()
    box = await open_box(settings=opens(channel))
    with pytest.raises(LabboxError):
        await box.prepare(asks(channel))
    server.close()
    assert asked == []


def add_crafted(
    channel: Path,
    name: str,
    files: dict[str, str],
    links: dict[str, str] | None = None,
    paths: dict[str, str] | None = None,
) -> None:
    """A package whose list of files (path: type) need not be what its archive holds."""
    index = {
        "name": name,
        "version": "1.0",
        "build": "0",
        "build_number": 0,
        "depends": [],
        "subdir": "noarch",
    }
    kinds = {**dict.fromkeys(files, "hardlink"), **dict.fromkeys(links or {}, "softlink")}
    listed = [
        {
            "_path": path,
            "path_type": kind,
            "sha256": hashlib.sha256(EVIL).hexdigest(),
            "size_in_bytes": len(EVIL),
        }
        for path, kind in (kinds if paths is None else paths).items()
    ]
    documents = {"info/index.json": index, "info/paths.json": {"paths": listed, "paths_version": 1}}
    (channel / "noarch").mkdir(parents=True, exist_ok=True)
    with tarfile.open(channel / f"noarch/{name}-1.0-0.tar.bz2", "w:bz2") as archive:
        for path, target in (links or {}).items():
            entry = tarfile.TarInfo(path)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
        held = {**{path: json.dumps(each) for path, each in documents.items()}, **files}
        for path, text in held.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))


EVIL = b"evil\n"


def _climbing(channel: Path, victim: Path) -> None:
    """From a link in the archive, which is a folder where it is installed, up and across."""
    files = {"deep/1/2/keep": "evil\n", f"deep/{victim.name}/share/words": "evil\n"}
    paths = dict.fromkeys(("d/keep", f"d/../../{victim.name}/share/words"), "hardlink")
    add_crafted(channel, "words", files, {"d": "deep/1/2"}, paths)


def _new_file(channel: Path, victim: Path) -> None:
    site = f"{victim.name}/lib/python3.11/site-packages/sitecustomize.py"
    paths = dict.fromkeys(("d/keep", f"d/../../{site}"), "hardlink")
    files = {"deep/1/2/keep": "evil\n", f"deep/{site}": "evil\n"}
    add_crafted(channel, "words", files, {"d": "deep/1/2"}, paths)


def _through_its_link(channel: Path, victim: Path) -> None:
    paths = {"way": "softlink", "way/words": "hardlink"}
    add_crafted(channel, "words", {"other/words": "evil\n"}, {"way": str(victim / "share")}, paths)


def _through_anothers_link(channel: Path, victim: Path) -> None:
    add_crafted(channel, "first", {"share/first": "evil\n"}, {"etc/way": str(victim / "share")})
    add_crafted(channel, "words", {"etc/way/words": "evil\n"})


def _absolute(channel: Path, victim: Path) -> None:
    path = str(victim / "share/words")
    add_crafted(channel, "words", {path.lstrip("/"): "evil\n"}, paths={path: "hardlink"})


def _for_a_folder(channel: Path, victim: Path) -> None:
    add_crafted(
        channel, "words", {"share/x": "evil\n"}, {"bin": str(victim / "bin"), "lib": str(victim / "lib")}
    )


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.attack("S2")
@pytest.mark.parametrize(
    "attack", [_climbing, _new_file, _through_its_link, _through_anothers_link, _absolute, _for_a_folder]
)
@pytest.mark.parametrize("kept_by", ["what it lists", "the kernel"])
async def test_a_package_puts_nothing_into_other_environments(
    open_box: Callable[..., Any],
    links: Path,
    attack: Callable[[Path, Path], None],
    kept_by: str,
    tried: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By its list of files; and where that should let something pass, by the kernel alone."""
    honest = await make_channel(links / "honest", "honest\n")
    evil = links / "evil"
    box = await open_box(settings=opens(honest, evil.as_uri()))
    victim = (await box.prepare(asks(honest))).environment
    for channel in ("linux-64", "noarch"):
        (evil / channel).mkdir(parents=True)
    attack(evil, victim)
    await index_fs(evil, write_zst=False, write_shards=False)
    for path in [evil, *evil.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    if kept_by == "the kernel":
        unlooked = tmp_path / "unlooked.py"
        unlooked.write_text(
            "import os, sys\nfrom labbox.daemon.containers.environments import conda_helper\n"
            "conda_helper.check_layout = lambda *words, **more: None\nos._exit(conda_helper.main())\n"
        )
        ask = box.environments._programs._ask

        async def unlooked_at(name: str, *words: Any) -> Any:
            return await ask(str(unlooked) if name == "conda_helper.py" else name, *words)

        monkeypatch.setattr(box.environments._programs, "_ask", unlooked_at)
    before = _contents(box.state / "environments")
    tried()
    specs = ["first", "words"] if attack is _through_anothers_link else ["words"]
    text = f"channels: [{json.dumps(evil.as_uri())}]\ndependencies: {json.dumps(specs)}\n"
    if kept_by == "what it lists":
        with pytest.raises(LabboxError) as caught:
            await box.prepare(("conda", text))
        assert caught.value.code in ("forbidden", "unavailable")
    else:
        with contextlib.suppress(LabboxError):
            await box.prepare(("conda", text))
    after = _contents(box.state / "environments")
    assert {path: after.get(path) for path in before} == before
    assert not [path for path in after if path.startswith(str(victim)) and path not in before]


@pytest.mark.attack("S2")
@pytest.mark.parametrize(
    "name", ["lib", "bin", "lib/python3.11", "lib/python3.11/site-packages", "labbox.json"]
)
def test_pips_packages_follow_no_link_of_condas(
    name: str, tmp_path: Path, tried: Callable[..., None]
) -> None:
    work, wheel, victim = tmp_path / "environment.tmp-1", tmp_path / "wheel", tmp_path / "victim"
    for folder in (
        work,
        wheel / "site",
        wheel / "bin",
        victim / "python3.11/site-packages",
        victim / "site-packages",
    ):
        folder.mkdir(parents=True)
    for place in (wheel / "site", wheel / "bin"):
        (place / "tool").write_text("#!/usr/bin/python\nevil\n")
    (victim / "kept").write_text("kept\n")
    (work / name).parent.mkdir(parents=True, exist_ok=True)
    (work / name).symlink_to(victim / "kept" if name == "labbox.json" else victim)
    before = _contents(victim)
    request = {
        "publish": [], "wheels": [str(wheel)], "work": str(work), "final": str(tmp_path / "environment"),
        "layout": False, "executable": "/usr/bin/python3", "version": "3.11", "full_version": "3.11.2",
        "record": {"lock": "evil"},
    }  # fmt: skip
    tried()
    with contextlib.suppress(OSError):
        helper.assemble(request)
    assert _contents(victim) == before


@pytest.mark.attack("S2")
def test_bytecode_goes_through_no_link(tmp_path: Path, tried: Callable[..., None]) -> None:
    environment, victim, made = tmp_path / "environment", tmp_path / "victim", tmp_path / "made"
    for folder in (environment / "tools", victim, made / "tools/__pycache__"):
        folder.mkdir(parents=True)
    (environment / "tools/x.py").write_text("x = 1\n")
    (environment / "y.py").symlink_to(victim / "secret.py")
    (victim / "secret.py").write_text("y = 1\n")
    (environment / "tools/__pycache__").symlink_to(victim)
    (made / "tools/__pycache__/x.cpython-311.pyc").write_bytes(b"evil")
    tried(2)
    helper.adopt({"folders": [(str(environment), str(made))]})
    helper.compile_folders({"folders": [str(environment)], "workers": 1})
    assert [path.name for path in victim.iterdir()] == ["secret.py"]
    assert not (environment / "__pycache__").exists()


@pytest.mark.attack("S13")
def test_a_channels_password_is_in_nothing_that_runs_may_read(tried: Callable[..., None]) -> None:
    tried(3)
    solved = Solved(
        packages=tuple(
            {"url": url, "record": {"name": "x", "sha256": "0" * 64}}
            for url in (
                "https://lab:s3cret@conda.example/ch/noarch/x-1-0.conda",
                "https://conda.example/t/s3cret/ch/noarch/x-1-0.conda",
                "https://s3cret@conda.example:8443/ch/noarch/x-1-0.conda",
            )
        )
    )
    assert "s3cret" not in solved.lock()
    assert f"https://conda.example/ch/noarch/x-1-0.conda#sha256:{'0' * 64}\n" in solved.lock()


async def test_an_answer_with_very_many_packages_comes_whole(tmp_path: Path) -> None:
    programs = Programs(tmp_path, None, PackageIndex())
    wanted = {"packages": ["x" * 1000] * 2000}
    script = "import json; print(json.dumps({'done': {'packages': ['x' * 1000] * 2000}}))"
    heard: list[str] = []
    await programs._run(
        (sys.executable, "-c", script), seconds=60, folder=tmp_path, switch=False, listen=heard.append,
        listen_out=True,
    )  # fmt: skip
    assert json.loads(heard[0])["done"] == wanted


@pytest.mark.attack("S2")
def test_root_gives_away_no_folder_through_a_link(tmp_path: Path, tried: Callable[..., None]) -> None:
    tried()
    other = tmp_path / "other"
    other.mkdir(mode=0o755)
    folders = Folders(tmp_path / "state", None)
    folders.cache.mkdir(parents=True)
    (folders.cache / "built").symlink_to(other)
    with pytest.raises(OSError):
        folders.open()
    assert stat.S_IMODE(other.stat().st_mode) == 0o755
