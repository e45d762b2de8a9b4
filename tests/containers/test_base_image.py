"""The job base image: found, made, made again when its recipe changes, shared by all who ask at once."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import docker
import pytest

from labbox.daemon.containers import debian
from labbox.daemon.containers.base import OWN_NAME, BaseImage, bare_name
from labbox.daemon.containers.connection import Connection
from labbox.daemon.containers.debian import Archive, archives, bare_system, sorted_settings, suite_of_this_box
from labbox.daemon.containers.images import build_image, find_image, pull_image
from labbox.errors import LabboxError
from labbox.model import Progress

TOP = Path(__file__).parents[2]


@pytest.fixture
async def connection(engine_url: str) -> AsyncIterator[Connection]:
    found = Connection(engine_url)
    await found.greet()
    yield found
    found.close()


@pytest.fixture
async def own_connection(own_engine: Any) -> AsyncIterator[Connection]:
    """The engine of our own, with 2 MB for the bare Debian, so that recipes build in a second."""
    with docker.APIClient(own_engine.url, version="1.41") as api:
        api.tag("labbox-test/busybox:latest", *bare_name(suite_of_this_box()).split(":"))
        for image in api.images(name=OWN_NAME):
            api.remove_image(image["Id"], force=True)
    found = Connection(own_engine.url)
    await found.greet()
    yield found
    found.close()


def recipe(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "Dockerfile"
    path.write_text(f"ARG BASE=nothing\nFROM ${{BASE}}\n{text}\n")
    return path


@pytest.mark.engine
@pytest.mark.root
@pytest.mark.timeout(600)
async def test_the_box_makes_its_base_image(
    connection: Connection, tmp_path: Path, run_to_end: Callable[..., Any]
) -> None:
    """For real: debootstrap, import and apt inside the build where the engine has no base image yet."""
    told: list[Progress | str] = []
    base = BaseImage(connection, recipe=TOP / "Dockerfile", scratch=tmp_path, pull=False)
    image = await base.ensure(told.append)
    assert image.startswith("sha256:")
    bars = [one for one in told if isinstance(one, Progress)]
    assert [bar for bar in bars if bar.total is None or bar.done > bar.total] == []
    assert await base.ensure(told.append) == image
    assert list(tmp_path.glob("debian-*")) == []
    program = "import ssl, sqlite3, sys, zoneinfo; zoneinfo.ZoneInfo('Europe/Berlin'); print(sys.prefix)"
    ran = await run_to_end("python3", "-c", program, image=image, memory=128 << 20)
    assert (ran.state.exit_code, ran.text) == (0, "/usr\n"), ran.err
    ran = await run_to_end("apt-config", "dump", "Acquire", image=image)
    assert (ran.state.exit_code, ran.err) == (0, b"")
    assert "://" not in "".join(line for line in ran.text.splitlines() if "@" in line and "Proxy" in line)
    await expects(run_to_end, image)


async def expects(run_to_end: Callable[..., Any], image: str) -> None:
    """What the scripts of a research folder take for granted is there and works."""
    script = (
        "set -e; for p in python python3 pip git make gcc g++ curl wget rsync unzip zip xz bzip2 zstd jq bc"
        " file less patch awk perl; do command -v $p >/dev/null || { echo no $p; exit 1; }; done\n"
        "cd /tmp\n"
        "echo 'int main(void){return 0;}' >a.c && make a CC=gcc >/dev/null && ./a\n"
        "echo '#include <Python.h>' >b.c && gcc -fsyntax-only $(python3-config --includes) b.c\n"
        "echo '{\"a\": [1, 2]}' | jq -c .a\n"
        "echo '3/2' | bc -l | cut -c1-3\n"
        "git init -q repo && zip -qr a.zip repo && unzip -tq a.zip >/dev/null\n"
        "python -m venv v && v/bin/pip --version >/dev/null\n"
    )
    ran = await run_to_end("bash", "-c", script, image=image, memory=512 << 20, pids=256, tmp_bytes=256 << 20)
    assert (ran.state.exit_code, ran.text) == (0, "[1,2]\n1.5\n"), ran.err


def test_addresses_with_a_password_stay_out_of_the_image(tmp_path: Path) -> None:
    """What a job can read of the box's apt settings is what everybody may know."""
    said = (
        b'Acquire::http::Proxy "http://ada:secret@proxy.example:3128";\nAcquire::https::Proxy "http://proxy.example:1";\n'
        b'Acquire::Retries "3";\nAcquire::http::Proxy::m.example "DIRECT";\nAcquire::cdrom::mount "/x";\n'
    )
    kept, secret = sorted_settings(said)
    assert b"secret" not in kept
    assert kept.splitlines() == [
        b'Acquire::https::Proxy "http://proxy.example:1";',
        b'Acquire::Retries "3";',
        b'Acquire::http::Proxy::m.example "DIRECT";',
    ]
    assert secret == {"http_proxy": "http://ada:secret@proxy.example:3128"}


