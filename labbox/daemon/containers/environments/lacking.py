"""What a failed build of a source package lacked: a compiler, a header, a library."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from labbox.model import Value

_HEADER: Final = re.compile(r"fatal error: '?([\w./+-]+\.h(?:pp|xx)?)'?(?::| file)")
_LIBRARY: Final = re.compile(r"cannot find -l([\w.+-]+)")
_PROGRAM: Final = re.compile(
    r"(?:command '|FileNotFoundError: .*')([\w./+-]+)'(?: failed: No such file|:? ?$)"
    r"|(?:^|[\s:/])([\w.+-]+): (?:command )?not found"
    r"|Unknown compiler\(s\): \[\['([\w+-]+)'"
    r"|([\w-]+[-_]config) (?:executable )?not found"
    r"|(?i:can(?:'t|not) find (?:a )?(rust|cargo|cmake|meson|swig) ?(?:compiler|executable)?)"
)
# The finder of libraries itself, as it, distutils, meson and CMake say it; then what it was to find.
_NO_FINDER: Final = re.compile(
    r"(?i:'pkg-?config' not found|pkg-?config: (?:command )?not found|did not find pkg-?config"
    r"|pkg-config for machine \S+(?: machine)? not found|could not? find pkg-?config"
    r"|no such file.*'pkg-config')"
)
_FOUND_BY_IT: Final = re.compile(
    r"Package '?([\w.+-]+?)'? was not found in the pkg-config|Package '([\w.+-]+)', required by .* not found"
    r"|No package '([\w.+-]+)' found|Dependency \"([\w.+-]+)\" (?:not found|found: NO)"
    r"|Command \['pkg-config'.*'([\w.+-]+)(?: [<>=]+ [\w.]+)?'\]"
)
_MODULES: Final = {
    "cairo": "libcairo2-dev",
    "dbus-1": "libdbus-1-dev",
    "freetype2": "libfreetype-dev",
    "glib-2.0": "libglib2.0-dev",
    "gobject-introspection-1.0": "libgirepository1.0-dev",
    "hdf5": "libhdf5-dev",
    "libffi": "libffi-dev",
    "libpng": "libpng-dev",
    "libpq": "libpq-dev",
    "libusb-1.0": "libusb-1.0-0-dev",
    "libxml-2.0": "libxml2-dev",
    "mysqlclient": "default-libmysqlclient-dev",
    "openblas": "libopenblas-dev",
    "openssl": "libssl-dev",
    "pangocairo": "libpango1.0-dev",
    "portaudio-2.0": "portaudio19-dev",
    "py3cairo": "python3-cairo-dev",
    "zlib": "zlib1g-dev",
}
_HEADERS: Final = {
    "Python.h": "python3-dev",
    "ffi.h": "libffi-dev",
    "libpq-fe.h": "libpq-dev",
    "zlib.h": "zlib1g-dev",
    "jpeglib.h": "libjpeg-dev",
    "yaml.h": "libyaml-dev",
    "hdf5.h": "libhdf5-dev",
    "fftw3.h": "libfftw3-dev",
    "portaudio.h": "portaudio19-dev",
    "sndfile.h": "libsndfile1-dev",
    "mpi.h": "libopenmpi-dev",
    "cblas.h": "libopenblas-dev",
    "png.h": "libpng-dev",
}
_FOLDERS: Final = {
    "openssl/": "libssl-dev",
    "libxml/": "libxml2-dev",
    "gsl/": "libgsl-dev",
    "curl/": "libcurl4-openssl-dev",
}
_COMPILERS: Final = frozenset("cc c++ gcc g++ clang gfortran f77 rust rustc".split())
_PROGRAMS: Final = {
    "cc": "gcc",
    "c++": "g++",
    "rust": "cargo",
    "rustc": "rustc",
    "f77": "gfortran",
    "pg_config": "libpq-dev",
    "mysql_config": "libmysqlclient-dev",
    "gdal-config": "libgdal-dev",
    "curl-config": "libcurl4-openssl-dev",
    "xml2-config": "libxml2-dev",
}


class Lack(Value):
    """What is missing, in words, and what to write into apt.txt; "" where that is not known."""

    what: str
    package: str


def lacking(lines: Sequence[str]) -> Lack | None:
    """What the end of a build's output says is missing.

    The first of it; but a header that is missing ends a build, and many go on without a program.
    """
    for line in lines:
        if match := _HEADER.search(line):
            header = match[1]
            folder = next((name for begin, name in _FOLDERS.items() if header.startswith(begin)), "")
            return Lack(what=f"the header {header} is missing", package=_HEADERS.get(header, folder))
    wanted = next((match for line in lines if (match := _FOUND_BY_IT.search(line))), None)
    module = "" if wanted is None else next(found for found in wanted.groups() if found)
    package = _MODULES.get(module, f"{module}-dev" if module.startswith("lib") else "")
    for line in lines:
        if _NO_FINDER.search(line):
            both = " and ".join(filter(None, ("pkg-config", package)))
            return Lack(
                what=f"the program pkg-config is missing{module and f', to find {module}'}", package=both
            )
        if _FOUND_BY_IT.search(line):
            return Lack(what=f"the library {module} is missing", package=package)
        if match := _LIBRARY.search(line):
            return Lack(what=f"the library {match[1]} is missing", package=f"lib{match[1].lower()}-dev")
        if match := _PROGRAM.search(line):
            name = next(found for found in match.groups() if found).rpartition("/")[2]
            plain = re.sub(r"^[a-z0-9_]+-linux-gnu[a-z0-9]*-", "", name.lower())
            kind = "compiler" if plain in _COMPILERS else "program"
            return Lack(what=f"the {kind} {name} is missing", package=_PROGRAMS.get(plain, plain))
    return None
