"""What a file is, by its first bytes and its name."""

from __future__ import annotations

import re
import struct
from enum import StrEnum
from typing import Final

from labbox.files.viewing.encodings import WIDE, guess
from labbox.locations import archive_ending
from labbox.model import Value


class View(StrEnum):
    """How a file is best looked at."""

    TEXT = "text"
    HEX = "hex"
    LOG = "log"  # a text with carriage returns and colours
    PICTURE = "picture"
    TABLE = "table"
    HDF5 = "hdf5"
    ARRAY = "array"  # .npy
    ARRAYS = "arrays"  # .npz
    MATLAB = "matlab"  # of versions 5 to 7
    MARKDOWN = "markdown"
    NOTEBOOK = "notebook"
    ARCHIVE = "archive"


class Format(Value):
    """How to show a file, and what it is in words."""

    view: View
    words: str


HEAD: Final = 8192  # bytes that are looked at
_PICTURES: Final = {
    b"\x89PNG\r\n\x1a\n": "PNG picture",
    b"\xff\xd8\xff": "JPEG picture",
    b"GIF87a": "GIF picture",
    b"GIF89a": "GIF picture",
    b"II*\0": "TIFF picture",
    b"MM\0*": "TIFF picture",
}
_HDF5: Final = b"\x89HDF\r\n\x1a\n"
# (offset, bytes, what it is); the first that fits counts
_MAGIC: Final[tuple[tuple[int, bytes, str], ...]] = (
    (0, b"%PDF-", "PDF document"),
    (0, b"SQLite format 3\0", "SQLite database"),
    (0, b"MATLAB 5.0 MAT-file", "MATLAB data, version 5 to 7"),
    (0, b"PK\x03\x04", "ZIP archive"),
    (0, b"PK\x05\x06", "empty ZIP archive"),
    (0, b"\x1f\x8b", "gzip-compressed data"),
    (0, b"BZh", "bzip2-compressed data"),
    (0, b"\xfd7zXZ\0", "xz-compressed data"),
    (0, b"\x28\xb5\x2f\xfd", "Zstandard-compressed data"),
    (0, b"7z\xbc\xaf\x27\x1c", "7-Zip archive"),
    (0, b"Rar!\x1a\x07", "RAR archive"),
    (257, b"ustar", "tar archive"),
    (0, b"!<arch>\n", "library or Debian package (ar archive)"),
    (0, b"\xca\xfe\xba\xbe", "Java class or universal Mach-O program"),
    (0, b"\xcf\xfa\xed\xfe", "Mach-O program"),
    (0, b"MZ", "Windows program (PE)"),
    (0, b"\0asm", "WebAssembly module"),
    (0, b"RIFF", "RIFF container"),
    (0, b"OggS", "Ogg audio or video"),
    (0, b"ID3", "MP3 audio"),
    (0, b"fLaC", "FLAC audio"),
    (4, b"ftyp", "MP4 or QuickTime video"),
    (0, b"\x1aE\xdf\xa3", "Matroska or WebM video"),
    (0, b"CDF\x01", "NetCDF classic data"),
    (0, b"CDF\x02", "NetCDF data with 64-bit offsets"),
    (0, b"CDF\x05", "NetCDF data with 64-bit data"),
    (0, b"SIMPLE  =", "FITS data"),
    (0, b"PAR1", "Parquet table"),
    (0, b"ARROW1", "Arrow table"),
    (0, b"RDX", "R data"),
    (0, b"RDA", "R data"),
    (0, b"\x80\x04\x95", "Python pickle (it can run programs when it is loaded)"),
    (0, b"\x80\x05\x95", "Python pickle (it can run programs when it is loaded)"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "Microsoft Office document, before 2007"),
    (0, b"wOFF", "web font"),
    (0, b"wOF2", "web font"),
    (0, b"\0\x01\0\0\0", "TrueType font"),
    (0, b"OTTO", "OpenType font"),
    (128, b"DICM", "DICOM picture or data"),
    (344, b"n+1\0", "NIfTI brain image"),
    (0, b"\x5c\x01\0\0", "NIfTI or Analyze brain image"),
    (0, b"0       ", "BioSemi or EDF recording"),
    (0, b"\xffBIOSEMI", "BioSemi BDF recording"),
    (0, b"LABL", "SPSS or Neuroscan data"),
    (0, b"$FL2", "SPSS data"),
    (0, b"KDMV", "VMware disk"),
    (0, b"QFI\xfb", "QEMU disk"),
)
_MACHINES: Final = {
    3: "x86",
    40: "ARM",
    62: "x86-64",
    183: "ARM 64",
    243: "RISC-V",
    8: "MIPS",
    21: "PowerPC 64",
}
_ELF_KINDS: Final = {1: "object file", 2: "program", 3: "program or shared library", 4: "core dump"}
_CONTROLS: Final = bytes(byte for byte in range(32) if byte not in b"\t\n\v\f\r\x1b\b")
_TABLES: Final = (".csv", ".tsv", ".tab", ".lvm")
_LOGS: Final = (".log", "log.txt", ".out", ".err")
_DRAWN: Final = re.compile(rb"\x1b\[[0-9;:]{0,64}m|\r(?![\r\n]|\Z)|(?m:^labbox:progress)")
_MARKDOWN: Final = (".md", ".markdown", ".mkd")
# Names that do not say what is in a text: none of a kind, or those that output is kept under.
_OPEN_NAMES: Final = re.compile(
    r"\.?[^.]*|.*\.(?:te?xt|log|out|err|stdout|stderr|output|console|ansi|[oe]?[0-9]+)", re.DOTALL
)
_REDRAWN: Final = re.compile(rb"[0-9] ?%|it/s|s/it")  # as bars of progress are


