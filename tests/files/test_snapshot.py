from __future__ import annotations

import os
import shutil
import stat
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st
from passable import passable

from labbox.errors import LabboxError
from labbox.files import known as known_files
from labbox.files import making as making_module
from labbox.files import work
from labbox.files.copying import copy_and_hash
from labbox.files.known import Known
from labbox.files.listing import MAX_DEPTH
from labbox.files.project import inspect
from labbox.model import JobSpec

APP = {"code/app.py": "print(1)\n", "input/a.csv": "1,2\n"}


def contents(top: Path) -> dict[bytes, object]:
    """Everything below a folder: bytes and executability of files, targets of links, folders."""
    found: dict[bytes, object] = {}
    for path in top.rglob("*"):
        mode = path.lstat().st_mode
        own = os.fsencode(path.relative_to(top))
        if stat.S_ISLNK(mode):
            found[own] = str(path.readlink())
        elif stat.S_ISDIR(mode):
            found[own] = None
        else:
            found[own] = (path.read_bytes(), bool(mode & 0o100))
    return found


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def inodes(top: Path) -> set[int]:
    return {path.stat().st_ino for path in top.rglob("*") if path.is_file() and not path.is_symlink()}


def settle(*folders: Path) -> None:
    """Let the clock move so far beyond the last change that the next one is sure to be seen."""
    newest = max(path.lstat().st_ctime_ns for folder in folders for path in (folder, *folder.rglob("*")))
    deadline = time.monotonic() + 10
    while time.time_ns() < newest + 30_000_000:
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_what_was_handed_in_is_what_stands_in_the_trees(lab: Any) -> None:
    folder = lab.project({**APP, "code/sub/x.sh": "echo", "code/empty/": "", "input/nothing": b""})
    (folder / "code/sub/x.sh").chmod(0o755)
    (folder / "code/link.py").symlink_to("app.py")
    handed = lab.hand_in()
    code, data = lab.code(handed), lab.input(handed)
    assert contents(code) == {
        **contents(folder / "code"),
        b"input": "/input",
        b"output": "/output",
    }
    assert contents(data) == contents(folder / "input")
    assert {stat.S_IMODE(path.stat().st_mode) for path in data.iterdir()} == {0o644}
    assert stat.S_IMODE((code / "sub/x.sh").stat().st_mode) == 0o755
    assert handed.code.files == 2
    assert handed.input.size == 4


def test_the_manifest_names_the_tree_and_every_file(lab: Any) -> None:
    lab.project(APP)
    tree = lab.input(lab.hand_in())
    manifest = (lab.snapshots / f"{tree.name}.manifest").read_bytes()
    assert tree.name == "tree-" + blake3(manifest).hexdigest()
    assert manifest == b"f 0644 4 %b a.csv\0" % blake3(b"1,2\n").hexdigest().encode()


def test_links_to_input_and_output_yield_to_the_projects_own_names(lab: Any) -> None:
    lab.project({"code/app.py": "1", "code/output/x": "mine", "input/a": "1"})
    code = lab.code(lab.hand_in())
    assert (code / "output/x").read_text() == "mine"
    assert str((code / "input").readlink()) == "/input"


def test_an_unchanged_project_is_neither_read_nor_stored_again(lab: Any, monkeypatch: Any) -> None:
    folder = lab.project(APP)
    settle(folder)
    first = lab.hand_in()
    assert first.code.added > 0
    monkeypatch.setattr(making_module, "copy_and_hash", _must_not_be_called)
    second = lab.hand_in()
    assert (second.code.name, second.input.name) == (first.code.name, first.input.name)
    assert (second.code.added, second.input.added) == (0, 0)


def _must_not_be_called(*_arguments: object) -> tuple[bytes, int]:
    raise AssertionError("a file was read that is known")


