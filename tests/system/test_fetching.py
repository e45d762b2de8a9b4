"""Results of a real run, fetched over real ssh: whole, with links that stay inside, and with no others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from harness import Box, ssh_options
from person import Person

import labbox.client
from labbox.errors import LabboxError

pytestmark = [pytest.mark.engine, pytest.mark.root]

LINKS = r"""
cd /output
mkdir -p sub closed
echo 1,2 > sub/table.csv
ln -s sub/table.csv inside
ln -s missing dangling
ln -s /etc/passwd absolute
ln -s ../../../../../../etc/passwd escaping
ln -s ../.. sub/up
ln -s sub/up/.. chain
ln -s circle circle
ln -s sub folder
ln -s / "$(printf 'new\nline \303\251 \\#012')"
mkfifo "$(printf 'pipe\tof \303\251')"
echo 3 > log.index
ln -s /etc closed/out
chmod 755 closed
"""
OUT = ("absolute", "chain", "circle", "closed/out", "escaping", "new\nline é \\#012", "pipe\tof é")


@pytest.fixture
def away(box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The box's address on another machine, where ada's ssh knows her key and asks nothing."""
    wrapper = tmp_path / "bin" / "ssh"
    wrapper.parent.mkdir()
    options = " ".join(f"'{word}'" for word in ssh_options(box.key, box.port))
    wrapper.write_text(f'#!/bin/sh\nexec /usr/bin/ssh {options} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{wrapper.parent}:{os.environ['PATH']}")
    return f"ssh://ada@127.0.0.1:{box.port}"


def ran(person: Person, name: str, script: str) -> int:
    person.project(name, {"run.sh": script})
    done = person.run("job", "submit", name, "--quiet", "--follow")
    assert done.returncode == 0, done.stderr
    return int(person.run("job", "list", "--limit", "1", "--json").stdout.partition('"id":')[2].split(",")[0])


def test_links_come_as_they_are_and_none_that_leads_out(ada: Person, away: str, tmp_path: Path) -> None:
    number = ran(ada, "links", LINKS)
    with labbox.client.connect(away) as client:
        fetched = client.fetch_results(number, tmp_path / "mine")
    output = fetched.folder / "output"
    assert sorted(fetched.left_out) == sorted(f"output/{name}" for name in OUT)
    assert (output / "sub" / "table.csv").read_text() == "1,2\n"
    assert (output / "inside").readlink() == Path("sub/table.csv")
    assert (output / "folder").readlink() == Path("sub")
    assert (output / "dangling").readlink() == Path("missing")
    assert (output / "log.index").read_text() == "3\n"
    assert {path.name for path in fetched.folder.iterdir()} >= {"output", "log.txt", "job.json"}
    assert not {"log.index", ".attempt"} & {path.name for path in fetched.folder.iterdir()}
    for path in fetched.folder.rglob("*"):
        assert path.resolve().is_relative_to(fetched.folder.resolve()), path


def test_a_job_without_results_and_a_file_that_cannot_be_read_are_named(
    ada: Person, away: str, tmp_path: Path
) -> None:
    number = ran(ada, "closed", "echo 1 > /output/mine; chmod 000 /output/mine\n")
    waiting = ada.json("job", "submit", "closed", "--hold")["id"]
    with labbox.client.connect(away) as client:
        with pytest.raises(LabboxError, match="some of them are not there"):
            client.fetch_results(waiting, tmp_path / "none")
        with pytest.raises(LabboxError, match="Permission denied") as caught:
            client.fetch_results(number, tmp_path / "mine")
        assert "accepts none of your keys" not in caught.value.message
        client.cancel_job(waiting)
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]


def test_the_verb_does_the_same(ada: Person, away: str, tmp_path: Path) -> None:
    number = ran(ada, "verb", "ln -s missing /output/dangling; ln -s /etc /output/out\n")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "labbox", "--socket", away,
         "job", "fetch", str(number), tmp_path / "here"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "left out, since it leads out of the results: output/out\n")
    assert (tmp_path / "here" / "output" / "dangling").is_symlink()
