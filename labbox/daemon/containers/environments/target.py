"""The Python that a run will have: the one of its image, asked once for each image."""

from __future__ import annotations

import platform
import sys
from importlib.util import MAGIC_NUMBER
from typing import Annotated, Final

import msgspec

from labbox.model import Value

PROBE: Final = """
import glob, importlib.util, json, os, platform, sys
libc, version = platform.libc_ver()
if glob.glob("/lib/ld-musl-*"):
    libc, version = "musl", ""
print(json.dumps({
    "version": platform.python_version(), "executable": os.path.realpath(sys.executable),
    "machine": platform.machine(), "libc": libc, "libc_version": version,
    "magic": importlib.util.MAGIC_NUMBER.hex(),
}))
"""
# The glibc versions that uv knows as platforms (`uv pip compile --help`), the smallest first.
_MANYLINUX: Final = (17, 28, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40)


class PythonTarget(Value):
    """A Python in an image: what wheels fit it and what bytecode it reads.

    An image says this of itself, and an image may be anybody's: the forms are checked when it is decoded, and
    what is shared with others never rests on the rest being true (`reads_our_bytecode`, `Pythons.make`).
    """

    version: Annotated[
        str, msgspec.Meta(pattern=r"^\d{1,2}\.\d{1,3}(\.\d{1,3})?([a-z]+\d{1,3})?\+?\Z")
    ]  # "3.11.2"
    executable: Annotated[str, msgspec.Meta(pattern=r"^/[A-Za-z0-9._+/-]{1,200}\Z")]  # in the image
    machine: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_]{1,20}\Z")]
    libc: Annotated[str, msgspec.Meta(pattern=r"^[a-z]{0,10}\Z")]
    libc_version: Annotated[str, msgspec.Meta(pattern=r"^(\d{1,3}(\.\d{1,4}){0,3})?\Z")]
    magic: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{8}\Z")]

    @property
    def series(self) -> str:
        """The version that names folders: "3.11"."""
        return ".".join(self.version.split(".")[:2])

    @property
    def full_version(self) -> str:
        """The version in digits: "3.14.0" for "3.14.0rc1"."""
        numbers = [*self.version.split("."), "0", "0"][:3]
        return ".".join(
            "".join(c for c in number.split("rc")[0].split("+")[0] if c.isdigit()) for number in numbers
        )

    @property
    def platform(self) -> str | None:
        """The platform in uv's words; None where uv shall take this machine's."""
        if self.machine not in ("x86_64", "aarch64"):
            return None
        if self.libc == "musl":
            return f"{self.machine}-unknown-linux-musl"
        minor = int(self.libc_version.split(".")[1]) if self.libc_version.startswith("2.") else 17
        fits = [known for known in _MANYLINUX if known <= minor]
        return f"{self.machine}-manylinux_2_{fits[-1] if fits else 17}"

    @property
    def tag(self) -> str:
        """What decides which wheels fit and which bytecode: part of names."""
        return f"{self.series}-{self.magic}-{self.platform or self.machine}"

    @property
    def reads_our_bytecode(self) -> bool:
        """Whether the daemon's own Python can compile for it."""
        return self.magic == MAGIC_NUMBER.hex() and sys.implementation.name == "cpython"


decode_target = msgspec.json.Decoder(PythonTarget).decode
OUR_SERIES: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
FALLBACK: Final = PythonTarget(
    version=".".join(map(str, sys.version_info[:3])),
    executable="/usr/bin/python3",
    machine=platform.machine(),
    libc="glibc",
    libc_version=platform.libc_ver()[1] or "2.17",
    magic="none",
)
"""For images without a Python, which conda may bring one to: this machine's system."""
