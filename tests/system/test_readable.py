"""Below the state folder nobody reads what is another person's."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest
from harness import Box
from person import Person, wait_for

pytestmark = [pytest.mark.engine, pytest.mark.root]

_SECRET = "s3cret-of-ada"
# What is everybody's: installed software, the doors of the box, and the folder that all share.
_COMMON = ("environments/", "wheels/", "shared/", "hooks/", "programs/", "api.sock", "box.id")
_HERS = ("homes/grace/", "results/grace/", "operations/grace/")


@pytest.mark.attack("S12")
def test_no_file_of_anothers_is_readable_while_jobs_run_and_afterwards(
    box: Box, ada: Person, grace: Person, tried: Callable[..., None]
) -> None:
    for person in (ada, grace):  # what operations leave is there as well
        person.project("summed", {"x": "1\n"})
        assert person.run("file", "sum", "summed").returncode == 0
    odd = box.state / "homes/ada" / "name-\udcff"  # of bytes that are no text
    odd.write_text(_SECRET)
    ada.project("study", {"code/run.sh": "echo up; sleep 600\n", "input/data.csv": _SECRET})
    number = ada.run(
        "job", "submit", "study", "--quiet", "--sweep", f"key={_SECRET}", "--env", f"TOKEN={_SECRET}",
        "--memory", "64M",
    ).stdout.split()[0]  # fmt: skip
    elements = [job["id"] for job in ada.json("job", "list", "--array", number)["jobs"]]
    wait_for(lambda: ada.job(elements[0])["state"] == "running")
    spool = box.state / "spool" / f"{elements[0]}-1"
    assert _SECRET in (spool / "params.json").read_text()
    try:
        for path in ("params.json", "passwd", "group", "stdout", "stderr"):
            tried()
            assert _as_grace(box, "cat", str(spool / path)).returncode != 0, path
        _nothing_of_others(box, tried)
    finally:
        ada.run("job", "kill", number)
        odd.unlink()
    assert ada.run("file", "cp", "study", "study-2").returncode == 0
    _nothing_of_others(box, tried)


def _nothing_of_others(box: Box, tried: Callable[..., None]) -> None:
    """Walked as grace; what she cannot pass through is tried by its known path, as she could guess it."""
    every = subprocess.run(
        ["find", str(box.state), "-xdev", "-type", "f", "-printf", "%P\\0"], capture_output=True, check=True
    ).stdout.decode(errors="surrogateescape").split("\0")  # fmt: skip
    paths = [path for path in every if path and not path.startswith((*_COMMON, *_HERS))]
    tried(len(paths))
    listed = "\0".join(str(box.state / path) for path in paths)
    script = 'while IFS= read -r -d "" path; do [ -r "$path" ] && printf "%s\\n" "$path"; done; true'
    found = _as_grace(box, "bash", "-c", script, stdin=listed)
    assert found.stdout == ""


def _as_grace(box: Box, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    uid = str((box.state / "homes" / "grace").stat().st_uid)
    command = ["setpriv", "--reuid", uid, "--regid", uid, "--clear-groups", *words]
    return subprocess.run(
        command, input=stdin, capture_output=True, text=True, errors="surrogateescape", timeout=60
    )
