"""From a location to its place."""

from __future__ import annotations

import asyncio
import sys
import types
import zipfile
from pathlib import Path
from typing import ClassVar

import pytest
from conformance import build, listed, read, refused, write

from labbox.errors import LabboxError
from labbox.files.places.base import Place
from labbox.files.places.credentials import AskedCredentials, Credential, Secret
from labbox.files.places.hosts import UnkeptHostError
from labbox.files.places.local import LocalPlace
from labbox.files.places.opening import Places, Roots
from labbox.locations import parse
from labbox.protocol import HostSecret

NONE = frozenset({"not_found"})


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    build(tmp_path / "home", {"study/f": b"home"})
    build(tmp_path / "shared", {"f": b"shared"})
    build(tmp_path / "atlas", {"raw/f": b"atlas"})
    build(tmp_path / "17", {"output/f": b"output", "log.txt": b"log", "job.json": b"{}"})
    return Roots(
        home=str(tmp_path / "home"),
        shared=str(tmp_path / "shared"),
        projects={"atlas": str(tmp_path / "atlas"), "moved": str(tmp_path / "gone")},
        jobs={17: str(tmp_path / "17")},
    )


async def _read(places: Places, text: str) -> bytes:
    place, path = await places.get(parse(text))
    return await read(place, path)


async def test_every_place_of_the_box(roots: Roots, tmp_path: Path) -> None:
    async with Places(roots) as places:
        assert await _read(places, "~/study/f") == b"home"
        assert await _read(places, f"{tmp_path}/home/study/f") == b"home"
        assert await _read(places, "shared:/f") == b"shared"
        assert await _read(places, "project:atlas/raw/f") == b"atlas"
        assert await _read(places, "job:17/output/f") == b"output"
        place, path = await places.get(parse("job:17/"))
        assert set(await listed(place, path)) == {"output", "log.txt", "job.json"}
        assert await _read(places, "shared:/../../f") == b"shared", "dots do not climb above the root"
        assert place is (await places.get(parse("job:17/output")))[0]
        assert place.system_path("/output") == f"{tmp_path}/17/output"
        await write((await places.get(parse("shared:/")))[0], "/new", b"new")
    assert (tmp_path / "shared" / "new").read_bytes() == b"new"


async def test_without_a_home_all_else_is_there(roots: Roots, tmp_path: Path) -> None:
    async with Places(Roots(home=str(tmp_path / "nowhere"))) as places:
        assert await _read(places, f"{tmp_path}/home/study/f") == b"home"
        with refused(NONE):
            await _read(places, "~/x")


async def test_what_is_not_there_is_told_with_a_way_out(roots: Roots) -> None:
    async def none(_job: int) -> str:
        return ""

    async with Places(roots, job_folder=none) as places:
        for text, part in (
            ("project:other/x", "yours: atlas, moved"),
            ("project:moved/x", "project"),
            ("job:99/output", "job:99"),
        ):
            for _ in range(2):  # a failure is not kept
                with refused(NONE) as caught:
                    await places.get(parse(text))
                assert part in caught.error.message + caught.error.hint
                assert caught.error.hint
    async with Places(Roots(home=roots.home)) as places:
        for text in ("shared:/x", "project:atlas/x", "job:17/"):
            with refused(NONE) as caught:
                await places.get(parse(text))
            assert caught.error.hint
        with refused(frozenset({"unavailable"})):
            await places.get(parse("sftp://me@my-pc/x"))


async def test_folders_of_jobs_are_asked_for_once(roots: Roots) -> None:
    asked = []

    async def folder(job: int) -> str:
        asked.append(job)
        if len(asked) == 1:
            raise LabboxError("unavailable", "cannot reach the box", "try again")
        await asyncio.sleep(0)
        return roots.jobs[17]

    async with Places(Roots(home=roots.home), job_folder=folder) as places:
        with refused(frozenset({"unavailable"})):
            await places.get(parse("job:8/"))
        found = await asyncio.gather(*(places.get(parse("job:8/output")) for _ in range(10)))
        assert len({id(place) for place, _ in found}) == 1
        assert asked == [8, 8]