@pytest.mark.engine
@pytest.mark.root
async def test_callers_share_one_making(own_connection: Connection, tmp_path: Path) -> None:
    path = recipe(tmp_path, "RUN echo once && sleep 0.3")
    base = BaseImage(own_connection, recipe=path, scratch=tmp_path, pull=False, build_network="none")
    lines: list[list[Progress | str]] = [[], [], []]
    leaving = asyncio.create_task(base.ensure(lines[0].append))
    staying = [asyncio.create_task(base.ensure(said.append)) for said in lines[1:]]
    async with asyncio.timeout(20):
        while "once" not in lines[0]:
            await asyncio.sleep(0.01)
        leaving.cancel()
        first, second = await asyncio.gather(*staying)
    assert first == second
    assert lines[1].count("once") == lines[2].count("once") == 1
    assert leaving.cancelled()
    found = await find_image(own_connection, OWN_NAME)
    assert found is not None
    assert found["Id"] == first
    assert any(isinstance(one, Progress) and one.total for one in lines[1])


@pytest.mark.engine
@pytest.mark.root
async def test_another_recipe_makes_another_image_and_a_foreign_one_is_kept(
    own_connection: Connection, tmp_path: Path
) -> None:
    def base(text: str) -> BaseImage:
        path = recipe(tmp_path, text)
        return BaseImage(own_connection, recipe=path, scratch=tmp_path, pull=False, build_network="none")

    first = await base("ENV A=1").ensure(lambda _: None)
    assert await base("ENV A=1").ensure(lambda _: None) == first
    second = await base("ENV A=2").ensure(lambda _: None)
    assert second != first
    await build_image(
        own_connection,
        b"FROM labbox-test/busybox\nENV MINE=1\n",
        OWN_NAME,
        lambda _: None,
    )
    theirs = await find_image(own_connection, OWN_NAME)
    assert theirs is not None
    assert await base("ENV A=3").ensure(lambda _: None) == theirs["Id"]


@pytest.mark.engine
@pytest.mark.root
async def test_a_recipe_that_fails_is_told_with_its_end(own_connection: Connection, tmp_path: Path) -> None:
    path = recipe(tmp_path, "RUN echo the reason >&2; exit 3")
    base = BaseImage(own_connection, recipe=path, scratch=tmp_path, pull=False, build_network="none")
    with pytest.raises(
        LabboxError, match=r"cannot build the image labbox/base: .*returned a non-zero code: 3"
    ) as caught:
        await base.ensure(lambda _: None)
    assert "the reason" in caught.value.hint
    path.write_text("ARG BASE\nFROM ${BASE}\n")
    assert await base.ensure(lambda _: None)  # the next one tries again


PASSWORD = "s3cret-of-the-archive"


@pytest.fixture
def closed_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The `/etc` of a box whose package archives want passwords, said in both of apt's ways."""
    etc = tmp_path / "etc"
    (etc / "apt/auth.conf.d").mkdir(parents=True)
    (etc / "os-release").write_text("VERSION_CODENAME=bookworm\n")
    (etc / "apt/sources.list").write_text(
        f"deb http://ada:{PASSWORD}@one.example/debian bookworm main\n"
        "deb [arch=amd64] https://two.example/debian bookworm main\n"
    )
    (etc / "apt/auth.conf.d/lab.conf").write_text(
        f"machine https://two.example/debian\nlogin lab password {PASSWORD}-2\n"
    )
    monkeypatch.setattr(debian, "ETC", etc)
    return etc


@pytest.mark.engine
@pytest.mark.root
@pytest.mark.attack("S13")
@pytest.mark.usefixtures("closed_archive")
async def test_the_archives_passwords_are_lent_to_the_making_and_stay_in_no_image(
    own_connection: Connection, tmp_path: Path, tried: Callable[..., None]
) -> None:
    path = recipe(
        tmp_path,
        "ENV KEPT='one two'\nRUN cat /etc/apt/auth.conf.d/*.conf \\\n && echo layer of $KEPT >/made\n"
        "WORKDIR /code",
    )
    base = BaseImage(
        own_connection, recipe=path, scratch=tmp_path / "scratch", pull=False, build_network="none"
    )
    told: list[Progress | str] = []
    image = await base.ensure(told.append)
    assert f"machine http://one.example/debian login ada password {PASSWORD}" in told
    assert f"login lab password {PASSWORD}-2" in told
    assert await base.ensure(told.append) == image
    assert list((tmp_path / "scratch").iterdir()) == []
    known = await own_connection.call(lambda api: api.inspect_image(image))
    assert known["Config"]["WorkingDir"] == "/code"
    assert "KEPT=one two" in known["Config"]["Env"]
    tried(3)
    # every layer, and its history
    saved = await own_connection.call(lambda api: b"".join(api.get_image(image)))
    assert b"layer of one two" in saved
    assert PASSWORD.encode() not in saved
    recipe(tmp_path, "RUN echo going && echo no such thing && false")
    with pytest.raises(LabboxError, match="its packages ended with code 1") as caught:
        await base.ensure(told.append)
    assert "no such thing" in caught.value.hint


