"""The terminal of a login: its pty, its size and modes, and what its programs are told about it."""

from __future__ import annotations

import os
import pty
import re
import struct
import termios
import tty
from collections.abc import Mapping
from fcntl import ioctl
from typing import Final

from asyncssh.misc import TermModes, TermSize

_TERM: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]{0,63}", re.ASCII)
_EDITOR: Final = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./ +-]{0,99}", re.ASCII)
_LANG: Final = re.compile(r"[A-Za-z]{1,8}(_[A-Za-z]{2,4})?\.(UTF-8|utf8|utf-8)(@[a-z]{1,16})?", re.ASCII)
_TRUE_COLOUR_TERMS: Final = re.compile(
    r"-direct|truecolor|kitty|alacritty|ghostty|wezterm|foot|contour|iterm"
)
_TRUE_COLOUR_PROGRAMS: Final = frozenset({"iTerm2", "WezTerm", "ghostty", "kitty", "vscode"})
_LARGEST: Final = 1000  # rows and columns; a larger screen would only cost memory

# xterm's control sequences. ST ends what a sequence that was cut off would swallow; then off: synchronised
# output, the mouse's modes, focus reports, bracketed paste, reports of the size, kitty's keyboard protocol.
_RESTORED: Final = (
    b"\x1b\\"
    + b"".join(
        b"\x1b[?%dl" % mode for mode in (2026, 1000, 1002, 1003, 1005, 1006, 1015, 1016, 1004, 2004, 2048, 1)
    )
    + b"\x1b[<u\x1b>"
)

# Opcodes of RFC 4254, section 8, that a client sends for its terminal.
_CHARACTERS: Final = {
    1: termios.VINTR, 2: termios.VQUIT, 3: termios.VERASE, 4: termios.VKILL, 5: termios.VEOF, 6: termios.VEOL,
    7: termios.VEOL2, 8: termios.VSTART, 9: termios.VSTOP, 10: termios.VSUSP, 12: termios.VREPRINT,
    13: termios.VWERASE, 14: termios.VLNEXT, 18: termios.VDISCARD,
}  # fmt: skip
_FLAGS: Final = {  # opcode: (index in the list of termios, flag)
    30: (0, termios.IGNPAR), 31: (0, termios.PARMRK), 32: (0, termios.INPCK), 33: (0, termios.ISTRIP),
    34: (0, termios.INLCR), 35: (0, termios.IGNCR), 36: (0, termios.ICRNL), 38: (0, termios.IXON),
    39: (0, termios.IXANY), 40: (0, termios.IXOFF), 41: (0, termios.IMAXBEL),
    50: (3, termios.ISIG), 51: (3, termios.ICANON), 53: (3, termios.ECHO), 54: (3, termios.ECHOE),
    55: (3, termios.ECHOK), 56: (3, termios.ECHONL), 57: (3, termios.NOFLSH), 58: (3, termios.TOSTOP),
    59: (3, termios.IEXTEN), 60: (3, termios.ECHOCTL), 61: (3, termios.ECHOKE),
    70: (1, termios.OPOST), 72: (1, termios.ONLCR), 73: (1, termios.OCRNL), 74: (1, termios.ONOCR),
    75: (1, termios.ONLRET),
}  # fmt: skip
_IUTF8_OPCODE, _IUTF8 = 42, 0o40000
_NO_CHARACTER: Final = 255  # what a client sends for a character that is switched off


def open_pty(size: TermSize, modes: TermModes, uid: int, gid: int) -> tuple[int, int]:
    """A pty for a user: (master, slave); the master does not block. OSError where there is none left."""
    master, slave = pty.openpty()
    try:
        os.set_blocking(master, False)
        if os.geteuid() == 0:
            os.fchown(slave, uid, gid)
            os.fchmod(slave, 0o620)
        resize(master, size)
        _set_modes(slave, modes)
    except OSError:
        os.close(master)
        os.close(slave)
        raise
    return master, slave


def resize(master: int, size: TermSize) -> None:
    """Set the window size; the kernel tells the programs."""
    columns, rows, width, height = (min(max(value, 0), 0xFFFF) for value in size)
    cells = (min(rows or 24, _LARGEST), min(columns or 80, _LARGEST))
    ioctl(master, termios.TIOCSWINSZ, struct.pack("4H", *cells, width, height))


def restored(*, screens: bool) -> bytes:
    """What brings a client's terminal back to how a shell wants it, whatever was being drawn.

    `screens`: it shows the alternate screen for certain; else that is left without moving the cursor.
    """
    return _RESTORED + (b"\x1b[?1049l" if screens else b"\x1b[?47l") + b"\x1b[?25h\x1b[?7h\x1b[0m\x1b(B\r"


def _set_modes(slave: int, modes: TermModes) -> None:
    settings = termios.tcgetattr(slave)
    for opcode, value in modes.items():
        if opcode in _CHARACTERS:
            character = 0 if value == _NO_CHARACTER else value & 0xFF
            settings[tty.CC][_CHARACTERS[opcode]] = bytes([character])
        elif opcode in _FLAGS or opcode == _IUTF8_OPCODE:
            index, flag = _FLAGS.get(opcode, (0, _IUTF8))
            settings[index] = settings[index] | flag if value else settings[index] & ~flag
    termios.tcsetattr(slave, termios.TCSANOW, settings)


def terminal_type(name: str) -> str:
    """The client's TERM if it looks like one, else the plainest."""
    return name if _TERM.fullmatch(name) else "dumb"


def variables(term: str | None, sent: Mapping[str, str]) -> dict[str, str]:
    """What the programs of a login learn of its terminal; of what the client sent, only what is understood.

    ssh carries no COLORTERM by itself, so true colour is also told from the kind of terminal and from what
    some terminals put into LC_ variables, which stock configurations do send.
    """
    found = {
        "LANG": next((sent[key] for key in ("LC_ALL", "LC_CTYPE", "LANG") if _is_utf8(sent, key)), "C.UTF-8")
    }
    if term is None:
        return found
    found["TERM"] = terminal_type(term)
    found["TEXTUAL_SMOOTH_SCROLL"] = "0"  # else the mouse reports pixels
    said = {sent.get("COLORTERM", ""), sent.get("LC_COLORTERM", "")}
    if (
        said & {"truecolor", "24bit"}
        or _TRUE_COLOUR_TERMS.search(term)
        or sent.get("LC_TERMINAL") in _TRUE_COLOUR_PROGRAMS
        or sent.get("TERM_PROGRAM") in _TRUE_COLOUR_PROGRAMS
    ):
        found["COLORTERM"] = "truecolor"
    if sent.get("NO_COLOR"):
        found["NO_COLOR"] = "1"
    found.update({key: sent[key] for key in ("EDITOR", "VISUAL") if _EDITOR.fullmatch(sent.get(key, ""))})
    return found


def _is_utf8(sent: Mapping[str, str], key: str) -> bool:
    return bool(_LANG.fullmatch(sent.get(key, "")))
