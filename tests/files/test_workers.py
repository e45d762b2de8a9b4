from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3
from nursery import Nursery

from labbox.daemon import workers as workers_module
from labbox.daemon.people.accounts import Account
from labbox.daemon.workers import PER_PERSON, Workers
from labbox.errors import LabboxError
from labbox.files import work
from labbox.files.project import Defaults
from labbox.model import JobSpec, Limits, Progress


@pytest.fixture
def ada(tmp_path: Path) -> Account:
    (tmp_path / "home/study/input").mkdir(parents=True)
    (tmp_path / "home/study/app.py").write_text("print(1)")
    (tmp_path / "snapshots").mkdir()
    return Account(
        name="ada", uid=70_000, gid=70_000, groups=(), admin=False, home=tmp_path / "home", limits=Limits()
    )


@pytest.fixture
def nursery() -> Nursery:
    return Nursery()


@pytest.fixture
async def workers(nursery: Nursery) -> AsyncIterator[Workers]:
    made = Workers(nursery)
    running = asyncio.create_task(made.run())
    yield made
    running.cancel()
    async with asyncio.timeout(20):
        for child in nursery.children:  # all end once the daemon lets go of them
            await child.wait()


LOOK = work.Inspect(path="study", spec=JobSpec(command=("ls",)), templates=(), defaults=Defaults())


async def hand_in(workers: Workers, ada: Account, progress: Any = None) -> work.HandedIn:
    top = os.open(ada.home.parent / "snapshots", os.O_RDONLY)
    try:
        found = await workers.call(ada, work.HandIn(look=LOOK), (top,), progress)
    finally:
        os.close(top)
    assert isinstance(found, work.HandedIn)
    return found


async def test_one_worker_serves_many_requests(workers: Workers, nursery: Nursery, ada: Account) -> None:
    names = {(await hand_in(workers, ada)).code.name for _ in range(5)}  # type: ignore[union-attr]
    assert len(names) == 1
    assert len(nursery.children) == 1


async def test_a_refusal_comes_with_its_words_and_keeps_the_worker(
    workers: Workers, nursery: Nursery, ada: Account
) -> None:
    for _ in range(2):
        with pytest.raises(LabboxError, match="cannot find the folder “nowhere”") as raised:
            await workers.call(
                ada, work.Inspect(path="nowhere", spec=JobSpec(), templates=(), defaults=Defaults())
            )
        assert raised.value.code == "not_found"
        assert raised.value.hint
    assert len(nursery.children) == 1


async def test_a_mistake_of_labbox_is_an_answer_too(workers: Workers, nursery: Nursery, ada: Account) -> None:
    with pytest.raises(LabboxError, match="labbox made a mistake") as raised:
        await workers.call(ada, work.Remove(name="x"))  # without the descriptor that it needs
    assert raised.value.code == "internal"
    await hand_in(workers, ada)
    assert len(nursery.children) == 1


async def test_requests_at_once_have_a_few_workers_and_the_rest_wait(
    workers: Workers, nursery: Nursery, ada: Account
) -> None:
    found = await asyncio.gather(*(hand_in(workers, ada) for _ in range(20)))
    assert len({one.code.name for one in found if one.code}) == 1
    assert len(nursery.children) <= PER_PERSON


async def test_people_do_not_share_workers(workers: Workers, nursery: Nursery, ada: Account) -> None:
    grace = Account(
        name="grace", uid=70_001, gid=70_001, groups=(), admin=False, home=ada.home, limits=Limits()
    )
    await workers.call(ada, LOOK)
    await workers.call(grace, LOOK)
    assert len(nursery.children) == 2


async def test_a_worker_that_died_idle_is_replaced_unseen(
    workers: Workers, nursery: Nursery, ada: Account
) -> None:
    await workers.call(ada, LOOK)
    await nursery.children[0].kill()
    await workers.call(ada, LOOK)
    assert len(nursery.children) == 2


async def test_a_worker_that_dies_at_work_is_said_to_have_ended(
    workers: Workers, nursery: Nursery, ada: Account
) -> None:
    with (ada.home / "study/input/big").open("wb") as file:
        file.truncate(1 << 40)  # a hole takes no room and minutes to hash
    seen = asyncio.Event()
    asking = asyncio.create_task(hand_in(workers, ada, lambda _: seen.set()))
    async with asyncio.timeout(20):
        await seen.wait()
        await nursery.children[0].kill()
        with pytest.raises(LabboxError, match="the worker ended") as raised:
            await asking
    assert raised.value.code == "unavailable"


async def test_progress_comes_at_most_ten_times_a_second_and_cancelling_ends_the_work(
    workers: Workers, nursery: Nursery, ada: Account
) -> None:
    with (ada.home / "study/input/big").open("wb") as file:
        file.truncate(1 << 40)
    moments: list[tuple[float, Progress]] = []
    enough = asyncio.Event()
    loop = asyncio.get_running_loop()

    def take(progress: Progress) -> None:
        moments.append((loop.time(), progress))
        if len(moments) == 8:
            enough.set()

    asking = asyncio.create_task(hand_in(workers, ada, take))
    async with asyncio.timeout(30):
        await enough.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert await nursery.children[0].wait() == 0  # it ended by itself
    assert moments[-1][0] - moments[0][0] >= 0.6
    last = moments[-1][1]
    assert (last.phase, last.unit, last.total) == ("copying", "bytes", 1 << 40)
    assert last.done > moments[0][1].done
    assert last.rate is not None
    assert list((ada.home.parent / "snapshots/making").iterdir()) == []


async def test_a_kill_at_any_moment_leaves_whole_trees_and_what_comes_next_succeeds(
    workers: Workers, nursery: Nursery, ada: Account
) -> None:
    study, choice = ada.home / "study", random.Random(7)
    for round_ in range(25):
        for number in range(40):
            (study / f"input/{number}").write_bytes(b"%d %d" % (round_, number) * 500)
        await workers.call(ada, LOOK)  # a worker is there and idle
        asking = asyncio.create_task(hand_in(workers, ada))
        await asyncio.sleep(choice.random() * 0.03)
        await nursery.children[-1].kill()
        with contextlib.suppress(LabboxError):
            await asking
        for manifest in (ada.home.parent / "snapshots").glob("*.manifest"):
            if manifest.with_suffix("").exists():
                check_tree(manifest)
    handed = await hand_in(workers, ada)
    assert handed.input is not None
    check_tree(ada.home.parent / f"snapshots/{handed.input.name}.manifest")
    assert list((ada.home.parent / "snapshots/making").iterdir()) == []


def check_tree(manifest: Path) -> None:
    tree = manifest.with_suffix("")
    assert tree.name == "tree-" + blake3(manifest.read_bytes()).hexdigest()
    lines = [line.decode().split(" ", 4) for line in manifest.read_bytes().split(b"\0")[:-1]]
    assert sorted(path for *_, path in lines) == sorted(str(one.relative_to(tree)) for one in tree.rglob("*"))
    for kind, _, size, digest, path in lines:
        if kind == "f":
            content = (tree / path).read_bytes()
            assert (len(content), blake3(content).hexdigest()) == (int(size), digest)


async def test_idle_workers_end(
    workers: Workers, nursery: Nursery, ada: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers_module, "IDLE_SECONDS", 0.05)
    await workers.call(ada, LOOK)
    async with asyncio.timeout(20):
        assert await nursery.children[0].wait() == 0
    await workers.call(ada, LOOK)
    assert len(nursery.children) == 2