@pytest.mark.root
@pytest.mark.attack("S13")
async def test_the_bare_system_is_fetched_with_passwords_that_nobody_sees(
    closed_archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tried: Callable[..., None]
) -> None:
    said = tmp_path / "said"
    program = tmp_path / "bin/debootstrap"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\necho "$@" >{said}.words; cat "$HOME/.netrc" >{said}\n'
        "for name in etc/apt/sources.list.d etc/apt/apt.conf.d etc/apt/auth.conf.d usr/sbin"
        ' var/cache/apt/archives var/lib/apt/lists; do mkdir -p "$4/$name"; done\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    async with bare_system("bookworm", tmp_path, lambda *_: None, closed_archive) as root:
        tried(2)
        assert PASSWORD not in Path(f"{said}.words").read_text()
        assert subprocess.run(["grep", "-rqF", PASSWORD, root], check=False).returncode == 1
        written = (root / "etc/apt/sources.list.d/debian.sources").read_text()
        assert re.findall("URIs: (.*)", written) == [
            "http://one.example/debian",
            "https://two.example/debian",
        ]
    assert said.read_text() == (
        f"machine two.example\nlogin lab password {PASSWORD}-2\n"
        f"machine one.example login ada password {PASSWORD}\n"
    )
    assert list(tmp_path.glob("access-*")) == []


@pytest.mark.engine
async def test_a_named_image_that_cannot_be_had(own_connection: Connection, tmp_path: Path) -> None:
    name = "localhost:1/labbox-test/missing:1"  # a registry where nobody listens
    base = BaseImage(own_connection, recipe=TOP / "Dockerfile", scratch=tmp_path, name=name, pull=True)
    with pytest.raises(
        LabboxError, match="cannot pull the image localhost:1/labbox-test/missing:1"
    ) as caught:
        await base.ensure(lambda _: None)
    assert caught.value.code == "not_found"
    base = BaseImage(own_connection, recipe=TOP / "Dockerfile", scratch=tmp_path, name=name, pull=False)
    with pytest.raises(LabboxError, match="cannot find the image"):
        await base.ensure(lambda _: None)
    with pytest.raises(LabboxError, match="cannot pull"):
        await pull_image(own_connection, name, lambda _: None)


@pytest.mark.root
async def test_debootstrap_that_fails_says_why(tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    (etc / "apt").mkdir(parents=True)
    (etc / "apt/sources.list").write_text(f"deb file:{tmp_path}/empty bookworm main\n")
    with pytest.raises(LabboxError, match="debootstrap failed: ") as caught:
        async with bare_system("bookworm", tmp_path, lambda *_: None, etc):
            raise AssertionError("it cannot be made from nothing")
    assert caught.value.code == "unavailable"
    assert caught.value.hint
    assert list(tmp_path.glob("debian-*")) == []


def test_the_boxes_archives_in_both_forms(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text(
        "# a comment\n"
        "deb [arch=amd64 signed-by=/k.gpg] https://mirror.example/debian trixie main contrib # why\n"
        "deb-src https://mirror.example/debian trixie main\n"
        "deb http://other.example/apt tool-trixie main\n"
    )
    (tmp_path / "sources.list.d/debian.sources").write_text(
        "Types: deb deb-src\n# between\nURIs: http://mirror.example/security\nSuites: trixie-security\n"
        " trixie-updates\nComponents: main\n\n"
        "Types: deb\nEnabled: no\nURIs: http://off.example\nSuites: trixie\nComponents: main\n\n"
        "Types: deb\nURIs: http://vendor.example\nSuites: nodistro\nComponents: main\n"
    )
    (tmp_path / "sources.list.d/old.list.save").write_text("deb http://old.example trixie main\n")
    assert archives(tmp_path, "trixie") == (
        Archive(address="https://mirror.example/debian", suites=("trixie",), components=("main", "contrib")),
        Archive(
            address="http://mirror.example/security",
            suites=("trixie-security", "trixie-updates"),
            components=("main",),
        ),
    )


def test_a_system_that_is_no_debian(tmp_path: Path) -> None:
    path = tmp_path / "os-release"
    path.write_text('ID=other\nVERSION_ID="1"\n')
    with pytest.raises(LabboxError, match="names no Debian release"):
        suite_of_this_box(path)
    path.write_text("ID=debian\nVERSION_CODENAME=trixie\n")
    assert suite_of_this_box(path) == "trixie"
