from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from sshd import Sshd
from transferring import Desk, leftovers, picture

from labbox.files.places.credentials import Credential, Secret
from labbox.files.places.opening import Places, Roots
from labbox.files.places.sftp import SftpPlace
from labbox.files.transfer import placefiles, run
from labbox.files.transfer.bundles import Small
from labbox.model import Conflict, TransferSpec, TransferVerb
from labbox.protocol import TransferSummary

SECOND = 1_000_000_000
CHILD = """
import asyncio, sys
from pathlib import Path
from labbox.files.places.credentials import Credential, Secret
from labbox.files.places.opening import Places, Roots
from labbox.files.transfer import run
from labbox.model import TransferSpec, TransferVerb
home, job, source, target, address, port, key, pinned = sys.argv[1:]
class Keys:
    async def credential(self, host):
        return Credential("root", address, int(port), Secret(Path(key).read_text()), None, (pinned,))
async def main():
    async with Places(Roots(home=home), credentials=Keys()) as places:
        await run(TransferSpec(verb=TransferVerb.COPY, sources=(source,), target=target), places, Path(job))
asyncio.run(main())
"""


class Keys:
    """The way in to one server, whatever the host is called."""

    def __init__(self, server: Sshd) -> None:
        self.server = server

    async def credential(self, host: str) -> Credential:
        secret = Secret(self.server.key.read_text())
        return Credential(
            "root",
            self.server.address,
            self.server.port,
            private_key=secret,
            host_keys=(self.server.host_key,),
        )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with Sshd(tmp_path_factory.mktemp("sshd")) as made:
        yield made


@asynccontextmanager
async def opened(desk: Desk, server: Sshd) -> AsyncIterator[Places]:
    async with Places(Roots(home=str(desk.home)), credentials=Keys(server)) as places:
        yield places


def do(desk: Desk, server: Sshd, verb: str, source: str, target: str | None, **words: Any) -> TransferSummary:
    undo = words.pop("undo", None)
    spec = TransferSpec(verb=TransferVerb(verb), sources=(source,) if source else (), target=target, **words)

    async def go() -> TransferSummary:
        async with opened(desk, server) as places:
            return await run(spec, places, desk.job(), undo_of=undo)

    return asyncio.run(go())


def there(path: Path) -> str:
    return f"sftp://pc/{path}"


def study(desk: Desk) -> Path:
    for number in range(40):
        desk.write(f"study/many/{number}", f"file {number}", mtime=1_500_000_000 * SECOND)
    desk.write("study/large", os.urandom(9 << 20), mtime=1_500_000_000 * SECOND)
    (desk.home / "study/link").symlink_to("many/3")
    (desk.home / "study/many/7").chmod(0o750)
    return desk.home / "study"