def test_one_changed_file_is_copied_and_the_others_share_their_inodes(lab: Any) -> None:
    folder = lab.project({"app.py": "1", **{f"input/{number}": f"content {number}" for number in range(50)}})
    settle(folder)
    first = lab.input(lab.hand_in())
    (folder / "input/7").write_text("another")
    second_handed = lab.hand_in()
    second = lab.input(second_handed)
    assert second_handed.input.added == len("another")
    assert len(inodes(first) & inodes(second)) == 49
    assert (first / "7").read_text() == "content 7"
    assert (second / "7").read_text() == "another"


def test_a_copied_project_takes_no_more_room(lab: Any) -> None:
    folder = lab.project({"app.py": "1", "input/a": "x" * 100_000, "input/b": "x" * 100_000})
    first = lab.hand_in()
    shutil.copytree(folder, lab.home / "copy")
    copy = lab.hand_in("copy")
    assert copy.input.name == first.input.name
    assert len(inodes(lab.input(first))) == 1
    assert copy.input.added == 0


def test_the_same_content_with_and_without_the_right_to_run_are_two_files(lab: Any) -> None:
    folder = lab.project({"run.sh": "echo", "b.sh": "echo"})
    (folder / "b.sh").chmod(0o700)
    tree = lab.code(lab.hand_in())
    assert not os.access(tree / "run.sh", os.X_OK) or os.geteuid() == 0
    assert stat.S_IMODE((tree / "run.sh").stat().st_mode) == 0o644
    assert stat.S_IMODE((tree / "b.sh").stat().st_mode) == 0o755


def test_a_file_changed_in_place_with_its_old_times_is_seen(lab: Any) -> None:
    folder = lab.project({"app.py": "1", "input/a": "before"})
    settle(folder)
    lab.hand_in()
    times = (folder / "input/a").stat()
    (folder / "input/a").write_text("behind")
    os.utime(folder / "input/a", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert (lab.input(lab.hand_in()) / "a").read_text() == "behind"


def test_a_file_too_young_to_be_told_apart_is_read_again(lab: Any) -> None:
    folder = lab.project({"app.py": "1", "input/a": "0"})
    for number in range(20):
        (folder / "input/a").write_text(str(number % 10))
        assert (lab.input(lab.hand_in()) / "a").read_text() == str(number % 10)


def test_five_sparse_gigabytes_take_no_room_and_no_time_again(lab: Any, monkeypatch: Any) -> None:
    folder = lab.project({"app.py": "1", "input/": ""})
    with (folder / "input/big").open("wb") as file:
        file.write(b"begin")
        file.seek((5 << 30) - 3)
        file.write(b"end")
    handed = lab.hand_in()
    tree = lab.input(handed)
    found = (tree / "big").stat()
    assert found.st_size == 5 << 30
    assert found.st_blocks * 512 < 1 << 20
    with (tree / "big").open("rb") as file:
        assert file.read(6) == b"begin\0"
        file.seek(-4, os.SEEK_END)
        assert file.read() == b"\0end"
    monkeypatch.setattr(making_module, "copy_and_hash", _must_not_be_called)
    began = time.process_time()
    assert lab.hand_in().input.name == tree.name
    assert time.process_time() - began < 1


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, (4 << 20) - 1, 4 << 20, (8 << 20) + 5])
def test_sizes_around_the_block(lab: Any, size: int) -> None:
    content = os.urandom(size)
    lab.project({"app.py": "1", "input/a": content})
    assert (lab.input(lab.hand_in()) / "a").read_bytes() == content


def test_twenty_thousand_files_again_take_less_than_a_second(lab: Any) -> None:
    folder = lab.project({"app.py": "1"})
    for number in range(20_000):
        if number % 500 == 0:
            (folder / f"input/{number}").mkdir(parents=True)
        os.close(os.open(folder / f"input/{number - number % 500}/f{number}", os.O_CREAT | os.O_WRONLY))
    settle(folder / "input/0")
    settle(folder / "input/19500")
    first = lab.hand_in()
    began = time.process_time()
    again = lab.hand_in()
    assert time.process_time() - began < 1
    assert again.input.name == first.input.name
    assert first.input.files == 20_000


