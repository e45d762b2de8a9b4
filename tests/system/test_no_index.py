"""A box without network: what must be fetched fails in words, what was made before runs, and others go on."""

from __future__ import annotations

import http.server
import shutil
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from harness import Box
from neighbours import jobs_that_go_on
from person import Person

pytestmark = [pytest.mark.engine, pytest.mark.root]

CUSTOM = """
[jobs]
cpus = 4

[index]
url = "http://127.0.0.1:{port}/simple/"
"""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_words: object) -> None:
        """Say nothing."""


class Index:
    """A package index of one package on loopback; closed, its port refuses connections."""

    def __init__(self, folder: Path) -> None:
        project = folder / "simple" / "lab-greeting"
        project.mkdir(parents=True)
        name = "lab_greeting-1.0-py3-none-any.whl"
        about = "lab_greeting-1.0.dist-info"
        with zipfile.ZipFile(project / name, "w") as wheel:
            wheel.writestr("lab_greeting.py", "WORD = 'from the package'\n")
            wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: lab-greeting\nVersion: 1.0\n")
            wheel.writestr(
                f"{about}/WHEEL",
                "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            )
            wheel.writestr(f"{about}/RECORD", "")
        (project / "index.html").write_text(f'<a href="{name}">{name}</a>\n')
        handler = partial(_Quiet, directory=str(folder))
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    index = Index(tmp_path)
    yield index
    index.close()


@pytest.fixture
def lab(index: Index) -> Iterator[Box]:
    folder = Path(tempfile.mkdtemp(prefix="labbox-system-", dir="/var/tmp"))
    folder.chmod(0o755)
    box = Box(folder, custom=CUSTOM.format(port=index.port))
    yield box
    box.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.timeout(400)
def test_without_network_what_is_there_runs_and_what_is_not_says_so(lab: Box, index: Index) -> None:
    ada = Person(lab, "ada")
    uses = "import lab_greeting\nprint(lab_greeting.WORD)\n"
    ada.project("known", {"app.py": uses, "requirements.txt": "lab-greeting\n"})
    ada.project("unknown", {"app.py": uses, "requirements.txt": "lab-greeting\nlab-farewell\n"})
    first = ada.run("job", "submit", "known", "--follow")
    assert (first.returncode, first.stdout.splitlines()[1:]) == (0, ["from the package"]), first.stderr
    index.close()
    with jobs_that_go_on(Person(lab, "grace")) as others_go_on:
        done = ada.run("job", "submit", "unknown", "--follow", timeout=300)
        assert done.returncode == 125, done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        job = ada.json("job", "list", "--user", "ada")["jobs"][0]
        assert (job["name"], job["state"]) == ("unknown", "failed")
        why = ada.run("job", "why", str(job["id"])).stdout
        assert "cannot reach the package index" in why
        assert "network" in why  # the way out
        assert ada.run("job", "submit", "known", "--follow").stdout.splitlines()[1:] == ["from the package"]
        others_go_on()
    lab.stop()
    lab.start()
    again = ada.run("job", "submit", "known", "--follow")
    assert (again.returncode, again.stdout.splitlines()[1:]) == (0, ["from the package"]), again.stderr
