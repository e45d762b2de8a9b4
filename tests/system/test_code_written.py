"""Code as people have it: it writes beside itself, and that comes back."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from harness import Box
from person import Person

pytestmark = [pytest.mark.engine, pytest.mark.root]

SCRIPT = """\
set -e
echo 1,2 > result.csv                  # beside the code
mkdir results && echo a > results/a.csv
mkdir -p results/deep/er && echo b > results/deep/er/b.csv
echo more >> table.csv                 # an input that the code keeps beside itself
echo made > sub/new.txt
chmod 700 run.sh; touch lib.py         # no change of what they hold
mv old.d new.d                         # a folder of the code
rm gone.txt
cp /input/data.csv copy.csv && echo 3 >> copy.csv
mkdir __pycache__ && echo cache > __pycache__/lib.cpython-311.pyc
mkdir -p .snakemake/log && echo log > .snakemake/log/1
ln -s result.csv latest.csv
mkfifo pipe
mkdir shut && echo s > shut/s.txt && chmod 555 shut
echo out > /output/out.txt
"""
FILES = {
    "code/run.sh": SCRIPT,
    "code/lib.py": "x = 1\n",
    "code/table.csv": "old\n",
    "code/gone.txt": "g\n",
    "code/sub/old.txt": "o\n",
    "code/old.d/f.txt": "f\n",
    "input/data.csv": "1\n",
}
LEFT = {
    "result.csv", "results/a.csv", "results/deep/er/b.csv", "table.csv", "sub/new.txt", "copy.csv",
    "latest.csv", "shut/s.txt",
}  # fmt: skip


def _below(folder: Path) -> set[str]:
    return {str(one.relative_to(folder)) for one in folder.rglob("*") if not one.is_dir()}


def _results(box: Box, person: str, number: int, ada: Person) -> Path:
    return box.state / "results" / person / str(ada.job(number)["results"]).removeprefix("jobs/")


def test_what_a_run_leaves_in_its_code_comes_back(ada: Person, box: Box) -> None:
    ada.project("writes", FILES)
    for _ in range(2):  # the snapshot is as it was: the second run finds it so
        done = ada.run("job", "submit", "writes", "--follow")
        assert done.returncode == 0, done.stdout + done.stderr
        number = ada.json("job", "list")["jobs"][0]["id"]
        folder = _results(box, "ada", number, ada)
        assert _below(folder / "code") == LEFT
        assert (folder / "code/table.csv").read_text() == "old\nmore\n"
        assert (folder / "code/latest.csv").readlink() == Path("result.csv")
        assert _below(folder / "output") == {"out.txt"}
        said = ada.run("job", "log", str(number)).stdout
        assert "is in code/ of its results: 8 files" in said and "result.csv" in said
        owner = (folder / "code/result.csv").stat()
        assert owner.st_uid == (folder / "output").stat().st_uid != 0
        assert folder.stat().st_uid == 0
    _nothing_is_left(box, number)


def test_a_run_that_leaves_nothing_says_nothing(ada: Person, box: Box) -> None:
    ada.project("tidy", {"code/run.sh": "echo hello; touch run.sh; mkdir __pycache__; mkdir empty\n"})
    assert ada.run("job", "submit", "tidy", "--follow").stdout.splitlines()[-1] == "hello"
    number = ada.json("job", "list")["jobs"][0]["id"]
    assert not (_results(box, "ada", number, ada) / "code").exists()


def test_what_is_too_much_is_left_out_and_named(ada: Person, box: Box) -> None:
    script = "head -c 90M /dev/zero > big.bin; head -c 30M /dev/zero > mid.bin; echo 1 > small.csv\n"
    ada.project("much", {"run.sh": script})
    said = ada.run("job", "submit", "much", "--follow").stderr
    number = ada.json("job", "list")["jobs"][0]["id"]
    assert _below(_results(box, "ada", number, ada) / "code") == {"mid.bin", "small.csv"}
    assert "left out of the results: 1 file in /code, 90.0 MiB (big.bin)" in said
    assert "/output" in said


def test_what_is_written_to_the_code_counts_against_the_disk_limit(ada: Person) -> None:
    ada.project("fills", {"run.sh": "for i in 1 2 3 4 5; do head -c 50M /dev/zero > f$i; done; sleep 60\n"})
    done = ada.run("job", "submit", "fills", "--follow", "--time", "50s")
    assert done.returncode == 125 or "limit of 200.0 MiB" in done.stdout + done.stderr, done.stdout
    number = ada.json("job", "list")["jobs"][0]["id"]
    assert ada.job(number)["reason"]["code"] == "disk_limit"


def test_a_state_folder_without_overlays_copies_the_code(tmp_path: Path) -> None:
    """The upper side of an overlay may not be an overlay itself, as in a box that is a container."""
    top = Path("/var/tmp") / f"labbox-over-{tmp_path.name}"
    for name in ("lower", "upper", "work", "merged"):
        (top / name).mkdir(parents=True)
    top.chmod(0o755)
    mount = f"lowerdir={top}/lower,upperdir={top}/upper,workdir={top}/work"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", mount, f"{top}/merged"], check=True)
    try:
        folder = top / "merged" / "box"
        folder.mkdir(mode=0o755)
        running = Box(folder, ("ada",), '[jobs]\ngrace = "2s"\n')
        try:
            ada = Person(running, "ada")
            ada.project("writes", FILES)
            done = ada.run("job", "submit", "writes", "--follow")
            assert done.returncode == 0, done.stdout + done.stderr
            number = ada.json("job", "list")["jobs"][0]["id"]
            assert _below(_results(running, "ada", number, ada) / "code") == LEFT | {"new.d/f.txt"}
        finally:
            running.stop()
    finally:
        subprocess.run(["umount", f"{top}/merged"], check=True)
        shutil.rmtree(top)


def _nothing_is_left(box: Box, number: int) -> None:
    volumes = subprocess.run(
        ["docker", "volume", "ls", "-q", "--filter", f"label=labbox.job={number}",
         "--filter", f"label=labbox.box={(box.state / 'box.id').read_text().strip()}"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert volumes == ""
    mounted = Path("/proc/self/mountinfo").read_text()
    assert f"{box.state}/spool/{number}-" not in mounted
