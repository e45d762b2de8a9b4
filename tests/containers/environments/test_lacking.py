"""A failed build says which compiler or header it lacked, and what to write into apt.txt."""

from __future__ import annotations

import pytest

from labbox.daemon.containers.environments.lacking import lacking
from labbox.daemon.containers.environments.sources import _build_error
from labbox.daemon.containers.environments.throwaway import Outcome


@pytest.mark.parametrize(
    ("line", "what", "package"),
    [
        ("src/x.c:1:10: fatal error: Python.h: No such file or directory", "header Python.h", "python3-dev"),
        ("fatal error: openssl/ssl.h: No such file or directory", "header openssl/ssl.h", "libssl-dev"),
        ("x.h:3: fatal error: 'hdf5.h' file not found", "header hdf5.h", "libhdf5-dev"),
        ("fatal error: labthing.h: No such file or directory", "header labthing.h", ""),
        ("error: command 'gcc' failed: No such file or directory", "compiler gcc", "gcc"),
        ("error: command 'x86_64-linux-gnu-gcc' failed: No such file or directory", "gcc", "gcc"),
        ("/bin/sh: 1: gfortran: not found", "compiler gfortran", "gfortran"),
        ("../meson.build:1:0: ERROR: Unknown compiler(s): [['gfortran'], ['flang']]", "gfortran", "gfortran"),
        ("/usr/bin/ld: cannot find -lfftw3: No such file", "library fftw3", "libfftw3-dev"),
        ("Error: pg_config executable not found.", "program pg_config", "libpq-dev"),
        ("error: can't find Rust compiler", "compiler Rust", "cargo"),
        ("bash: line 1: cmake: command not found", "program cmake", "cmake"),
    ],
)
def test_what_a_build_lacked(line: str, what: str, package: str) -> None:
    found = lacking(("building", line, "error: subprocess-exited-with-error"))
    assert found is not None
    assert what in found.what
    assert found.package == package
    error = _build_error(Outcome(code=1, lines=("building", line, "Failed to build labthing")), ("labthing",))
    assert found.what in error.message
    assert "apt.txt" in error.hint
    assert package in error.hint


def test_what_lacks_nothing_known() -> None:
    assert lacking(("building", "ValueError: x", "")) is None
