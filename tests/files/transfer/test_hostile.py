# ruff: noqa: PTH112, PTH114, PTH115, PTH118, PTH123, PTH208, PTH211 - descriptors and bytes
from __future__ import annotations

import asyncio
import ctypes
import os
import random
import resource
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transferring import Desk, leftovers, picture

from labbox.files.places.local import LocalPlace
from labbox.files.transfer import content, placefiles, run
from labbox.model import Conflict, TransferSpec, TransferVerb

_libc = ctypes.CDLL(None, use_errno=True)


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    made: list[Path] = []

    def mount(name: str, *words: str) -> Path:
        where = tmp_path / name
        where.mkdir(exist_ok=True)
        subprocess.run(["mount", *words, where], check=True, capture_output=True)
        made.append(where)
        return where

    yield mount
    for where in reversed(made):
        subprocess.run(["umount", "-l", where], check=True)


@pytest.mark.root
@pytest.mark.parametrize("disk", ["tmpfs", "ext4"])
def test_a_full_target(both: Desk, mounted: Callable[..., Path], disk: str, tmp_path: Path) -> None:
    if disk == "tmpfs":
        target = mounted("disk", "-t", "tmpfs", "-o", "size=1m", "none")
    else:
        image = tmp_path / "image"
        image.touch()
        os.truncate(image, 4 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", image], check=True, capture_output=True)
        target = mounted("disk", "-o", "loop", str(image))
    (target / "t").mkdir()
    both.write("t/large", bytes(range(256)) * 4096 * 8)
    both.write("t/small", "fits")
    both.write("u/large", bytes(range(256)) * 4096 * 8)
    both.write("u/small", "fits")
    summary = both.do("copy", ("~/t", "~/u"), str(target))
    assert {(failure.path, failure.code) for failure in summary.failures} == {
        ("t/large", "limit"),
        ("u/large", "limit"),
    }
    assert (target / "t/small").read_text() == (target / "u/small").read_text() == "fits"
    assert leftovers(target) == []
    assert not (target / "t/large").exists()
    assert not (target / "u/large").exists()


@pytest.mark.root
def test_a_read_only_target(both: Desk, mounted: Callable[..., Path]) -> None:
    both.write("t/x", "1")
    target = mounted("disk", "-t", "tmpfs", "-o", "ro", "none")
    summary = both.do("copy", "~/t", str(target))
    assert [failure.code for failure in summary.failures] == ["forbidden"]
    assert "read" in summary.failures[0].text


@pytest.mark.root
def test_a_folder_that_holds_itself_by_a_mount(both: Desk, mounted: Callable[..., Path]) -> None:
    both.write("t/sub/x", "1")
    (both.home / "t/loop").mkdir()
    link = both.home / "t/loop"
    subprocess.run(["mount", "--bind", both.home / "t", link], check=True)
    try:
        summary = both.do("copy", "~/t", "~/out", exclude=("nothing",))
    finally:
        subprocess.run(["umount", "-l", link], check=True)
    assert (both.home / "out/t/sub/x").read_text() == "1"
    assert any("holds itself" in failure.text for failure in summary.failures)
    assert sum(1 for name in picture(both.home / "out") if name.endswith("/x")) <= 3


_AS = """
import asyncio, os, sys
from pathlib import Path
import msgspec
from labbox.files.places.opening import Places, Roots
from labbox.files.transfer import run
from labbox.model import TransferSpec
home, job, spec = sys.argv[1:]
folder = os.open(job, os.O_RDONLY)
async def go():
    async with Places(Roots(home=home)) as places:
        summary = await run(msgspec.json.decode(spec, type=TransferSpec), places, folder)
    print(msgspec.json.encode(summary).decode())
os.setgroups([])
os.setresgid(7001, 7001, 7001)
os.setresuid(7001, 7001, 7001)
asyncio.run(go())
"""


@pytest.mark.root
def test_no_permission_in_the_middle_of_a_tree() -> None:
    import msgspec

    from labbox.protocol import TransferSummary

    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        home, job = Path(name) / "home", Path(name) / "job"
        for path in ("t/a/x", "t/locked/y", "t/b/secret", "t/z"):
            (home / path).parent.mkdir(parents=True, exist_ok=True)
            (home / path).write_text(path)
        job.mkdir()
        for one in [Path(name), *Path(name).rglob("*")]:
            os.chown(one, 7001, 7001)
        os.chown(home / "t/locked", 0, 0)
        (home / "t/locked").chmod(0o700)
        os.chown(home / "t/b/secret", 0, 0)
        (home / "t/b/secret").chmod(0o600)

        def go(**words: Any) -> TransferSummary:
            if "conflict" in words:
                words["conflict"] = Conflict(words["conflict"])
            spec = msgspec.json.encode(TransferSpec(sources=("~/t",), **words)).decode()
            done = subprocess.run(
                [sys.executable, "-P", "-c", _AS, home, job, spec],
                capture_output=True,
                check=False,
                text=True,
            )
            assert done.returncode == 0, done.stderr
            for left in job.iterdir():
                left.unlink()
            return msgspec.json.decode(done.stdout, type=TransferSummary)

        summary = go(verb=TransferVerb.COPY, target="~/out")
        assert {(f.path, f.code) for f in summary.failures} == {
            ("t/locked", "forbidden"),
            ("t/b/secret", "forbidden"),
        }
        assert {n for n, what in picture(home / "out/t").items()} == {"a", "a/x", "b", "z"}
        moved = go(verb=TransferVerb.MOVE, target="~/moved", exclude=("nothing",))
        assert moved.failed == 2 or moved.failed == 1
        assert (home / "t/locked/y").exists()


def test_what_changes_while_it_is_copied(both: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once: it is copied again; for ever: it is a failure and nothing of it stays."""
    both.write("t/once", b"a" * 3_000_000)
    both.write("t/always", b"b" * 3_000_000)
    both.write("t/shrinks", b"c" * 3_000_000)
    both.write("t/quiet", b"d" * 3_000_000)
    changes = {"once": 1, "always": 1000, "shrinks": 1}

    def disturb() -> None:
        for name in list(changes):
            path = both.home / "t" / name
            for fd in os.listdir("/proc/self/fd"):
                try:
                    opened = os.readlink(f"/proc/self/fd/{fd}")
                except OSError:
                    continue
                if opened == str(path) and changes[name] > 0:
                    changes[name] -= 1
                    if name == "shrinks":
                        os.truncate(path, 1000)
                    else:
                        with path.open("ab") as file:
                            file.write(b"more")

    copy_content, blocks = content.copy_content, placefiles.blocks

    def copying(*words: Any) -> int:
        disturb()
        return copy_content(*words)

    async def reading(*words: Any) -> Any:
        disturb()
        async for block in blocks(*words):
            yield block

    monkeypatch.setattr(content, "copy_content", copying)
    monkeypatch.setattr(placefiles, "blocks", reading)
    summary = both.do("copy", "~/t", "~/out")
    assert [failure.path for failure in summary.failures] == ["t/always"]
    assert "changes while" in summary.failures[0].text
    found = {name: what[2] for name, what in picture(both.home / "out/t").items()}
    assert set(found) == {"once", "shrinks", "quiet"}
    assert found["once"] == b"a" * 3_000_000 + b"more"
    assert found["shrinks"] == b"c" * 1000


def test_flipped_bits_are_found(both: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(3)
    for number in range(50):
        both.write(f"t/{number}", chance.randbytes(chance.randrange(1, 60_000)))
    both.write("t/good", b"x" * 10_000)
    flipped: dict[str, int] = {}

    def flip(file: int) -> None:
        name = os.readlink(f"/proc/self/fd/{file}")
        source = os.fstat(file).st_size
        if source == 10_000 or flipped.get(name, 0) >= (1 if chance.random() < 0.5 else 2):
            return
        flipped[name] = flipped.get(name, 0) + 1
        place = chance.randrange(source)
        byte = os.pread(file, 1, place)[0] ^ (1 << chance.randrange(8))
        os.pwrite(file, bytes([byte]), place)

    from_disk, sum_ = content.sum_from_disk, placefiles.PlaceFiles._sum

    def local(target: int, size: int, moved: Any) -> bytes:
        flip(target)
        return from_disk(target, size, moved)

    async def remote(self: Any, out: Any) -> bytes:
        path = out.place.system_path(out.path)
        file = os.open(path, os.O_RDWR)
        flip(file)
        os.close(file)
        return await sum_(self, out)

    monkeypatch.setattr(content, "sum_from_disk", local)
    monkeypatch.setattr(placefiles.PlaceFiles, "_sum", remote)
    summary = both.do("copy", "~/t", "~/out", verify=True)
    found, wanted = picture(both.home / "out/t"), picture(both.home / "t")
    assert flipped
    assert summary.failed > 0
    assert all("what was written" in failure.text for failure in summary.failures)
    assert found == {name: what for name, what in wanted.items() if name in found}
    assert len(found) == len(wanted) - summary.failed


def test_two_transfers_into_one_place(both: Desk) -> None:
    for number in range(60):
        both.write(f"a/t/f{number % 5}/{number}", f"a{number}")
        both.write(f"b/t/f{number % 5}/{number}", f"b{number}")
        both.write(f"b/t/f{number % 5}/only{number}", "b")

    async def go() -> list[Any]:
        specs = [
            TransferSpec(verb=TransferVerb.COPY, sources=(f"~/{name}/t",), target="~/out", conflict=policy)
            for name, policy in (("a", Conflict.SKIP), ("b", Conflict.RENAME))
        ]
        async with both.places() as places:
            return await asyncio.gather(*(run(spec, places, both.job()) for spec in specs))

    one, other = asyncio.run(go())
    assert one.failed == other.failed == 0, (one.failures, other.failures)
    assert leftovers(both.home) == []
    tops = list((both.home / "out").iterdir())
    held = [what[2] for what in picture(both.home / "out").values() if what[0] == "file"]
    assert all(f"b{number}".encode() in held for number in range(60))
    assert sorted(top.name for top in tops)[0] == "t"


def _exchange(one: Path, other: Path) -> None:
    _libc.renameat2(-100, os.fsencode(one), -100, os.fsencode(other), 2)


@pytest.mark.parametrize("verb", ["copy", "erase", "move"])
def test_links_put_in_the_way_lead_nowhere(desk: Desk, verb: str) -> None:
    """A folder on the way is swapped for a link to a secret, over and over, while a transfer goes through."""
    secret = desk.folder / "secret"
    (secret / "sub").mkdir(parents=True)
    (secret / "sub/key").write_text("SECRET")
    (secret / "key").write_text("SECRET")
    stop = threading.Event()
    swaps = 0

    def swapping() -> None:
        nonlocal swaps
        while not stop.is_set():
            _exchange(desk.home / "t/f1", desk.home / "evil")
            _exchange(desk.home / "out/t/f2", desk.home / "evil2")
            swaps += 1

    for turn in range(12):
        for number in range(60):
            desk.write(f"t/f{number % 4}/sub/{number}", "mine")
            desk.write(f"out/t/f{number % 4}/sub/there{number}", "mine")
        for name in ("evil", "evil2"):
            if not (desk.home / name).exists():
                (desk.home / name).symlink_to(secret)
        stop.clear()
        thread = threading.Thread(target=swapping)
        thread.start()
        try:
            if verb == "erase":
                desk.do("erase", "~/t")
            else:
                desk.do(verb, "~/t", "~/out", conflict="overwrite")
        finally:
            stop.set()
            thread.join()
        assert picture(secret, times=False) == {
            "sub": ("folder", 0o755),
            "sub/key": ("file", 0o644, b"SECRET"),
            "key": ("file", 0o644, b"SECRET"),
        }, turn
        for what in picture(desk.home).values():
            assert what[0] != "file" or b"SECRET" not in what[2]
        for name in ("t", "out", "evil", "evil2"):
            subprocess.run(["rm", "-rf", desk.home / name], check=True)
    assert swaps > 100


NAMES = st.text(alphabet=st.sampled_from("abAB \n\u202e\udcffé.'\"\\%~!"), min_size=1, max_size=6).filter(
    lambda name: name not in (".", "..") and "/" not in name
)
TREES = st.recursive(
    st.binary(max_size=40) | st.none(), lambda below: st.dictionaries(NAMES, below, max_size=4), max_leaves=12
).filter(lambda tree: isinstance(tree, dict))


def _plant(top: Path, tree: dict[str, Any], age: int) -> None:
    top.mkdir(exist_ok=True)
    for name, what in tree.items():
        path = os.path.join(top, name)
        if isinstance(what, dict):
            _plant(Path(path), what, age)
        elif what is None:
            os.symlink("somewhere", path)
        else:
            with open(path, "wb") as file:
                file.write(what)
            os.utime(path, ns=(age, age))


def _grown(top: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in os.listdir(top):
        path = os.path.join(top, name)
        if os.path.islink(path):
            found[name] = None
        elif os.path.isdir(path):
            found[name] = _grown(Path(path))
        else:
            with open(path, "rb") as file:
                found[name] = file.read()
    return found


def _merged(source: dict[str, Any], target: dict[str, Any], policy: str, newer: bool) -> dict[str, Any]:
    """The model: what stands at the target afterwards."""
    result = dict(target)
    for name, what in source.items():
        there = target.get(name, ...)
        if there is ...:
            result[name] = what
        elif isinstance(what, dict) and isinstance(there, dict):
            result[name] = _merged(what, there, policy, newer)
        elif isinstance(what, dict) or isinstance(there, dict):
            continue
        elif policy == "overwrite" or (
            policy == "newer" and newer and isinstance(what, bytes) and isinstance(there, bytes)
        ):
            result[name] = what
    return result


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    source=TREES,
    target=TREES,
    policy=st.sampled_from(["fail", "skip", "overwrite", "newer"]),
    newer=st.booleans(),
    verb=st.sampled_from(["copy", "move"]),
)
def test_any_trees_are_merged_as_the_model_says(
    both: Desk, source: dict[str, Any], target: dict[str, Any], policy: str, newer: bool, verb: str
) -> None:
    with tempfile.TemporaryDirectory(dir=both.folder) as name:
        top = Path(name)
        _plant(top / "s", source, 1_600_000_000_000_000_000 if newer else 1_400_000_000_000_000_000)
        (top / "out").mkdir()
        _plant(top / "out/s", target, 1_500_000_000_000_000_000)
        both.do(verb, str(top / "s"), str(top / "out"), conflict=policy)
        assert _grown(top / "out/s") == _merged(source, target, policy, newer)
        if verb == "copy":
            assert _grown(top / "s") == source


def test_a_hundred_thousand_files_in_bounded_memory(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        source = Path(name) / "many"
        source.mkdir()
        here = os.open(source, os.O_RDONLY)
        for number in range(100_000):
            os.close(os.open(f"measurement-{number:06}", os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=here))
        os.close(here)
        script = (
            "import asyncio, re, sys\nfrom pathlib import Path\n"
            "from labbox.files.places.opening import Places, Roots\n"
            "from labbox.files.transfer import plan, run\n"
            "from labbox.model import *\n"
            "async def go():\n"
            "    spec = TransferSpec(verb=TransferVerb.COPY, sources=(sys.argv[1],), target=sys.argv[2])\n"
            "    async with Places(Roots(home='/root')) as places:\n"
            "        assert (await plan(spec, places)).files == 100000\n"
            "        print((await run(spec, places, Path(sys.argv[3]))).files)\n"
            "        again = msgspec_replace(spec)\n"
            "        print((await run(again, places, Path(sys.argv[4]))).skipped)\n"
            "    print(re.search(r'VmHWM:\\s*(\\d+)', Path('/proc/self/status').read_text())[1])\n"
            "import msgspec\n"
            "def msgspec_replace(spec): return msgspec.structs.replace(spec, conflict=Conflict.SKIP)\n"
            "asyncio.run(go())\n"
        )
        for job in ("job1", "job2"):
            (tmp_path / job).mkdir()
        done = subprocess.run(
            [sys.executable, "-P", "-c", script, source, f"{name}/out", tmp_path / "job1", tmp_path / "job2"],
            capture_output=True,
            check=False,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        files, skipped, memory = map(int, done.stdout.split())
        assert files == skipped == 100_000
        assert memory < 100 << 10, f"{memory} KiB"


def test_deep_trees(both: Desk) -> None:
    depth = 300
    path = both.home / "deep"
    path.mkdir()
    here = os.open(path, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("level-of-a-deep-tree", dir_fd=here)
        below = os.open("level-of-a-deep-tree", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("bottom", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    summary = both.do("copy", "~/deep", "~/out")
    assert (summary.failed, summary.folders, summary.files) == (0, depth + 1, 1)
    assert both.do("compare", "~/deep", "~/out/deep").line_count == 0
    assert both.do("move", "~/out/deep", "~/again", exclude=("nothing",)).failed == 0
    assert both.do("erase", ("~/deep", "~/again")).failed == 0
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 0


def test_a_target_to_which_a_and_A_are_one_name(both: Desk, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: N802
    for name in ("t/Data", "t/data", "t/other", "t/Sub/x", "t/sub/y", "u/File", "u/file"):
        both.write(name, name)
    (both.home / "out/u").mkdir(parents=True)
    traits_at = LocalPlace.traits_at

    async def folding(self: LocalPlace, path: str) -> Any:
        return (await traits_at(self, path))._replace(case_sensitive=False)

    monkeypatch.setattr(LocalPlace, "traits_at", folding)
    summary = both.do("copy", ("~/t", "~/u"), "~/out", conflict="overwrite")
    assert summary.failed == 3
    assert {failure.path.lower() for failure in summary.failures} == {"t/data", "t/sub", "u/file"}
    assert all("case" in failure.text for failure in summary.failures)
    assert len(picture(both.home / "out/t")) == 4
    assert len(picture(both.home / "out/u")) == 1
