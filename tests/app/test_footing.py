"""A box whose users cannot read its Python, or whose machine lacks a program, says so."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import labbox
from labbox.daemon import footing
from labbox.daemon.containers.environments.programs import Programs
from labbox.errors import LabboxError

pytestmark = pytest.mark.root


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A folder that everybody can enter, all the way."""
    with tempfile.TemporaryDirectory(prefix="labbox-footing-", dir="/var/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def closed(open_path: Path) -> Path:
    """A folder as /root is."""
    folder = open_path / "root"
    folder.mkdir(0o700)
    return folder


def up(python: str | Path, state: Path, **env: str) -> subprocess.CompletedProcess[str]:
    words = [str(python), "-P", "-m", "labbox", "up", "--state", str(state), "--ssh", "127.0.0.1:0"]
    return subprocess.run(
        words, capture_output=True, text=True, timeout=60, env={**os.environ, **env}, check=False, cwd="/"
    )


def refused(done: subprocess.CompletedProcess[str], folder: Path) -> None:
    assert (done.returncode, done.stdout) == (1, ""), done
    assert "cannot start: users cannot read" in done.stderr
    assert f"{folder} lets only its owner in" in done.stderr
    assert "hint: " in done.stderr
    assert "Traceback" not in done.stderr


def test_an_installation_that_users_cannot_enter(closed: Path, state: Path) -> None:
    shutil.copytree(Path(labbox.__file__).parent, closed / "labbox")
    refused(up(sys.executable, state, PYTHONPATH=str(closed)), closed)
    assert not any(state.iterdir())


def test_a_folder_of_pythonpath_that_users_cannot_enter(closed: Path, state: Path) -> None:
    (closed / "more").mkdir()
    refused(up(sys.executable, state, PYTHONPATH=str(closed / "more")), closed)


def test_an_interpreter_that_a_link_leads_to(closed: Path, state: Path, open_path: Path) -> None:
    base = os.path.realpath(sys.executable)
    shutil.copy2(base, closed / "python3")
    venv = open_path / "venv" / "bin"
    venv.mkdir(parents=True)
    (venv / "python").symlink_to(closed / "python3")
    (open_path / "venv" / "pyvenv.cfg").write_text(f"home = {Path(base).parent}\n")
    site = ":".join(path for path in sys.path if path.startswith("/") and "site-packages" in path)
    source = str(Path(labbox.__file__).parent.parent)
    refused(up(venv / "python", state, PYTHONPATH=f"{source}:{site}"), closed)


def test_a_single_module_that_users_cannot_read(state: Path, open_path: Path) -> None:
    copy = open_path / "copy"
    shutil.copytree(Path(labbox.__file__).parent, copy / "labbox")
    (copy / "labbox/files/worker.py").chmod(0o600)
    done = up(sys.executable, state, PYTHONPATH=str(copy))
    assert done.returncode == 1, done
    assert f"chmod o+r {copy}/labbox/files/worker.py" in done.stderr


@pytest.mark.parametrize("name", ["git", "rsync", "scp"])
def test_a_program_that_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    for other in {"git", "rsync", "scp"} - {name}:
        (tmp_path / other).symlink_to(Path(shutil.which(other) or "/bin/true"))
    monkeypatch.setattr(footing, "PATH", str(tmp_path))
    told = [one for one in footing.problems() if f"there is no {name}" in one]
    assert len(told) == 1
    assert "apt-get install" in told[0]


def test_an_sftp_server_that_is_missing_or_closed(monkeypatch: pytest.MonkeyPatch, closed: Path) -> None:
    monkeypatch.setattr(footing, "SFTP_SERVERS", (str(closed / "sftp-server"),))
    assert any("apt-get install openssh-sftp-server" in one for one in footing.problems())
    (closed / "sftp-server").touch(0o700)
    assert any("users may not run" in one for one in footing.problems())


def test_a_busybox_that_is_missing_or_closed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert footing.no_jobs() == ""
    monkeypatch.setattr(footing, "BUSYBOX", tmp_path / "busybox")
    assert "apt-get install busybox-static" in footing.no_jobs()
    (tmp_path / "busybox").touch(0o700)
    assert "chmod 755" in footing.no_jobs()


def test_a_uv_that_is_missing_or_closed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def nowhere() -> str:
        raise FileNotFoundError("no uv")

    monkeypatch.setattr("uv.find_uv_bin", nowhere)
    told = [one for one in footing.problems() if "there is no uv" in one]
    assert len(told) == 1
    assert "./autoboot.sh install" in told[0]
    programs = Programs.__new__(Programs)
    with pytest.raises(LabboxError, match="the box has no uv"):
        programs.uv_binary()
    (tmp_path / "uv").touch(0o600)
    monkeypatch.setattr("uv.find_uv_bin", lambda: str(tmp_path / "uv"))
    assert any(f"chmod 755 {tmp_path}/uv" in one for one in footing.problems())


def test_an_engine_without_its_init(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(footing, "_ENGINES_PATH", str(tmp_path))
    told = footing.no_jobs("docker-init")
    assert "the container engine has no docker-init" in told
    assert "apt-get install tini" in told
    assert footing.no_jobs(None) == ""  # the engine has it where we do not look
    (tmp_path / "docker-init").touch(0o755)
    assert footing.no_jobs("docker-init") == ""  # it was installed meanwhile


def test_where_all_can_be_read_nothing_is_said() -> None:
    """In a process of its own, as a box is: what tests import beside it may be closed to users."""
    words = "from labbox.daemon import footing; footing.check(); print(footing.problems())"
    done = subprocess.run(
        [sys.executable, "-P", "-c", words], cwd="/", capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")
