"""What a run lacked, told by its last words: a program, a library, a package; and where it is to be written.

Only the end of each stream is looked at, by patterns that take time in proportion to it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

_NAME: Final = rb"[A-Za-z0-9][A-Za-z0-9_.+-]{0,80}"
# Where the Debian package is called otherwise than the program.
_PROGRAMS: Final = {
    "convert": "imagemagick", "dot": "graphviz", "pdflatex": "texlive-latex-base",
    "latex": "texlive-latex-base", "xelatex": "texlive-xetex", "java": "default-jre",
    "javac": "default-jdk", "cc": "gcc", "c++": "g++", "gfortran": "gfortran",
    "nvcc": "nvidia-cuda-toolkit", "node": "nodejs", "Rscript": "r-base", "R": "r-base",
    "ffprobe": "ffmpeg", "gs": "ghostscript", "mpirun": "openmpi-bin", "mpiexec": "openmpi-bin",
    "psql": "postgresql-client", "mysql": "default-mysql-client", "sqlite3": "sqlite3",
    "7z": "p7zip-full", "rg": "ripgrep", "fd": "fd-find", "pip": "python3-pip", "pip3": "python3-pip",
    "xvfb-run": "xvfb", "qmake": "qtbase5-dev-tools", "identify": "imagemagick",
    "mogrify": "imagemagick", "bedtools": "bedtools", "bgzip": "tabix", "protoc": "protobuf-compiler",
    "ssh": "openssh-client", "dig": "dnsutils", "ping": "iputils-ping", "ps": "procps",
}  # fmt: skip
_LIBRARIES: Final = {
    "libGL.so": "libgl1", "libEGL.so": "libegl1", "libgomp.so": "libgomp1",
    "libsndfile.so": "libsndfile1", "libgthread-2.0.so": "libglib2.0-0",
    "libglib-2.0.so": "libglib2.0-0", "libSM.so": "libsm6", "libXext.so": "libxext6",
    "libXrender.so": "libxrender1", "libX11.so": "libx11-6", "libxcb.so": "libxcb1",
    "libgfortran.so": "libgfortran5", "libopenblas.so": "libopenblas0", "libhdf5.so": "libhdf5-dev",
    "libportaudio.so": "libportaudio2", "libusb-1.0.so": "libusb-1.0-0",
    "libfftw3.so": "libfftw3-double3", "libgsl.so": "libgsl27", "libGLU.so": "libglu1-mesa",
    "libxml2.so": "libxml2", "libpq.so": "libpq5", "libcairo.so": "libcairo2",
}  # fmt: skip
_MODULES: Final = {
    "cv2": "opencv-python-headless", "sklearn": "scikit-learn", "skimage": "scikit-image",
    "PIL": "Pillow", "yaml": "PyYAML", "bs4": "beautifulsoup4", "Bio": "biopython",
    "serial": "pyserial", "usb": "pyusb", "dateutil": "python-dateutil", "dotenv": "python-dotenv",
    "nacl": "PyNaCl", "OpenSSL": "pyOpenSSL", "Crypto": "pycryptodome", "fitz": "PyMuPDF",
    "docx": "python-docx", "pptx": "python-pptx", "git": "GitPython", "jwt": "PyJWT",
    "umap": "umap-learn", "mpl_toolkits": "matplotlib", "pkg_resources": "setuptools",
    "win32api": "pywin32", "zmq": "pyzmq", "attr": "attrs", "psycopg2": "psycopg2-binary",
    "MySQLdb": "mysqlclient", "magic": "python-magic", "Levenshtein": "python-Levenshtein",
    "igraph": "igraph", "community": "python-louvain", "faiss": "faiss-cpu", "tables": "tables",
    "nidaqmx": "nidaqmx", "visa": "pyvisa", "pyvisa": "PyVISA", "wx": "wxPython", "gi": "PyGObject",
    "cairo": "pycairo", "osgeo": "GDAL", "sksurv": "scikit-survival", "imblearn": "imbalanced-learn",
    "hydra": "hydra-core", "ruamel": "ruamel.yaml", "google": "protobuf", "absl": "absl-py",
    "pl_bolts": "lightning-bolts", "mne_bids": "mne-bids", "IPython": "ipython",
}  # fmt: skip


def _program(name: str) -> str:
    package = _PROGRAMS.get(name, name.lower())
    return f"the program {name} is not there: write {package} into apt.txt"


def _library(name: str) -> str:
    stem = name[: name.index(".so") + 3]
    package = _LIBRARIES.get(stem)
    if package is None:
        base, version = stem.removesuffix(".so"), name[len(stem) :].lstrip(".").partition(".")[0]
        dash = "-" if base[-1:].isdigit() and version else ""
        package = f"{base}{dash}{version}".lower().replace("_", "-")
    return f"the library {name} is not there: write {package} into apt.txt"


def _module(name: str) -> str:
    top = name.partition(".")[0]
    package = _MODULES.get(top, top.replace("_", "-"))
    return f"the Python module {top} is not there: write {package} into requirements.txt"


def _of_r(name: str) -> str:
    return f"the R package {name} is not there: write r-cran-{name.lower()} into apt.txt"


def _of_julia(name: str) -> str:
    return f"the Julia package {name} is not there: add it to Project.toml"


def _of_octave(name: str) -> str:
    return f"the Octave package {name} is not there: write octave-{name.lower()} into apt.txt"


_SAID: Final[tuple[tuple[re.Pattern[bytes], Callable[[str], str]], ...]] = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (rb"ModuleNotFoundError: No module named '(" + _NAME + rb")'", _module),
        (rb"ImportError: No module named (" + _NAME + rb")", _module),
        (rb"(lib" + _NAME + rb"\.so(?:\.[0-9]{1,6}){0,4}): cannot open shared object file", _library),
        (rb"cannot find -l(" + _NAME + rb")", lambda name: _library(f"lib{name}.so")),
        (rb"there is no package called [^A-Za-z]{1,3}(" + _NAME + rb")", _of_r),
        (rb"ArgumentError: Package (" + _NAME + rb") (?:not found|\[)", _of_julia),
        (rb"the package (" + _NAME + rb") (?:is not installed|could not be found)", _of_octave),
        (rb"package_name_not_found[^\n]{0,80}`(" + _NAME + rb")'", _of_octave),
        (rb"package not found: (" + _NAME + rb")", _of_octave),
        (rb"(?:^|[ :\n])(" + _NAME + rb"): (?:command )?not found", _program),
        (rb"/usr/bin/env: [^A-Za-z]{0,3}(" + _NAME + rb")[^\n]{0,4}: No such file or directory", _program),
        (rb"exec: \"(" + _NAME + rb")\": executable file not found", _program),
    )
)


def lacked(said: bytes) -> str:
    """What was missing, in a sentence with the way out; empty where the last words tell of nothing."""
    found: tuple[int, str] | None = None
    for pattern, words in _SAID:
        for match in pattern.finditer(said):
            name = match[1].decode("ascii").rstrip(".-")
            if found is None or match.start() > found[0]:
                found = match.start(), words(name)
    return "" if found is None else found[1]
