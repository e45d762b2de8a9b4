"""Counting and searching through any place come to the same as through this machine's own folders."""

from __future__ import annotations

import asyncio
import os
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sshd import Sshd

from labbox.errors import Code, LabboxError
from labbox.files import finding, lookingbelow
from labbox.files.counting import count
from labbox.files.finding import Looked, gather
from labbox.files.lookingbelow import Search, count_below
from labbox.files.places.archive import ArchivePlace
from labbox.files.places.base import Entry, Place
from labbox.files.places.credentials import Credential, Secret
from labbox.files.places.local import LocalPlace
from labbox.files.places.sftp import SftpPlace

Opener = Callable[[Path], AbstractAsyncContextManager[tuple[Place, str]]]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Folders of two depths, a text across the border of two slices, links, hidden ones, odd names."""
    top = tmp_path / "tree"
    for name in ("a/deep/deeper", "b", ".hidden", "empty"):
        (top / name).mkdir(parents=True)
    (top / "a/one.csv").write_text("x,y\n1,NEEDLE\n")
    (top / "a/deep/two.csv").write_text("nothing")
    border = lookingbelow._SLICE - 3
    (top / "a/deep/deeper/large.bin").write_bytes(bytes(border) + b"needle" + bytes(2 << 20))
    (top / "b/ünï\n.csv").write_text("needle")
    (top / ".hidden/three.csv").write_text("needle")
    (top / "empty.csv").touch()
    (top / "b/link").symlink_to("../a")
    return top


@asynccontextmanager
async def local(folder: Path) -> AsyncIterator[tuple[Place, str]]:
    async with LocalPlace() as place:
        yield place, str(folder)


@asynccontextmanager
async def zipped(folder: Path) -> AsyncIterator[tuple[Place, str]]:
    archive = folder.parent / "tree.zip"
    with zipfile.ZipFile(archive, "w") as made:
        for path in sorted(folder.rglob("*")):
            if not path.is_symlink():
                made.write(path, path.relative_to(folder))
    (folder / "b/link").unlink()
    async with LocalPlace() as place, await ArchivePlace.open_on(place, str(archive)) as inside:
        yield inside, ""


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with Sshd(tmp_path_factory.mktemp("sshd")) as made:
        yield made


@pytest.fixture(params=["local", "archive", pytest.param("sftp", marks=pytest.mark.root)])
def opened(request: pytest.FixtureRequest) -> Opener:
    if request.param != "sftp":
        return {"local": local, "archive": zipped}[request.param]
    server: Sshd = request.getfixturevalue("sshd")

    @asynccontextmanager
    async def there(folder: Path) -> AsyncIterator[tuple[Place, str]]:
        login = Credential(
            "root",
            server.address,
            server.port,
            private_key=Secret(server.key.read_text()),
            host_keys=(server.host_key,),
        )
        async with await SftpPlace.connect(login) as place:
            yield place, str(folder)

    return there


async def searched(place: Place, path: str, **wanted: Any) -> tuple[list[str], bool, Looked]:
    found: list[Entry] = []
    search = Search(place, path, found.extend, lambda _looked: None, **wanted)
    whole = await search.run()
    return sorted(one.name for one in found), whole, search.looked


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"hidden": True, "folders": True},
        {"mask": "*.CSV"},
        {"mask": "e", "folders": True},
        {"text": "needle"},
        {"text": "NEEdle", "mask": "*.csv", "hidden": True},
        {"text": "n"},
        {"text": "not there at all"},
    ],
)
async def test_a_search_finds_what_a_search_of_this_machine_finds(
    opened: Opener, tree: Path, wanted: dict[str, Any]
) -> None:
    async with opened(tree) as (place, path):
        found, whole, _looked = await searched(place, path, **wanted)
    expected: list[str] = []
    assert gather(str(tree), lambda rows: expected.extend(row.name for row in rows), lambda: True, **wanted)
    assert (found, whole) == (sorted(expected), True)


async def test_what_is_counted_is_what_is_there(opened: Opener, tree: Path) -> None:
    async with opened(tree) as (place, path):
        found = await count_below(place, path, lambda _so_far: None)
    expected = count([str(tree)])
    links = sum(os.lstat(each).st_size for each in tree.rglob("*") if each.is_symlink())
    # Of a link a place tells no size that all would agree on.
    assert (found.files, found.folders, found.unread) == (expected.files, expected.folders, 0)
    assert expected.size - links <= found.size <= expected.size


async def test_a_folder_that_cannot_be_read_is_counted_and_the_rest_goes_on(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with local(tree) as (place, path):
        real = place.list

        async def some(folder: str, *, full: bool = True) -> AsyncIterator[list[Entry]]:
            if folder.endswith("/deep"):
                raise LabboxError("forbidden", "cannot read it")
            async for batch in real(folder, full=full):
                yield batch

        monkeypatch.setattr(place, "list", some)
        found, whole, looked = await searched(place, path, mask="*.csv")
        assert (found, whole, looked.unread) == (["a/one.csv", "b/ünï\n.csv", "empty.csv"], True, 1)
        assert (await count_below(place, path, lambda _so_far: None)).unread == 1
        codes: tuple[Code, ...] = ("forbidden", "unavailable")
        for code in codes:

            async def none(
                _folder: str, *, full: bool = True, code: Code = code
            ) -> AsyncIterator[list[Entry]]:
                raise LabboxError(code, "cannot read it")
                yield []

            monkeypatch.setattr(place, "list", none)
            with pytest.raises(LabboxError, match="cannot read it"):
                await searched(place, path)
            with pytest.raises(LabboxError, match="cannot read it"):
                await count_below(place, path, lambda _so_far: None)


async def test_no_more_is_gathered_than_is_wanted(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookingbelow, "MOST", 2)
    async with local(tree) as (place, path):
        found, whole, _looked = await searched(place, path, folders=True)
    assert len(found) == 2 and not whole


async def test_it_ends_at_once_when_it_is_cancelled(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with local(tree) as (place, path):
        reached = asyncio.Event()

        async def stuck(_path: str, **_words: Any) -> Any:
            reached.set()
            await asyncio.Event().wait()

        monkeypatch.setattr(place, "open", stuck)
        found: list[Entry] = []
        task = asyncio.create_task(Search(place, path, found.extend, lambda _looked: None, text="n").run())
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_how_far_it_is_is_told(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookingbelow, "TELL_EVERY", 0)
    monkeypatch.setattr(finding, "TELL_EVERY", 0)
    told: list[Looked] = []
    async with local(tree) as (place, path):
        await Search(place, path, lambda _found: None, told.append, text="absent").run()
    assert [one.entries for one in told] == sorted(one.entries for one in told) and told[-1].read > 1 << 20
    here: list[Looked] = []
    gather(str(tree), lambda _rows: None, lambda: True, text="absent", tell=here.append)
    assert here[-1].entries == told[-1].entries and here[-1].folders == told[-1].folders