def without_folder_times(found: dict[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
    return {name: what if what[0] == "file" else what[:-1] for name, what in found.items()}


def test_to_another_host_and_back(desk: Desk, server: Sshd) -> None:
    source = study(desk)
    far = desk.folder / "far"
    assert do(desk, server, "copy", "~/study", there(far), verify=True).failed == 0
    assert without_folder_times(picture(far / "study")) == without_folder_times(picture(source))
    assert leftovers(far) == []
    assert do(desk, server, "copy", there(far / "study"), "~/back").failed == 0
    assert without_folder_times(picture(desk.home / "back/study")) == without_folder_times(picture(source))
    assert do(desk, server, "compare", "~/study", there(far / "study")).lines == ()
    assert do(desk, server, "compare", "~/study", there(far / "study"), content=True).lines == ()


def test_policies_sync_trash_and_undo_there(desk: Desk, server: Sshd) -> None:
    source = study(desk)
    far = desk.folder / "far"
    do(desk, server, "copy", "~/study", there(far))
    copied = desk.last_job
    assert do(desk, server, "copy", "~/study", there(far)).failed == 42
    assert do(desk, server, "copy", "~/study", there(far), conflict=Conflict.SKIP).skipped == 42
    (far / "study/many/0").write_text("changed there")
    (far / "study/gone").write_text("only there")
    synced = do(desk, server, "sync", "~/study", there(far / "study"), exact=True)
    assert [line.split("\t")[0] for line in synced.lines] == ["~ study/many/0"]
    assert (far / "study/many/0").read_text() == "file 0"
    assert (far / "study/gone").read_text() == "only there"
    (far / "study/gone").unlink()
    assert do(desk, server, "undo", "", None, undo=copied).failed in (0, 1)
    assert do(desk, server, "move", "~/study/many", there(far)).failed == 0
    assert not (source / "many").exists()
    assert len(list((far / "many").iterdir())) == 40
    assert do(desk, server, "erase", there(far / "many"), None).failed == 0
    assert not (far / "many").exists()


def test_a_host_that_goes_away_and_comes_back(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = study(desk)
    far = desk.folder / "far"
    with Sshd(tmp_path / "sshd") as server:
        cut = 0
        blocks = placefiles.blocks

        async def cutting(*words: Any) -> Any:
            nonlocal cut
            async for block in blocks(*words):
                yield block
                if len(block) > 100_000:
                    cut += 1
                if cut == 5:
                    cut += 1
                    for child in psutil.Process(server.pid).children(recursive=True):
                        child.kill()

        monkeypatch.setattr(placefiles, "blocks", cutting)
        summary = do(desk, server, "copy", "~/study", there(far), wait=60.0)
    assert cut > 5
    assert summary.failed == 0, summary.failures
    assert without_folder_times(picture(far / "study")) == without_folder_times(picture(source))
    assert leftovers(far) == []


def test_folders_in_a_project_keep_handing_on_its_group(desk: Desk, server: Sshd) -> None:
    desk.write("study/below/file", "text")
    for put in (True, False):
        project = desk.folder / f"project-{put}" if put else desk.home / "project"
        project.mkdir()
        project.chmod(0o2770)
        words = ("~/study", there(project)) if put else (there(desk.home / "study"), "~/project")
        assert do(desk, server, "copy", *words).failed == 0
        for made in (project / "study", project / "study/below"):
            assert made.stat().st_mode & 0o7777 == 0o2000 | (desk.home / "study").stat().st_mode & 0o777


def test_a_program_is_not_run_as_its_owner_where_owners_are_not_kept(
    desk: Desk, server: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_around = SftpPlace._look_around

    async def nobody(place: SftpPlace, credential: Credential) -> None:
        await look_around(place, credential._replace(user="somebody"))

    monkeypatch.setattr(SftpPlace, "_look_around", nobody)
    desk.write("study/small", "text")
    desk.write("study/large", bytes(3 << 20))
    for name in ("small", "large"):
        (desk.home / "study" / name).chmod(0o6755)
    far = desk.folder / "far"
    assert do(desk, server, "copy", "~/study", there(far)).failed == 0
    assert {(far / "study" / name).stat().st_mode & 0o7777 for name in ("small", "large")} == {0o755}
    assert do(desk, server, "copy", "~/study/small", there(far)).failed == 0
    assert (far / "small").stat().st_mode & 0o7777 == 0o755


@pytest.mark.parametrize("put", [True, False])
def test_of_files_that_go_together_those_that_cannot_are_named(
    desk: Desk, server: Sshd, monkeypatch: pytest.MonkeyPatch, put: bool
) -> None:
    """After the folders were listed one file grows, one goes, and one stands in the way of a third."""
    for number in range(50):
        desk.write(f"study/{number % 5}/file{number}", f"file {number}")
    source = desk.home / "study"
    made = (desk.folder / "far" if put else desk.home / "near") / "study"
    copy_many = placefiles.PlaceFiles.copy_many
    together: list[int] = []

    async def meddling(files: placefiles.PlaceFiles, bundle: list[Small]) -> list[bool]:
        for one in bundle:
            if one.entry.name == "file7":
                (source / "2/file7").write_text("file 7 has grown")
            elif one.entry.name == "file8":
                (source / "3/file8").unlink()
            elif one.entry.name == "file9":
                Path(one.out.path.replace("~", str(desk.home), 1)).write_text("another's")
        done = await copy_many(files, bundle)
        together.append(sum(done))
        return done

    monkeypatch.setattr(placefiles.PlaceFiles, "copy_many", meddling)
    words = ("~/study", there(desk.folder / "far")) if put else (there(source), "~/near")
    summary = do(desk, server, "copy", *words)
    assert sum(together) == 47
    assert len(together) < 10
    assert sorted(failure.path for failure in summary.failures) == ["study/3/file8", "study/4/file9"]
    assert summary.files == 48
    for number in range(50):
        if number not in (7, 8, 9):
            assert (made / f"{number % 5}/file{number}").read_text() == f"file {number}"
    assert (made / "2/file7").read_text() == "file 7 has grown"
    assert (made / "4/file9").read_text() == "another's"
    assert leftovers(made.parent) == []


@pytest.mark.parametrize("put", [True, False])
def test_a_copy_killed_in_the_middle_goes_on(
    desk: Desk, server: Sshd, monkeypatch: pytest.MonkeyPatch, put: bool
) -> None:
    size = 256 << 20
    chance = random.Random(3)
    near, far = desk.home / "near", desk.folder / "far"
    near.mkdir()
    far.mkdir()
    with ((near if put else far) / "large").open("wb") as made:
        for _ in range(size >> 20):
            made.write(chance.randbytes(1 << 20))
    source, target = ("~/near/large", there(far)) if put else (there(far / "large"), "~/near")
    at = far if put else near
    fetched = 0
    blocks = placefiles.blocks

    async def counted(*words: Any) -> Any:
        nonlocal fetched
        async for block in blocks(*words):
            fetched += len(block)
            yield block

    monkeypatch.setattr(placefiles, "blocks", counted)
    for share in (0.1, 0.5, 0.9):
        job = desk.job()
        words = (desk.home, job, source, target, server.address, server.port, server.key, server.host_key)
        with subprocess.Popen([sys.executable, "-P", "-c", CHILD, *map(str, words)]) as process:
            ends = time.monotonic() + 100
            while _part_size(at) < share * size and process.poll() is None and time.monotonic() < ends:
                time.sleep(0.001)
            process.kill()
        assert process.returncode == -9
        while psutil.Process(server.pid).children(recursive=True) and time.monotonic() < ends:
            time.sleep(0.01)  # what it still had of the dead one's bytes is written by then
        kept, fetched = _part_size(at), 0
        assert share * size <= kept < size

        async def resume(job: Path = job) -> TransferSummary:
            async with opened(desk, server) as places:
                spec = TransferSpec(verb=TransferVerb.COPY, sources=(source,), target=target)
                return await run(spec, places, job)

        assert asyncio.run(resume()).failed == 0
        assert (near / "large").read_bytes() == (far / "large").read_bytes()
        assert fetched - (size - kept) < size / 100
        assert leftovers(at) == []
        (at / "large").unlink()


def _part_size(folder: Path) -> int:
    return max((path.stat().st_size for path in folder.glob(".labbox-*.part")), default=0)