def test_names_that_are_hostile_survive_as_they_are(lab: Any) -> None:
    folder = lab.project({"app.py": "1", "input/": ""})
    names = [
        b"new\nline",
        b"\x1b]0;x\x07",
        "grüße".encode(),
        b"\xff\xfe",
        b"x" * 255,
        b" ",
        b"-rf",
        b"a\\b",
        b"'\"$(id)",
    ]
    for name in names:
        Path(os.fsdecode(os.fsencode(folder / "input") + b"/" + name)).write_bytes(name)
    tree = lab.input(lab.hand_in())
    assert contents(tree) == contents(folder / "input")
    assert len(contents(tree)) == len(names)


def test_folders_too_deep_and_paths_too_long_are_refused_in_words(lab: Any) -> None:
    folder = lab.project({"app.py": "1"})
    deep = folder / "/".join(["d"] * (MAX_DEPTH + 1))
    deep.mkdir(parents=True)
    assert f"more than {MAX_DEPTH} folders" in str([one.text for one in lab.errors()])
    shutil.rmtree(folder / "d")
    here = os.open(folder, os.O_RDONLY)
    for _ in range(14):
        os.mkdir("n" * 255, dir_fd=here)
        below = os.open("n" * 255, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    assert "longer than 3000 bytes" in str([one.text for one in lab.errors()])


def test_an_unreadable_file_is_named(lab: Any, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        folder = lab.project(APP)
        (folder / "input/a.csv").chmod(0)
        assert "“input/a.csv”: you may not read it" in lab.errors()[0].text
        return
    tmp_path.chmod(0o755)
    passable(tmp_path)
    folder = lab.project(APP)
    for path in (lab.home, lab.snapshots, *folder.rglob("*"), folder):
        os.chown(path, 70_123, 70_123)
    (folder / "input/a.csv").chmod(0)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.setgroups([])
            os.setresgid(70_123, 70_123, 70_123)
            os.setresuid(70_123, 70_123, 70_123)
            errors = [
                one.text
                for one in inspect(folder, JobSpec(command=("ls",)), []).findings
                if one.level == "error"
            ]
            code = 0 if len(errors) == 1 and "“input/a.csv”: you may not read it" in errors[0] else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_a_file_that_grows_while_it_is_copied_is_a_conflict(lab: Any, monkeypatch: Any) -> None:
    folder = lab.project({"app.py": "1", "input/log": "x" * 100})
    real = copy_and_hash

    def grow(source: int, target: int, size: int, moved: Callable[[int], None]) -> tuple[bytes, int]:
        with (folder / "input/log").open("ab") as file:
            file.write(b"more")
        return real(source, target, size, moved)

    monkeypatch.setattr(making_module, "copy_and_hash", grow)
    with pytest.raises(LabboxError, match="it changed while it was being copied") as raised:
        lab.hand_in()
    assert raised.value.code == "conflict"
    assert "“input/log”" in raised.value.message
    assert _left(lab) == []


@pytest.mark.parametrize("change", ["vanish", "rewrite", "link", "fifo", "added", "folder"])
def test_a_change_between_walk_and_copy_is_a_conflict(
    tmp_path: Path, snapshot_of: Callable[..., Any], change: str
) -> None:
    source, store = tmp_path / "source", tmp_path / "store"
    (source / "sub").mkdir(parents=True)
    store.mkdir()
    (source / "sub/a").write_text("mine")
    (tmp_path / "secret").write_text("secret")

    def disturb() -> None:
        target = source / "sub/a"
        match change:
            case "vanish":
                target.unlink()
            case "rewrite":
                target.write_text("other")
            case "link":
                target.unlink()
                target.symlink_to(tmp_path / "secret")
            case "fifo":
                target.unlink()
                os.mkfifo(target)
            case "added":
                (source / "sub/b").write_text("new")
            case _:
                (source / "sub").rename(tmp_path / "moved")
                (source / "sub").symlink_to(tmp_path)

    with pytest.raises(LabboxError) as raised:
        snapshot_of(source, store, during=disturb)
    assert raised.value.code == "conflict"
    assert not [name for name in names(store) if name.startswith("tree-")]
    assert names(store / "making") == []


def test_a_folder_swapped_for_a_link_all_the_time_gives_no_foreign_byte(
    tmp_path: Path, snapshot_of: Callable[..., Any]
) -> None:
    source, store, foreign = tmp_path / "source", tmp_path / "store", tmp_path / "foreign"
    for folder in (source / "sub", store, foreign):
        folder.mkdir(parents=True)
    for number in range(20):
        (source / f"sub/{number}").write_text("mine")
        (foreign / f"{number}").write_text("FOREIGN")
    stop = threading.Event()
    swaps = 0

    def swap() -> None:
        nonlocal swaps
        link, kept = tmp_path / "link", tmp_path / "kept"
        link.symlink_to(foreign)
        while not stop.is_set():
            (source / "sub").rename(kept)
            link.rename(source / "sub")
            (source / "sub").rename(link)
            kept.rename(source / "sub")
            swaps += 1

    thread = threading.Thread(target=swap)
    thread.start()
    taken = refused = 0
    try:
        deadline = time.monotonic() + 60
        while (taken < 20 or refused < 200 or swaps < 300) and time.monotonic() < deadline:
            try:
                snapshot_of(source, store)
                taken += 1
            except LabboxError:
                refused += 1
    finally:
        stop.set()
        thread.join()
    assert taken >= 20
    assert refused >= 200  # the attack did meet the snapshot
    for path in store.rglob("*"):
        if path.is_file() and not path.is_symlink() and "objects" in path.parts:
            assert path.read_bytes() == b"mine"


def _left(lab: Any) -> list[str]:
    return names(lab.snapshots / "making") + [
        name for name in names(lab.snapshots) if name.startswith("tree-")
    ]


def test_what_a_killed_snapshot_left_is_removed_by_the_next(lab: Any) -> None:
    lab.project(APP)
    lab.hand_in()
    left = lab.snapshots / "making" / "deadbeef"
    (left / "half").mkdir(parents=True)
    (left / "half/file").write_text("x")
    lab.hand_in()
    assert names(lab.snapshots / "making") == []


def test_a_damaged_table_of_known_files_costs_a_copy_and_no_wrong_content(lab: Any) -> None:
    folder = lab.project(APP)
    settle(folder)
    first = lab.hand_in()
    (table,) = (lab.snapshots / "known").iterdir()
    for damage in (
        b"",
        b"rubbish",
        table.read_bytes()[:-1],
        table.read_bytes()[:60] + b"\0" + table.read_bytes()[61:],
    ):
        table.write_bytes(damage)
        assert lab.hand_in().input.name == first.input.name


def test_known_files_forget_what_is_gone(lab: Any) -> None:
    folder = lab.project({"app.py": "1", "input/a": "1", "input/b": "2"})
    settle(folder)
    lab.hand_in()
    (folder / "input/b").unlink()
    lab.hand_in()
    (table,) = (lab.snapshots / "known").iterdir()
    top = os.open(table.parent, os.O_RDONLY)
    known = known_files.load(top, table.name)
    os.close(top)
    assert len(known) == 2


def test_content_whose_names_ran_out_is_copied_again(
    tmp_path: Path, snapshot_of: Callable[..., Any], monkeypatch: Any
) -> None:
    """ext4 gives a file 65,000 names; here it gives three."""
    real = os.link

    def link(source: Any, target: Any, **named: Any) -> None:
        if os.stat(source, dir_fd=named["src_dir_fd"]).st_nlink >= 3:
            raise OSError(31, "Too many links")
        real(source, target, **named)

    monkeypatch.setattr(os, "link", link)
    source, store = tmp_path / "source", tmp_path / "store"
    source.mkdir()
    store.mkdir()
    for number in range(20):
        (source / str(number)).write_text("same")
    known: Known = {}
    first = snapshot_of(source, store, known)
    (source / "other").write_text("x")
    settle(source)
    second = snapshot_of(source, store, known)
    assert {path.read_text() for path in (store / first.name).iterdir()} == {"same"}
    assert len(list((store / second.name).iterdir())) == 21


def test_no_more_than_the_person_may_store(lab: Any) -> None:
    lab.project({"app.py": "1", "input/a": "x" * 5000})
    with pytest.raises(LabboxError, match="you may store 1000 B more") as raised:
        lab.hand_in(room=1000)
    assert raised.value.code == "limit"
    assert lab.hand_in(room=10_000).input.added == 5000


def test_a_full_disk_is_said_in_words_and_leaves_nothing(lab: Any, monkeypatch: Any) -> None:
    def full(*_arguments: object) -> tuple[bytes, int]:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(making_module, "copy_and_hash", full)
    lab.project(APP)
    with pytest.raises(LabboxError, match="the box's disk is full") as raised:
        lab.hand_in()
    assert raised.value.code == "unavailable"
    assert _left(lab) == []


def test_pruning_keeps_what_is_named_or_young_and_drops_content_nobody_has(lab: Any) -> None:
    folder = lab.project({"app.py": "1", "input/a": "shared", "input/b": "first"})
    old = lab.hand_in()
    (folder / "input/b").write_text("second")
    new = lab.hand_in()
    assert lab.ask(work.Prune(keep=(), unused_since=time.time() - 60), lab.descriptor) == work.Pruned(trees=0)
    result = lab.ask(
        work.Prune(keep=(new.code.name, new.input.name), unused_since=time.time() + 1), lab.descriptor
    )
    assert result == work.Pruned(trees=1)
    assert not lab.input(old).exists()
    assert (lab.input(new) / "a").read_text() == "shared"
    stored = {path.read_text() for path in (lab.snapshots / "objects").rglob("*") if path.is_file()}
    assert stored == {"1", "shared", "second"}
    again = lab.hand_in()
    assert again.input.name == new.input.name


def test_two_at_once_make_one_tree(lab: Any, snapshot_of: Callable[..., Any], tmp_path: Path) -> None:
    source, store = tmp_path / "source", tmp_path / "store"
    source.mkdir()
    store.mkdir()
    for number in range(200):
        (source / str(number)).write_bytes(b"%d" % number)
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(snapshot_of(source, store))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({tree.name for tree in found}) == 1
    assert len(found) == 6
    assert contents(store / found[0].name) == contents(source)


NAMES = st.binary(min_size=1, max_size=12).filter(
    lambda name: not set(name) & {0, 0x2F} and name not in (b".", b"..") and not name.endswith(b"~")
)
TREES = st.recursive(
    st.binary(max_size=200),
    lambda below: st.dictionaries(NAMES, below, max_size=4),
    max_leaves=15,
).filter(lambda tree: isinstance(tree, dict))


def _build(top: Path, tree: dict[bytes, Any]) -> None:
    for name, value in tree.items():
        path = top / os.fsdecode(name)
        if isinstance(value, dict):
            path.mkdir()
            _build(path, value)
        else:
            path.write_bytes(value)
            path.chmod(0o755 if len(value) % 2 else 0o644)


@settings(max_examples=60, deadline=None)
@given(tree=TREES)
def test_the_snapshot_of_any_tree_equals_it_and_a_second_shares_every_inode(
    snapshot_of: Callable[..., Any], tree: dict[bytes, Any]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source, store = Path(folder, "source"), Path(folder, "store")
        source.mkdir()
        store.mkdir()
        _build(source, tree)
        known: Known = {}
        first = snapshot_of(source, store, known)
        assert contents(store / first.name) == contents(source)
        Path(source, "one more").write_bytes(b"")
        second = snapshot_of(source, store, known)
        shared = inodes(store / first.name) - inodes(store / second.name)
        assert shared == set()
