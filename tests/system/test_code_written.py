"""Code as people have it: it writes beside itself, and that comes back."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

import pytest
from harness import Box
from person import Person

from labbox.daemon.containers import layers

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
    # copied where the state folder cannot have overlays: a folder that was renamed looks new then
    left = LEFT if layers.may_overlay(box.state) else LEFT | {"new.d/f.txt"}
    for _ in range(2):  # the snapshot is as it was: the second run finds it so
        done = ada.run("job", "submit", "writes", "--follow")
        assert done.returncode == 0, done.stdout + done.stderr
        number = ada.json("job", "list")["jobs"][0]["id"]
        folder = _results(box, "ada", number, ada)
        assert _below(folder / "code") == left
        assert (folder / "code/table.csv").read_text() == "old\nmore\n"
        assert (folder / "code/latest.csv").readlink() == Path("result.csv")
        assert _below(folder / "output") == {"out.txt"}
        said = ada.run("job", "log", str(number)).stdout
        assert f"is in code/ of its results: {len(left)} files" in said and "result.csv" in said
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


# What people's own folders do beside their code: (files, what comes back to code/).
HABITS: dict[str, tuple[dict[str, str], set[str]]] = {
    "python": (
        {
            "app.py": "import os, pathlib, lib\n"
            "os.makedirs('results', exist_ok=True)\n"
            "open('results/table.csv', 'w').write('1')\n"
            "open('result.csv', 'w').write('1')\n"
            "pathlib.Path('__pycache__').mkdir(exist_ok=True)\n"
            "pathlib.Path('__pycache__/lib.f-1.py311.nbi').write_text('numba')\n"
            "pathlib.Path('lib.f-1.py311.1.nbc').write_text('numba')\n"
            "pathlib.Path('.cache/matplotlib').mkdir(parents=True)\n"
            "pathlib.Path('.cache/matplotlib/fontlist.json').write_text('{}')\n",
            "lib.py": "x = 1\n",
        },
        {"results/table.csv", "result.csv"},
    ),
    "make": (
        {
            "run.sh": "make -s && make -s && cat out/sum.txt\n",
            "Makefile": "all: out/sum.txt\nout/sum.txt: out/a.txt\n\tcat out/a.txt out/a.txt > out/sum.txt\n"
            "out/a.txt:\n\tmkdir -p out\n\techo a > out/a.txt\n",
        },
        {"out/sum.txt", "out/a.txt"},
    ),
    "R": ({"app.R": 'plot(1:3)\nwrite.csv(data.frame(a = 1), "frame.csv")\n'}, {"Rplots.pdf", "frame.csv"}),
    "octave": ({"app.m": "x = 1:3; save data.txt x; save -binary data.bin x\n"}, {"data.txt", "data.bin"}),
}


@pytest.mark.timeout(420)  # the images of R and Octave are made once for each engine
@pytest.mark.parametrize("habit", HABITS)
def test_code_as_people_have_it_runs_and_its_files_come_back(habit: str, ada: Person, box: Box) -> None:
    files, left = HABITS[habit]
    ada.project(f"habit-{habit}", files)
    done = ada.run("job", "submit", f"habit-{habit}", "--follow", timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    number = ada.json("job", "list")["jobs"][0]["id"]
    folder = _results(box, "ada", number, ada)
    assert _below(folder / "code") == left
    assert all((folder / "code" / one).stat().st_size for one in left)


HOSTILE = """\
rm -rf lib sub; mv run.sh moved.sh          # its own code, while it runs
printf x > "$(printf 'a\\nb')"; printf x > "$(printf 'esc\\033[2J')"; printf x > "$(printf 'bad\\377')"
printf x > ' lead'; printf x > -rf; printf x > "$(printf '%0255d' 0)"
ln -s /etc/passwd out.link; ln -s .. up.link; ln -s /output abs.link; ln -s self self
mkdir trap; ln -s /output/../../.. trap/far
mkfifo pipe; mknod device c 1 3 || true
python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("sock")' || true
printf x > suid; chmod 6755 suid; printf x > shut; chmod 0 shut
mkdir locked; printf x > locked/in; chmod 0 locked
d=deep; for i in $(seq 120); do mkdir "$d" && cd "$d" && d=d; done; printf x > end
"""


def test_what_comes_back_of_hostile_code_is_safe(ada: Person, box: Box) -> None:
    ada.project("hostile", {"run.sh": HOSTILE, "lib/a.py": "1\n", "sub/b.txt": "2\n"})
    done = ada.run("job", "submit", "hostile", "--follow")
    assert done.returncode == 0, done.stdout + done.stderr
    number = ada.json("job", "list")["jobs"][0]["id"]
    code = _results(box, "ada", number, ada) / "code"
    found = {os.fsencode(path.relative_to(code)): path for path in code.rglob("*")}
    assert {b"a\nb", b"esc\x1b[2J", b"bad\xff", b" lead", b"-rf", b"moved.sh", b"suid", b"shut"} <= set(found)
    assert b"locked/in" in found
    assert not {b"lib/a.py", b"sub/b.txt", b"pipe", b"device", b"sock", b"run.sh"} & set(found)
    owner = (code / "suid").stat().st_uid
    for path in found.values():
        seen = path.lstat()
        assert seen.st_uid == owner != 0
        assert stat.S_ISREG(seen.st_mode) or stat.S_ISDIR(seen.st_mode) or stat.S_ISLNK(seen.st_mode)
        assert not seen.st_mode & (stat.S_ISUID | stat.S_ISGID) or stat.S_ISDIR(seen.st_mode)
    assert (code / "out.link").readlink() == Path("/etc/passwd")  # a link, and not what it leads to
    log = ada.run("job", "log", str(number)).stdout
    assert "not all that the run left in /code could be looked at" in log
    assert "\x1b" not in log
    before = {str(one["id"]) for one in ada.json("job", "list")["jobs"]}
    again = ada.run("job", "rerun", str(number), "--follow")  # from the same snapshot, which is whole
    assert again.returncode == 0 and str(number) in before
    _nothing_is_left(box, number)


@pytest.mark.timeout(300)
def test_a_hundred_thousand_small_files_are_looked_through(ada: Person, box: Box) -> None:
    script = "import os\nos.mkdir('many')\nfor n in range(100_000):\n    os.close(os.open(f'many/{n}', 65))\n"
    ada.project("many", {"app.py": script})
    done = ada.run("job", "submit", "many", "--follow", timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    number = ada.json("job", "list")["jobs"][0]["id"]
    assert len(list((_results(box, "ada", number, ada) / "code/many").iterdir())) == 10_000
    assert "10,000 files come back" in done.stderr and "90,000 files in /code" in done.stderr
    _nothing_is_left(box, number)


def test_a_state_folder_without_overlays_copies_the_code() -> None:
    """No overlay can name a folder with a comma; in a box that is itself a container there are none."""
    folder = Path(tempfile.mkdtemp(prefix="labbox,over-", dir="/var/tmp"))
    folder.chmod(0o755)
    try:
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
        shutil.rmtree(folder)


def _nothing_is_left(box: Box, number: int) -> None:
    volumes = subprocess.run(
        ["docker", "volume", "ls", "-q", "--filter", f"label=labbox.job={number}",
         "--filter", f"label=labbox.box={(box.state / 'box.id').read_text().strip()}"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert volumes == ""
    mounted = Path("/proc/self/mountinfo").read_text()
    assert f"{box.state}/spool/{number}-" not in mounted
