"""Files in and out with stock clients: sftp, scp both ways, rsync; and both paths of the bytes."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import shlex
import time
from pathlib import Path
from typing import Any

import pytest

from labbox.daemon.gate import channel, wire

pytestmark = pytest.mark.root


def copy(box: Any, program: str, *words: str, more: tuple[str, ...] = ()) -> list[str]:
    return [program, *box.options(), *more, "-P", str(box.port), *words]


def rsync(box: Any, *words: str) -> list[str]:
    return ["rsync", "-a", "-e", shlex.join(["ssh", *box.options(), "-p", str(box.port)]), *words]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    (folder / "code").mkdir(parents=True)
    (folder / "input").mkdir()
    (folder / "code" / "app.py").write_text("print('hello')\n")
    (folder / "input" / "data ünï.bin").write_bytes(os.urandom(700_000))
    (folder / "input" / "empty").touch()
    return folder


def digest(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.blake2b(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("way", [("-s",), ("-O",)], ids=["sftp", "legacy"])
async def test_scp_both_ways(box: Any, study: Path, tmp_path: Path, way: tuple[str, ...]) -> None:
    done = await box.run(copy(box, "scp", "-r", str(study), "ada@127.0.0.1:", more=way))
    assert (done.returncode, done.stderr) == (0, b"")
    assert digest(box.home() / "study") == digest(study)
    owner = (box.home() / "study" / "code" / "app.py").stat()
    assert (owner.st_uid, owner.st_gid) == (73000, 73000)
    done = await box.run(copy(box, "scp", "-r", "ada@127.0.0.1:study", str(tmp_path / "back"), more=way))
    assert (done.returncode, done.stderr) == (0, b"")
    assert digest(tmp_path / "back") == digest(study)


async def test_legacy_scp_takes_wildcards(box: Any, study: Path, tmp_path: Path) -> None:
    for number in range(3):
        (box.home() / f"r{number}.csv").write_text(str(number))
    (tmp_path / "got").mkdir()
    done = await box.run(copy(box, "scp", "ada@127.0.0.1:r*.csv", str(tmp_path / "got"), more=("-O",)))
    assert done.returncode == 0
    assert sorted(path.name for path in (tmp_path / "got").iterdir()) == ["r0.csv", "r1.csv", "r2.csv"]


async def test_sftp_subsystem_knows_its_user(box: Any, study: Path, tmp_path: Path) -> None:
    batch = f"put '{study}/code/app.py' new.py\nrename new.py app.py\nls -l\nget app.py {tmp_path}/got.py\n"
    done = await box.run(copy(box, "sftp", "-b", "-", "ada@127.0.0.1"), stdin=batch.encode())
    assert done.returncode == 0
    assert (tmp_path / "got.py").read_text() == "print('hello')\n"
    assert b"ada      ada " in done.stdout


async def test_rsync_both_ways_again_and_with_deletion(box: Any, study: Path, tmp_path: Path) -> None:
    for _ in range(2):
        done = await box.run(rsync(box, "--delete", f"{study}/", "ada@127.0.0.1:study/"))
        assert (done.returncode, done.stderr) == (0, b"")
        assert digest(box.home() / "study") == digest(study)
        (study / "input" / "empty").unlink(missing_ok=True)
        (study / "code" / "more.py").write_text("1")
    done = await box.run(rsync(box, "ada@127.0.0.1:study/", str(tmp_path / "back")))
    assert done.returncode == 0
    assert digest(tmp_path / "back") == digest(study)
    done = await box.run(
        rsync(box, "--partial-dir=.part", "-z", "ada@127.0.0.1:study/code/*.py", str(tmp_path / "w/"))
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert sorted(path.name for path in (tmp_path / "w").iterdir()) == ["app.py", "more.py"]


async def test_what_only_brings_is_refused_on_a_full_disk_and_what_may_delete_is_not(
    box: Any, study: Path, tmp_path: Path
) -> None:
    box.gate.launcher.full = lambda: "the box has only 1 MiB of disk left"
    refused = await box.run(rsync(box, f"{study}/", "ada@127.0.0.1:study/"))
    assert refused.returncode != 0
    assert b"cannot take anything in: the box has only 1 MiB of disk left" in refused.stderr
    assert not (box.home() / "study").exists()
    emptied = tmp_path / "nothing"
    emptied.mkdir()
    (box.home() / "study").mkdir()
    (box.home() / "study" / "old").write_text("x")
    os.chown(box.home() / "study", box.home().stat().st_uid, -1)
    done = await box.run(rsync(box, "--delete", f"{emptied}/", "ada@127.0.0.1:study/"))
    assert (done.returncode, done.stderr) == (0, b"")
    assert list((box.home() / "study").iterdir()) == []


async def test_other_peoples_files_stay_closed(box: Any) -> None:
    (box.home("grace") / "secret").write_text("x")
    for path in (f"{box.home('grace')}/secret", f"{box.state}/secrets/host_ed25519_key", f"{box.state}/git"):
        done = await box.run(copy(box, "sftp", "-b", "-", "ada@127.0.0.1"), stdin=f"ls {path}\n".encode())
        assert done.returncode == 1
        assert b"denied" in done.stderr or b"not found" in done.stderr


async def test_broken_upload_ends_its_process(box: Any, eventually: Any) -> None:
    client = await asyncio.create_subprocess_exec(
        *box.ssh("scp", "-t", "half"), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL
    )
    assert client.stdin is not None
    client.stdin.write(b"C0644 1000000000 half\n" + b"x" * 1_000_000)
    await client.stdin.drain()
    await eventually(lambda: box.processes_of(73000))
    client.kill()
    await client.wait()
    await eventually(lambda: box.processes_of(73000) == [])


@pytest.mark.parametrize(
    "options",
    [
        ("-caes128-gcm@openssh.com",),
        ("-cchacha20-poly1305@openssh.com",),
        ("-caes256-ctr", "-mhmac-sha2-256-etm@openssh.com"),
        ("-C", "-caes256-gcm@openssh.com"),
        ("-caes256-gcm@openssh.com", "-oRekeyLimit=300K"),
        ("-oRekeyLimit=300K", "-cchacha20-poly1305@openssh.com"),
    ],
    ids=["aes128", "chacha", "ctr", "zlib", "rekey", "chacha-rekey"],
)
async def test_every_cipher_brings_the_same_bytes(box: Any, options: tuple[str, ...]) -> None:
    data = random.Random(7).randbytes(3_000_000)
    argv = box.ssh("cat")
    done = await box.run([*argv[:1], *options, *argv[1:]], stdin=data)
    assert done.stdout == data + b"end of input"
    assert done.returncode == 0


async def test_rekey_that_the_box_begins(box: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire.Connection, "can_seal", _rekey_early(wire.Connection.can_seal))
    data = random.Random(8).randbytes(3_000_000)
    done = await box.run(box.ssh("cat"), stdin=data)
    assert done.stdout == data + b"end of input"


def _rekey_early(can_seal: Any) -> Any:
    def early(connection: Any) -> bool:
        connection._rekey_bytes = 500_000
        return bool(can_seal(connection))

    return early


@pytest.mark.parametrize("cipher", ["aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com"])
async def test_hot_path_is_taken(box: Any, monkeypatch: pytest.MonkeyPatch, cipher: str) -> None:
    taken: list[bool] = []
    original = wire.Connection._take_one

    def count(connection: wire.Connection, cipher: Any, packet: memoryview, widened: Any) -> bool:
        taken.append(original(connection, cipher, packet, widened))
        return taken[-1]

    monkeypatch.setattr(wire.Connection, "_take_one", count)
    await box.run(["ssh", f"-c{cipher}", *box.ssh("cat")[1:]], stdin=bytes(1_000_000))
    assert sum(taken) > 20
    assert channel.BULK_WINDOW > 1_000_000


def in_line() -> float:
    """Seconds that this thread has waited for a core, which others have."""
    return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9


async def test_keys_of_others_stay_quick_during_a_transfer(box: Any, tmp_path: Path) -> None:
    big = tmp_path / "big"
    with big.open("wb") as file:
        file.truncate(300 << 20)
    transfer = asyncio.create_task(box.run(copy(box, "scp", str(big), "ada@127.0.0.1:big")))
    echo = await asyncio.create_subprocess_exec(
        *box.ssh("-tt", user="grace"), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert echo.stdin is not None
    assert echo.stdout is not None
    said = b""
    while b"size" not in said:
        said += await echo.stdout.read(4096)
    taken = []
    while not transfer.done():
        before = time.monotonic() - in_line()
        echo.stdin.write(b"k")
        said = b""
        while b"<k>" not in said:
            said += await echo.stdout.read(4096)
        taken.append(time.monotonic() - in_line() - before)
        await asyncio.sleep(0.005)
    echo.stdin.write(b"q")
    await echo.wait()
    assert (await transfer).returncode == 0
    taken.sort()
    assert len(taken) > 20
    assert taken[int(len(taken) * 0.9)] < 0.05, taken[-5:]
