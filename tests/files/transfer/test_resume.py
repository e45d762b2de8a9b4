from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cutting
import pytest
from transferring import Desk, leftovers, picture

from labbox.files.transfer import run
from labbox.model import Progress, TransferSpec, TransferVerb

CUTS = 20
LARGE = 48 << 20


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


def source_tree(home: Path, large: int = LARGE) -> int:
    chance = random.Random(7)
    top = home / "study"
    for folder in range(6):
        (top / f"f{folder}/sub").mkdir(parents=True)
        for file in range(12):
            (top / f"f{folder}/sub/{file}").write_bytes(chance.randbytes(chance.randrange(3000)))
    block = chance.randbytes(1 << 20)
    with (top / "large.bin").open("wb") as file_:
        for number in range(large >> 20):
            file_.write(number.to_bytes(4, "big") + block[4:])
    os.link(top / "f1/sub/3", top / "f2/again")
    (top / "link").symlink_to("f1")
    return sum(path.stat().st_size for path in top.rglob("*") if path.is_file() and not path.is_symlink())


@pytest.mark.parametrize("places", [False, True], ids=["by system calls", "through places"])
@pytest.mark.parametrize("merged", [False, True], ids=["new", "merged"])
def test_a_copy_killed_at_any_point_goes_on(memory: Path, places: bool, merged: bool) -> None:
    size = source_tree(memory)
    wanted = picture(memory / "study")
    spec = {"verb": "copy", "sources": ["~/study"], "target": "~/out", "conflict": "fail"}
    chance = random.Random(11)
    refetched = []
    steps = whole = 0
    for cut in range(CUTS // 2 + 1):
        target, job, counts = memory / "out", memory / "job", memory / "counts"
        for path in (target, job):
            shutil.rmtree(path, ignore_errors=True)
        counts.unlink(missing_ok=True)
        job.mkdir()
        if merged:
            (target / "study/f3/sub").mkdir(parents=True)
        kill_at = chance.randrange(1, steps) if cut else 0
        first = cutting.transfer(spec, memory, job, counts, kill_at, places)
        if not cut:
            steps, whole = cutting.counted(counts)
            assert first.returncode == 0, first.stderr
            continue
        assert first.returncode == -9, (kill_at, first.stderr)
        for path in (target / "study").rglob("*"):  # nothing half-written stands under its final name
            if path.is_file() and ".part" not in str(path):
                assert (
                    path.read_bytes() == (memory / "study" / path.relative_to(target / "study")).read_bytes()
                )
        second = cutting.transfer(spec, memory, job, counts, 0, places)
        assert second.returncode == 0, (kill_at, second.stderr)
        summary = json.loads(second.stdout)
        assert summary.get("failed", 0) == 0, (kill_at, summary["failures"])
        found = picture(target / "study")
        if merged:
            for folder in ("f3", "f3/sub"):
                found[folder] = wanted[folder]
        assert found == wanted, kill_at
        assert leftovers(target) == []
        refetched.append((cutting.counted(counts)[1] - whole) / size)
    mean = sum(refetched) / len(refetched)
    assert mean < (0.02 if places else 0.01), refetched  # of so small a file what is read ahead weighs more


def test_a_move_to_another_disk_killed_at_any_point_goes_on(memory: Path, tmp_path: Path) -> None:
    source_tree(memory, 4 << 20)
    wanted = picture(memory / "study")
    shutil.copytree(memory / "study", memory / "kept", symlinks=True)
    spec = {"verb": "move", "sources": ["~/study"], "target": str(tmp_path / "out")}
    chance = random.Random(13)
    steps = 0
    for cut in range(CUTS + 1):
        job = memory / "job"
        for path in (tmp_path / "out", job, memory / "study"):
            shutil.rmtree(path, ignore_errors=True)
        job.mkdir()
        shutil.copytree(memory / "kept", memory / "study", symlinks=True)
        counts = memory / "counts"
        counts.unlink(missing_ok=True)
        kill_at = chance.randrange(1, steps) if cut else 0
        done = cutting.transfer(spec, memory, job, counts, kill_at)
        if not cut:
            steps = cutting.counted(counts)[0]
        else:
            assert done.returncode == -9, done.stderr
            done = cutting.transfer(spec, memory, job, counts)
        assert done.returncode == 0, (kill_at, done.stderr)
        assert json.loads(done.stdout).get("failed", 0) == 0, (kill_at, done.stdout)
        found = picture(tmp_path / "out/study", times=False)
        assert found == {name: what[:-1] for name, what in wanted.items()}, kill_at
        assert not (memory / "study").exists(), kill_at


def test_a_source_that_changed_after_the_cut_is_copied_anew(memory: Path) -> None:
    home = memory
    (home / "big").write_bytes(os.urandom(8 << 20))
    job, counts = memory / "job", memory / "counts"
    job.mkdir()
    spec = {"verb": "copy", "sources": ["~/big"], "target": "~/out"}
    assert cutting.transfer({**spec, "target": "~/whole"}, home, job, counts).returncode == 0
    steps = cutting.counted(counts)[0]
    shutil.rmtree(job)
    job.mkdir()
    assert cutting.transfer(spec, home, job, counts, steps * 2 // 3).returncode == -9
    assert leftovers(memory)
    (home / "big").write_bytes(os.urandom(8 << 20))
    assert cutting.transfer(spec, home, job, counts).returncode == 0
    assert (home / "out/big").read_bytes() == (home / "big").read_bytes()
    assert leftovers(memory) == []


class _Gate:
    """Lets so many looks pass, then does something."""

    def __init__(self, passes: int) -> None:
        self.left = passes
        self.reached = asyncio.Event()
        self.open = asyncio.Event()

    async def passed(self) -> None:
        self.left -= 1
        if self.left <= 0:
            self.reached.set()
            await self.open.wait()


@pytest.mark.parametrize("target_is_there", [False, True])
def test_pause_holds_and_cancel_cleans_up(
    both: Desk, monkeypatch: pytest.MonkeyPatch, target_is_there: bool
) -> None:
    from labbox.files.transfer import reporting

    monkeypatch.setattr(reporting, "REPORT_EVERY", 0.0)
    for number in range(40):
        both.write(f"t/sub/{number}", os.urandom(50_000))
    if target_is_there:
        both.write("out/t/sub/other", "stays")
    before = picture(both.home / "out") if target_is_there else {}

    async def go() -> tuple[int, int]:
        gate = _Gate(20)
        seen: list[Progress] = []
        spec = TransferSpec(verb=TransferVerb.COPY, sources=("~/t",), target="~/out")
        async with both.places() as places:
            task = asyncio.create_task(run(spec, places, both.job(), report=seen.append, gate=gate))
            await gate.reached.wait()
            held = len(seen)
            for _ in range(20):
                await asyncio.sleep(0)
            more = len(seen)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return held, more

    held, more = asyncio.run(go())
    assert held == more
    found = picture(both.home / "out", times=False)
    assert leftovers(both.home) == []
    if target_is_there:
        assert all(found[name] == what[:-1] for name, what in before.items())
    else:
        assert [name for name, what in found.items() if what[0] == "file"] == []


def test_a_cancelled_second_run_leaves_nothing_of_the_first(
    desk: Desk, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from labbox.files.transfer import reporting

    source_tree(desk.home, 2 << 20)
    for folder in range(6):
        (desk.home / f"out/study/f{folder}/sub").mkdir(parents=True)
    job = desk.job()
    spec = {"verb": "copy", "sources": ["~/study"], "target": "~/out"}
    assert cutting.transfer(spec, desk.home, job, memory / "counts", 260).returncode == -9
    tag = json.loads((job / "journal").read_text().splitlines()[0])["tag"]
    for below in ("f1/sub", "f5"):
        (desk.home / f"out/study/{below}/.labbox-{tag}-{'0' * 16}.part").write_text("half")
    monkeypatch.setattr(reporting, "REPORT_EVERY", 0.0)

    async def go() -> None:
        gate = _Gate(3)
        copy = TransferSpec(verb=TransferVerb.COPY, sources=("~/study",), target="~/out")
        async with desk.places() as places:
            task = asyncio.create_task(run(copy, places, job, gate=gate))
            await gate.reached.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(go())
    assert leftovers(desk.home) == []
