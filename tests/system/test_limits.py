"""Disk beyond a person's limit, by whatever way; and a disk that people have filled."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import Box, ssh_options
from person import Person, wait_for

from labbox.model import FINAL, JobSpec, Limits, TransferSpec, TransferVerb

pytestmark = [pytest.mark.root]

MIB = 1 << 20
LIMIT, MOST = 50 * MIB, 120 * MIB  # a look at small files takes its time; 300 MB never are
WAYS = ("sftp", "scp", "rsync", "push", "transfer", "many small files")


@pytest.fixture(scope="module")
def tight() -> Iterator[Box]:
    folder = Path(tempfile.mkdtemp(prefix="labbox-limits-", dir="/var/tmp"))
    folder.chmod(0o755)
    box = Box(folder, ("ada", "grace"))
    box.client().set_limits("ada", Limits(storage=LIMIT))
    yield box
    box.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 MB that cannot be packed."""
    path = tmp_path_factory.mktemp("large") / "large"
    with path.open("wb") as file:
        for _ in range(300):
            file.write(os.urandom(MIB))
    return path


def stored(box: Box, name: str) -> int:
    found = 0
    for kind in ("homes", "results", "git"):
        for top, _names, files in os.walk(box.state / kind / name):
            found += sum(os.lstat(Path(top, one)).st_blocks * 512 for one in files)
    return found


def put(box: Box, way: str, large: Path, folder: Path) -> None:
    """300 MB into Ada's home, or wherever this way puts them."""
    shell = shlex.join(["ssh", *ssh_options(box.key, box.port)])
    options = [word.replace("-p", "-P") if word == "-p" else word for word in ssh_options(box.key, box.port)]
    there = "ada@127.0.0.1:"
    words = {
        "sftp": ["scp", "-s", "-q", *options, str(large), there],
        "scp": ["scp", "-O", "-q", *options, str(large), there],
        "rsync": ["rsync", "--inplace", "-e", shell, str(large), there],
    }
    if way in words:
        subprocess.run(words[way], capture_output=True, timeout=90, check=False)
    elif way == "push":
        shutil.copy(large, folder / "large")
        plain = ["-c", "core.bigFileThreshold=1m", "-c", "core.compression=0"]  # packing it gains nothing
        git = ["git", "-c", "user.name=A", "-c", "user.email=a@b", "-c", f"core.sshCommand={shell}", *plain]
        for more in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "x"]):
            subprocess.run([*git, *more], cwd=folder, check=True)
        address = f"ssh://ada@127.0.0.1:{box.port}/big"
        subprocess.run(
            [*git, "push", address, "main"], cwd=folder, capture_output=True, timeout=90, check=False
        )
    elif way == "transfer":
        shared = box.state / "shared" / "large"
        shutil.copy(large, shared)
        shared.chmod(0o644)
        client = box.client("ada")
        spec = TransferSpec(verb=TransferVerb.COPY, sources=("shared:/large",), target="~/")
        job = client.submit_job(JobSpec(transfer=spec))
        wait_for(lambda: client.show_job(job.id).job.state in FINAL)
        shared.unlink()
    else:
        data = large.read_bytes()
        for number in range(300):
            (folder / str(number)).write_bytes(data[number * MIB : (number + 1) * MIB])
        subprocess.run(
            ["rsync", "-r", "--bwlimit=15m", "-e", shell, f"{folder}/", f"{there}many/"],
            capture_output=True,
            timeout=90,
            check=False,
        )


@pytest.mark.attack("S10")
@pytest.mark.parametrize("way", WAYS)
def test_three_hundred_megabytes_do_not_get_into_a_home_of_fifty(
    tight: Box, large: Path, way: str, tried: Callable[..., None], tmp_path: Path
) -> None:
    tried()
    put(tight, way, large, tmp_path)
    assert stored(tight, "ada") <= MOST
    ada = Person(tight, "ada")
    assert ada.run("whoami").returncode == 0  # they still get in, and can make room
    options = [
        word.replace("-p", "-P") if word == "-p" else word for word in ssh_options(tight.key, tight.port)
    ]
    for name in ("large", "many"):
        subprocess.run(
            ["sftp", "-b", "-", *options, "ada@127.0.0.1"],
            input=f"-rm {name}\n-rm {name}/*\n-rmdir {name}\n".encode(),
            capture_output=True,
            check=True,
        )
    shutil.rmtree(tight.state / "git" / "ada", ignore_errors=True)
    assert stored(tight, "ada") < LIMIT


@pytest.mark.attack("S10")
@pytest.mark.parametrize("place", ["/output", "/code"])
def test_a_run_that_ends_before_anybody_looks_is_held_to_its_limit(
    box: Box, ada: Person, place: str, tried: Callable[..., None]
) -> None:
    tried()
    name = f"sudden{place.replace('/', '-')}"
    ada.project(name, {"run.sh": f"for i in 1 2; do fallocate -l 150M {place}/$i || exit 3; done\n"})
    done = ada.run("job", "submit", name, "--follow")
    newest = ada.json("job", "list")["jobs"][0]
    shown = ada.job(newest["id"])
    assert (shown["state"], shown["reason"]["code"]) == ("failed", "disk_limit"), (shown, done.stderr)
    assert done.returncode != 0


@pytest.mark.attack("S10")
def test_what_is_put_into_shared_places_counts(tight: Box, tried: Callable[..., None]) -> None:
    tight.client().add_project("birds")
    tight.client().join_project("birds", "ada")
    uid = tight.client().show_user("ada").uid
    for place in (tight.state / "shared", tight.state / "projects" / "birds"):
        tried()
        (place / "mine").write_bytes(bytes(30 * MIB))
        (place / "others").write_bytes(bytes(80 * MIB))
        os.chown(place / "mine", uid, -1)
    ada = tight.client("ada")
    tight.put("ada", "study", {"run.sh": "true\n"})
    tight.stop()
    tight.start()  # the figures are new
    ada = tight.client("ada")
    with pytest.raises(Exception, match="may store"):
        ada.submit_job(JobSpec(path="study"))
    for place in (tight.state / "shared", tight.state / "projects" / "birds"):
        (place / "mine").unlink()
        (place / "others").unlink()