def identify(head: bytes, name: str, size: int) -> Format:
    """What a file is that begins with `head` (up to `HEAD` bytes of it)."""
    low = name.lower()
    if not size:
        return Format(view=View.TEXT, words="empty file")
    for magic, words in _PICTURES.items():
        if head.startswith(magic):
            return Format(view=View.PICTURE, words=words)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return Format(view=View.PICTURE, words="WebP picture")
    if head[:2] == b"BM" and len(head) > 18 and struct.unpack_from("<I", head, 14)[0] in (12, 40, 108, 124):
        return Format(view=View.PICTURE, words="BMP picture")
    if any(head[at : at + 8] == _HDF5 for at in (0, 512, 1024, 2048, 4096)):
        return Format(view=View.HDF5, words=_hdf5_words(head, low))
    if head.startswith(b"\x93NUMPY"):
        return Format(view=View.ARRAY, words="NumPy array")
    if low.endswith(".npz") and head.startswith(b"PK"):
        return Format(view=View.ARRAYS, words="NumPy arrays")
    if head.startswith(b"MATLAB 5.0 MAT-file") and head[126:128] in (b"IM", b"MI"):
        return Format(view=View.MATLAB, words="MATLAB data, version 5 to 7")
    if head.startswith(b"\x7fELF"):
        return Format(view=View.HEX, words=_elf(head))
    found = next((words for at, magic, words in _MAGIC if head[at : at + len(magic)] == magic), None)
    if is_log(head, low):
        return Format(view=View.LOG, words="log")
    if archive_ending(name) and (found or _binary(head)):
        return Format(view=View.ARCHIVE, words=found or "archive")
    if found is not None and (_binary(head) or found.startswith("PDF")):
        return Format(
            view=View.ARCHIVE if found in ("ZIP archive", "tar archive") else View.HEX,
            words=_riff(head, found),
        )
    if _binary(head):
        return Format(view=View.HEX, words="data of a kind that is not known here")
    return _text_format(head, low, size)


def is_log(head: bytes, low: str) -> bool:
    """Whether it is to be drawn as a terminal draws it: output of a program, by its controls and its name."""
    if b"\0" in head or not _DRAWN.search(head):
        return False
    if low.endswith(_LOGS):
        return True
    if _binary(head) or not _OPEN_NAMES.fullmatch(low):
        return False
    return b"\n" in head or b"\x1b" in head or _is_redrawn(head)


def _is_redrawn(head: bytes) -> bool:
    """Whether what its carriage returns part is one line again and again, not the lines of an old Mac."""
    parts = head.split(b"\r")
    return 2 * sum(_REDRAWN.search(part) is not None for part in parts) > len(parts)


def _text_format(head: bytes, low: str, size: int) -> Format:
    encoding = guess(head, size <= len(head)).name
    if low.endswith(_TABLES):
        return Format(view=View.TABLE, words="table")
    if low.endswith(_MARKDOWN):
        return Format(view=View.MARKDOWN, words="Markdown")
    if low.endswith(".ipynb") and head.lstrip()[:1] == b"{":
        return Format(view=View.NOTEBOOK, words="Jupyter notebook")
    if head.startswith(b"#!"):
        program = head[2:80].split(b"\n")[0].decode("latin-1").strip()
        return Format(view=View.TEXT, words=f"script for {program}")
    return Format(view=View.TEXT, words=f"text, {encoding}")


def _binary(head: bytes) -> bool:
    if guess(head) in WIDE:
        return False
    odd = len(head) - len(head.translate(None, _CONTROLS))
    return b"\0" in head or odd * 10 > len(head)


def _hdf5_words(head: bytes, low: str) -> str:
    if head.startswith(b"MATLAB 7.3"):
        return "MATLAB data, version 7.3 (HDF5)"
    return "NetCDF-4 data (HDF5)" if low.endswith((".nc", ".nc4")) else "HDF5 data"


def _elf(head: bytes) -> str:
    if len(head) < 20:
        return "ELF file, cut off"
    order = ">" if head[5] == 2 else "<"
    kind, machine = struct.unpack_from(order + "HH", head, 16)
    bits = {1: "32", 2: "64"}.get(head[4], "?")
    return f"ELF {bits}-bit {_ELF_KINDS.get(kind, 'file')}, {_MACHINES.get(machine, f'machine {machine}')}"


def _riff(head: bytes, found: str) -> str:
    if head[:4] != b"RIFF":
        return found
    return {b"WAVE": "WAV audio", b"AVI ": "AVI video"}.get(head[8:12], found)
