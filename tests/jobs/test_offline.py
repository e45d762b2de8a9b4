"""A run that failed for want of a network says so, and nothing else does."""

from __future__ import annotations

from pathlib import Path

import pytest

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


LACKS = {
    "run.sh: line 3: samtools: command not found": "write samtools into apt.txt",
    "/code/run.sh: 2: dot: not found": "write graphviz into apt.txt",
    "/usr/bin/env: ‘node’: No such file or directory": "write nodejs into apt.txt",
    "ModuleNotFoundError: No module named 'sklearn.svm'": "write scikit-learn into requirements.txt",
    "ModuleNotFoundError: No module named 'six'": "write six into requirements.txt",
    "ImportError: libGL.so.1: cannot open shared object file: No such file": "write libgl1 into apt.txt",
    "x: libfoo.so.3: cannot open shared object file": "write libfoo3 into apt.txt",
    "Error: there is no package called ‘ggplot2’": "write r-cran-ggplot2 into apt.txt",
    "ERROR: ArgumentError: Package DataFrames not found in current path": "add it to Project.toml",
    "error: the package signal is not installed": "write octave-signal into apt.txt",
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
    "said", ["data.csv: file not found", "python: can't open file 'x.py'", "", "lib" * 40_000]
)
def test_what_tells_of_nothing_lacking_is_left_as_it_is(said: str, tmp_path: Path) -> None:
    (tmp_path / "stderr").write_text(said)
    assert with_lack_named(ended(), tmp_path) == ended()