async def test_archives_are_opened_once_and_anew_when_they_changed(roots: Roots, tmp_path: Path) -> None:
    def pack(data: bytes) -> None:
        new = tmp_path / "new.zip"
        with zipfile.ZipFile(new, "w") as archive:
            archive.writestr("raw/a.csv", data)
        new.replace(tmp_path / "shared" / "data.zip")

    pack(b"1,2")
    (tmp_path / "shared" / "latest.zip").symlink_to("data.zip")
    async with Places(roots) as places:
        assert await _read(places, "shared:/data.zip!/raw/a.csv") == b"1,2"
        assert await _read(places, "shared:/latest.zip!/raw/a.csv") == b"1,2"
        place, path = await places.get(parse("shared:/data.zip!/raw/a.csv"))
        assert path == "raw/a.csv" and not place.traits.writable
        found = await asyncio.gather(*(places.get(parse("shared:/data.zip!/")) for _ in range(5)))
        assert all(one is place for one, _ in found)
        file = await place.open(path)
        pack(b"3,4,5")
        assert await _read(places, "shared:/data.zip!/raw/a.csv") == b"3,4,5"
        assert await file.read(0, 10) == b"1,2", "who reads the old one goes on"
        await file.close()
        with refused(NONE):
            await places.get(parse("shared:/none.zip!/x"))


class _Host(LocalPlace):
    """Stands in for another host: a folder of this machine."""

    made: ClassVar[list[Credential]] = []
    closed: ClassVar[list[Place]] = []
    root: ClassVar[str]

    @classmethod
    async def connect(cls, credential: Credential) -> Place:
        cls.made.append(credential)
        await asyncio.sleep(0)
        return cls(cls.root, home="/")

    async def close(self) -> None:
        self.closed.append(self)
        await super().close()


class _Source:
    async def credential(self, host: str) -> Credential:
        if host == "nobody@pc":
            raise LabboxError("not_found", "cannot reach nobody@pc: no key is kept for it", "add one")
        return Credential(user="me", host=host, password=Secret("hunter2"))


async def test_other_hosts_are_connected_to_once_and_again_when_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = types.ModuleType("labbox.files.places.sftp")
    module.SftpPlace = _Host  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    _Host.root = str(build(tmp_path / "pc", {"f": b"there"}))
    _Host.made.clear()
    _Host.closed.clear()
    async with Places(Roots(home=str(tmp_path)), credentials=_Source()) as places:
        found = await asyncio.gather(*(places.get(parse("sftp://me@pc/f")) for _ in range(5)))
        assert len({id(place) for place, _ in found}) == 1
        assert found[0][1] == "~/f"
        assert [one.host for one in _Host.made] == ["me@pc"]
        await places.drop(parse("sftp://me@pc/"))
        assert _Host.closed == [found[0][0]]
        again, _ = await places.get(parse("sftp://me@pc//f"))
        assert again is not found[0][0]
        assert await read(again, "/f") == b"there"
        with refused(NONE):
            await places.get(parse("sftp://nobody@pc/f"))
        await places.drop(parse("sftp://nobody@pc/f"))
    assert len(_Host.closed) == len(_Host.made) == 2


async def test_a_host_that_nothing_is_kept_for_is_told_from_a_file_that_is_missing(tmp_path: Path) -> None:
    def ask(host: str) -> HostSecret:
        raise LabboxError("not_found" if host == "me@pc" else "unavailable", f"cannot ask for {host}", "add")

    async with Places(Roots(home=str(tmp_path)), credentials=AskedCredentials(ask)) as places:
        with pytest.raises(UnkeptHostError) as caught:
            await places.get(parse("sftp://me@pc/f"))
        found = caught.value
        assert (found.code, found.host, found.hint) == ("not_found", "me@pc", "add")
        with refused(frozenset({"unavailable"})):
            await places.get(parse("sftp://you@pc/f"))


def test_a_secret_shows_nothing() -> None:
    secret = Secret("hunter2")
    credential = Credential(user="me", host="pc", password=secret)
    for text in (repr(secret), str(secret), f"{secret}", repr(credential), str(credential)):
        assert "hunter2" not in text
    assert secret.reveal() == "hunter2"
    assert secret == Secret("hunter2") and secret != Secret("x") and secret != "hunter2"
    assert not Secret("") and len({secret, Secret("hunter2")}) == 1
    import pickle

    with pytest.raises(TypeError, match="cannot pickle"):
        pickle.dumps(credential)
