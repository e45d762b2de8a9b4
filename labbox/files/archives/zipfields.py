"""Single fields of a zip's list: names, owners and times, as the programs that wrote them mean them."""

from __future__ import annotations

import calendar
import struct
import zlib
from collections.abc import Callable
from typing import Final

from labbox.files.archives.names import decoded

_FILETIME_EPOCH: Final = 116_444_736_000_000_000  # 1970 in steps of 100 ns since 1601
UNIX: Final = (3, 19)  # who made it: Unix, macOS


def extras(data: bytes) -> dict[int, bytes]:
    """Extra fields by number, the first of each."""
    found: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(data):
        number, length = struct.unpack_from("<2H", data, at)
        found.setdefault(number, data[at + 4 : at + 4 + length])
        at += 4 + length
    return found


def name_of(raw: bytes, flags: int, system: int, extra: dict[int, bytes], codec: Callable[[], str]) -> str:
    """With ``/`` between its parts; `codec` tells how names are written that do not say it."""
    wide = _wide(raw, extra)
    if wide is not None:
        return decoded(wide)
    if says_nothing(raw, flags, system, extra):
        try:
            name = raw.decode(codec())
        except UnicodeDecodeError:
            name = raw.decode("cp437")
    else:
        name = decoded(raw)
    if system not in UNIX and "/" not in name:
        name = name.replace("\\", "/")  # some programs of Windows write what they should not
    return name


def says_nothing(raw: bytes, flags: int, system: int, extra: dict[int, bytes]) -> bool:
    """Whether nothing tells how the name is written."""
    return not (raw.isascii() or flags & 0x800 or system in UNIX or _wide(raw, extra) is not None)


def _wide(raw: bytes, extra: dict[int, bytes]) -> bytes | None:
    """Info-ZIP: the name in UTF-8, with the checksum of the one that it stands for."""
    wide = extra.get(0x7075, b"")
    return wide[5:] if len(wide) > 5 and struct.unpack_from("<L", wide, 1)[0] == zlib.crc32(raw) else None


def owner_of(field: bytes) -> tuple[int | None, int | None]:
    """Info-ZIP's third Unix field: version, then lengths and numbers."""
    if len(field) < 3 or field[0] != 1:
        return None, None
    length = field[1]
    rest = field[2 + length :]
    if not rest or len(rest) < 1 + rest[0]:
        return None, None
    return int.from_bytes(field[2 : 2 + length], "little"), int.from_bytes(rest[1 : 1 + rest[0]], "little")


def time_of(clock: int, date: int, extra: dict[int, bytes]) -> int:
    """Nanoseconds of the epoch; the time of MS-DOS knows no zone and is taken for UTC."""
    unix = extra.get(0x5455, b"")
    if len(unix) >= 5 and unix[0] & 1:
        return int(struct.unpack_from("<l", unix, 1)[0]) * 1_000_000_000
    windows = extra.get(0x000A, b"")
    if len(windows) >= 16 and windows[4:8] == b"\1\0\x18\0":
        return (int.from_bytes(windows[8:16], "little") - _FILETIME_EPOCH) * 100
    year, month, day = (date >> 9) + 1980, date >> 5 & 15, date & 31
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return 0
    hour, minute, second = clock >> 11, clock >> 5 & 63, (clock & 31) * 2
    return calendar.timegm((year, month, day, hour, minute, second)) * 1_000_000_000
