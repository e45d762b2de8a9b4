"""A run that failed for want of a network says so, and nothing else does."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

import pytest

from labbox import existing
from labbox.daemon.jobs import lacking
from labbox.daemon.jobs.offline import with_lack_named, with_network_missed
from labbox.daemon.jobs.outcome import Outcome
from labbox.model import JobState, Reason, ReasonCode


def ended(code: ReasonCode = ReasonCode.EXIT, state: JobState = JobState.FAILED) -> Outcome:
    return Outcome(
        state=state, reason=Reason(code=code, text="the command ended with exit code 1"), exit_code=1
    )


@pytest.mark.parametrize(
    "said",
    [
        "urllib.error.URLError: <urlopen error [Errno -3] Temporary failure in name resolution>",
        "curl: (6) Could not resolve host: example.org",
        "run.sh: connect: Network is unreachable",
        "java.net.UnknownHostException: example.org",
        "dial tcp: lookup example.org on 10.0.0.1:53: no such host",
    ],
)
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_its_last_words_tell(said: str, stream: str, tmp_path: Path) -> None:
    (tmp_path / stream).write_text("x" * 1_000_000 + f"\n{said}\nbye\n")
    found = with_network_missed(ended(), tmp_path)
    assert found.reason == Reason(
        code=ReasonCode.EXIT,
        text="the command ended with exit code 1; it had no network (--network asks for it)",
    )
    assert (found.state, found.exit_code) == (JobState.FAILED, 1)


def test_other_ends_are_left_as_they_are(tmp_path: Path) -> None:
    assert with_network_missed(ended(), tmp_path / "nothing written") == ended()
    (tmp_path / "stderr").write_text("Network is unreachable\n" + "a division by zero\n" * 10_000)
    assert with_network_missed(ended(), tmp_path) == ended()
    (tmp_path / "stderr").write_text("Network is unreachable\n")
    for other in (
        ended(ReasonCode.MEMORY),
        ended(ReasonCode.CANCELLED, JobState.CANCELLED),
        Outcome(state=JobState.SUCCEEDED),
    ):
        assert with_network_missed(other, tmp_path) == other


def test_a_link_in_the_spool_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("Network is unreachable\n")
    (tmp_path / "stderr").symlink_to("elsewhere")
    assert with_network_missed(ended(), tmp_path) == ended()


_OWN = (
    "if it is your own, hand it in beside the script; "
    "else write the package that has it into requirements.txt"
)
_SOME = "write the Debian package that has it into apt.txt, or name an image that has it"
_IMAGE = "name an image that has it (image = … in job.toml)"
_VERSIONLESS = (
    "; mylib is not installed, so nothing tells its version: the folder's own code runs as it stands; "
    "write the version into it where importlib.metadata finds none, or list a package of an index"
)
_CALLED = (
    '  File "/usr/lib/python3.11/subprocess.py", line 1955, in _execute_child\n'
    "    raise child_exception_type(errno_num, err_msg, err_filename)\n"
)
_OUT = "it may write to /output alone, and beside its code: what is written there comes back"
LACKS = {
    "OSError: [Errno 30] Read-only file system: '../a.csv'": _OUT,
    "mkdir: cannot create directory ‘/input/x’: Read-only file system": _OUT,
    "run.sh: line 3: samtools: command not found": "write samtools into apt.txt",
    "/code/run.sh: 2: dot: not found": "write graphviz into apt.txt",
    "/usr/bin/env: ‘node’: No such file or directory": "write nodejs into apt.txt",
    "run.sh: line 3: myprog: command not found": f"the program myprog is not there: {_SOME}",
    "run.sh: line 1: python3.9: command not found": "write python-3.9 into runtime.txt, and call python3",
    "run.sh: line 1: jupyter: command not found": "write jupyter into requirements.txt",
    "run.sh: line 1: module: command not found": "requirements.txt or environment.yml, or name an image",
    "run.sh: line 1: conda: command not found": "and leave out the lines that activate",
    "run.sh: line 1: srun: command not found": "leave out srun, and what stands behind it runs by itself",
    "run.sh: line 1: sbatch: command not found": "“job submit FOLDER” does, and --array repeats it",
    "run.sh: line 1: matlab: command not found": "app.m runs with Octave where no image is named",
    "run.sh: line 1: recon-all: command not found": f"recon-all is in no package: {_IMAGE}",
    "run.sh: line 1: julia: command not found": f"julia is in no package: {_IMAGE}",
    "run.sh: line 1: sudo: command not found": "leave out sudo, and write Debian packages into apt.txt",
    "run.sh: line 1: pip: command not found": "write what pip installs into requirements.txt",
    "cannot run tcsh: there is no such program in the image": "write tcsh into apt.txt",
    _CALLED + "FileNotFoundError: [Errno 2] No such file or directory: 'xvfb-run'": "write xvfb into apt.txt",
    "ModuleNotFoundError: No module named 'sklearn.svm'": "write scikit-learn into requirements.txt",
    "PackageNotFoundError: No package metadata was found for mylib": _VERSIONLESS,
    "importlib_metadata.PackageNotFoundError: mylib": _VERSIONLESS,
    "pkg_resources.DistributionNotFound: The 'mylib>=1' distribution was not found": _VERSIONLESS,
    "ModuleNotFoundError: No module named 'six'": "write six into requirements.txt",
    "ModuleNotFoundError: No module named 'utils'": f"the Python module utils is not there: {_OWN}",
    "ModuleNotFoundError: No module named 'my_lab.io'": f"the Python module my_lab is not there: {_OWN}",
    "ModuleNotFoundError: No module named 'tkinter'": "write python3-tk into apt.txt",
    "ModuleNotFoundError: No module named '_tkinter'": "write python3-tk into apt.txt",
    "ModuleNotFoundError: No module named 'pylab'": "write matplotlib into requirements.txt",
    "ModuleNotFoundError: No module named 'win32com'": 'leave it out where os.name is not "nt"',
    "ModuleNotFoundError: No module named 'win32com.client'": 'leave it out where os.name is not "nt"',
    "ModuleNotFoundError: No module named 'matlab.engine'": "runs with Octave where no image is named",
    "ModuleNotFoundError: No module named 'google.colab'": "leave it out, and read from /input",
    "ModuleNotFoundError: No module named 'google.protobuf'": "write protobuf into requirements.txt",
    "ModuleNotFoundError: No module named 'google'": _OWN,
    "ModuleNotFoundError: No module named 'urllib2'": "2to3 -w FILE changes what it can",
    "ImportError: libGL.so.1: cannot open shared object file: No such file": "write libgl1 into apt.txt",
    "x: libfoo.so.3: cannot open shared object file": f"the library libfoo.so.3 is not there: {_SOME}",
    "Error: there is no package called ‘ggplot2’": "write r-cran-ggplot2 into apt.txt",
    "Error: there is no package called ‘DESeq2’": "write r-bioc-deseq2 into apt.txt",
    "Error: there is no package called ‘mypkg’": f"and Debian has none of it: {_IMAGE}",
    "ERROR: ArgumentError: Package CSV not found in current path": f"CSV is not there: {_IMAGE}",
    "error: the package signal is not installed": "write octave-signal into apt.txt",
    "error: package statistics is not installed": "write octave-statistics into apt.txt",
    "error: package mine is not installed": f"and Debian has none of it: {_IMAGE}",
}  # fmt: skip


@pytest.mark.parametrize("said", LACKS)
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_what_was_lacking_is_named_with_where_to_write_it(said: str, stream: str, tmp_path: Path) -> None:
    (tmp_path / stream).write_text("x" * 1_000_000 + f"\n{said}\nbye\n")
    found = with_lack_named(ended(), tmp_path)
    assert found.reason is not None
    assert found.reason.text.startswith("the command ended with exit code 1; ")
    assert found.reason.text.endswith(LACKS[said])


@pytest.mark.parametrize(
    "said",
    [
        "data.csv: file not found",
        "FileNotFoundError: [Errno 2] No such file or directory: 'tree'",
        "python: can't open file 'x.py'",
        "",
        "lib" * 40_000,
    ],
)
def test_what_tells_of_nothing_lacking_is_left_as_it_is(said: str, tmp_path: Path) -> None:
    (tmp_path / "stderr").write_text(said)
    assert with_lack_named(ended(), tmp_path) == ended()


def _debian_names() -> set[str]:
    """The names of all packages of the Debian that this machine has."""

    def known() -> set[str]:
        done = subprocess.run(["apt-cache", "pkgnames"], capture_output=True, text=True, timeout=60)
        return set(done.stdout.split())

    if len(known()) < 50_000:  # its lists are not here yet
        subprocess.run(["apt-get", "update", "-q"], capture_output=True, check=True, timeout=110)
    return known()


def test_what_is_hinted_is_in_debian() -> None:
    names = _debian_names()
    hinted = {*lacking._PROGRAMS.values(), *lacking._LIBRARIES.values(), *lacking._SAME_NAME}
    hinted |= {f"r-cran-{name}" for name in existing._R_CRAN} | {
        f"r-bioc-{name}" for name in existing._R_BIOC
    }
    hinted |= {f"octave-{name}" for name in existing._OCTAVE}
    missing = hinted - names
    if platform.freedesktop_os_release()["VERSION_CODENAME"] == "bookworm":  # what jobs run in
        assert not missing
    assert len(missing) <= len(hinted) / 20, missing
