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
        ("'pkg-config' not found.", "program pkg-config", "pkg-config"),
        ("/bin/sh: 1: pkg-config: not found", "program pkg-config", "pkg-config"),
        ("Did not find pkg-config by name 'pkg-config'", "program pkg-config", "pkg-config"),
        ("Pkg-config for machine host machine not found. Giving up.", "pkg-config", "pkg-config"),
        ("Package cairo was not found in the pkg-config search path.", "library cairo", "libcairo2-dev"),
        ("Package 'libffi', required by 'virtual:world', not found", "library libffi", "libffi-dev"),
        ("No package 'dbus-1' found", "library dbus-1", "libdbus-1-dev"),
        (
            '../meson.build:9:0: ERROR: Dependency "openblas" not found, tried pkgconfig',
            "openblas",
            "libopenblas-dev",
        ),
        ('meson.build:3:11: ERROR: Dependency "labthing" not found', "library labthing", ""),
        ("Command ['pkg-config', '--exists', 'cairo >= 1.15.10']", "library cairo", "libcairo2-dev"),
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


def test_the_finder_of_libraries_and_what_it_was_to_find_are_named_together() -> None:
    found = lacking(
        (
            "'pkg-config' not found.",
            "Command ['pkg-config', '--print-errors', '--exists', 'cairo >= 1.15.10']",
        )
    )
    assert found is not None
    assert found.what == "the program pkg-config is missing, to find cairo"
    assert found.package == "pkg-config and libcairo2-dev"
    went_on = lacking(("warning: pkg-config: not found", "a.c:1: fatal error: png.h: No such file"))
    assert went_on is not None
    assert went_on.package == "libpng-dev"


def test_what_lacks_nothing_known() -> None:
    assert lacking(("building", "ValueError: x", "")) is None
