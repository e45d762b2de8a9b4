"""What was in each file when it was last handed in, so that an unchanged one need not be read again.

One table per project folder, in a file of its own: stamp (device, inode, size, times) to digest. It is a
cache: a damaged or missing table costs time and nothing else, and a checksum keeps a damaged one from naming
wrong content.
"""

from __future__ import annotations

import os
import secrets
from typing import Final

import msgspec
from blake3 import blake3

_MAGIC: Final = b"labbox known files 1\n"
_DIGEST: Final = 32  # bytes
_decode: Final = msgspec.msgpack.Decoder(dict[bytes, bytes]).decode

Known = dict[bytes, bytes]
"""Stamp to digest."""


def table_name(identity: tuple[int, int]) -> str:
    """The file of the project folder with this device and inode."""
    return f"known-{identity[0]:x}-{identity[1]:x}"


def load(folder: int, name: str) -> Known:
    """The table, empty where there is none or it is damaged."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return {}
    with os.fdopen(descriptor, "rb") as file:
        data = file.read()
    start = len(_MAGIC) + _DIGEST
    body = data[start:]
    if not data.startswith(_MAGIC) or blake3(body).digest() != data[len(_MAGIC) : start]:
        return {}
    return _decode(body)


def save(folder: int, name: str, known: Known) -> None:
    """Replace the table; not flushed to disk, since the checksum tells a torn one."""
    body = msgspec.msgpack.encode(known)
    temporary = f"new-{secrets.token_hex(8)}"
    descriptor = os.open(
        temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder
    )
    with os.fdopen(descriptor, "wb") as file:
        file.write(_MAGIC + blake3(body).digest() + body)
    os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
