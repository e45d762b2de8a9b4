"""Why ssh could not reach a box: its own words, as one sentence with what to do next."""

from __future__ import annotations

import re
import threading
from typing import IO, Final

from labbox.errors import LabboxError
from labbox.text import visible_line

_KEPT: Final = 16 * 1024  # bytes of what it said, the last ones
_SETTLE: Final = 2.0  # seconds that the last words may take after the connection has ended
_SHOWN: Final = 200  # characters of words that we know no better ones for


class Words:
    """What an ssh process writes to its standard error, read while it runs so that it never waits for us."""

    def __init__(self, stream: IO[bytes]) -> None:
        """Start to read; the stream is ours from here on."""
        self._stream = stream
        self._said = b""
        self._reader = threading.Thread(target=self._read, name="ssh words", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with self._stream as stream:
            while piece := stream.read1(4096):  # type: ignore[attr-defined]  # a pipe's reader has it
                self._said = (self._said + piece)[-_KEPT:]

    def all(self) -> str:
        """All of it, once ssh has ended or a moment has passed."""
        self._reader.join(_SETTLE)
        return self._said.decode("utf-8", "replace")


def why(said: str, target: str, port: int | None) -> LabboxError | None:
    """The error for what ssh said about `target` ([user@]host); None where it said nothing of use."""
    words = "ssh " + (f"-p {port} " if port else "") + target
    where = f"ssh://{target}" + (f":{port}" if port else "")
    host = target.rpartition("@")[2]
    known = host if port in (None, 22) else f"[{host}]:{port}"
    for pattern, reason, hint in _KNOWN:
        if found := re.search(pattern, said, re.IGNORECASE):
            reason = reason.format(host=host, known=known, what=visible_line(found.group(1)[:_SHOWN]))
            print_of = re.search(r"(SHA256:[A-Za-z0-9+/=]+)", said)
            return LabboxError(
                "unavailable",
                f"cannot reach the box at {where}: {reason}",
                hint.format(
                    words=words,
                    host=host,
                    known=known,
                    copy=words.replace("ssh ", "ssh-copy-id ", 1),
                    print=f" ({print_of.group(1)})" if print_of else "",
                ),
            )
    lines = [line.strip() for line in said.splitlines() if line.strip() and not _NOISE.match(line)]
    if not lines:
        return None
    if lines[-1].startswith("hint: ") and len(lines) > 1:  # the box's own words
        return LabboxError(
            "unavailable",
            f"cannot reach the box at {where}: {visible_line(lines[-2][:_SHOWN])}",
            visible_line(lines[-1].removeprefix("hint: ")[:_SHOWN]),
        )
    return LabboxError(
        "unavailable",
        f"cannot reach the box at {where}: ssh says {visible_line(lines[-1][:_SHOWN])!r}",
        f"`{words}` shows more",
    )


_NOISE: Final = re.compile(r"(Warning: Permanently added|debug\d:|\*\*|Pseudo-terminal)")
# What OpenSSH's client (8 to 10) writes, what it means, and what to do; the first that fits.
_KNOWN: Final = (
    (
        r"(REMOTE HOST IDENTIFICATION HAS CHANGED)",
        "its host key is another than the one that is known",
        "ask its administrator whether the new key{print} is the box's; if so: ssh-keygen -R '{known}'",
    ),
    (
        r"(No \S+ host key is known|Host key verification failed)",
        "nobody has confirmed its host key here",
        "`{words}` shows the fingerprint and asks",
    ),
    (
        r"Could not resolve hostname \S+ ?(.*)",
        "there is no machine of the name {host}",
        "look at the name; an address such as 192.0.2.7 does as well",
    ),
    (
        r"connect to host .*(Connection refused)",
        "nothing listens on that port",
        "look at the port (`labbox status` on the box says it), and whether the box runs",
    ),
    (
        r"connect to (?:host|address) .*?: ((?:Connection|Operation) timed out|No route to host"
        r"|Network is unreachable|Host is down)",
        "that machine does not answer ({what})",
        "look whether it is on, and whether a firewall or VPN stands between",
    ),
    (
        r"(Permission denied|Too many authentication failures)",
        "it accepts none of your keys and no password that was given",
        "`{copy}` deposits your key; `{words}` shows whether you can log in",
    ),
    (
        r"(UNPROTECTED PRIVATE KEY FILE)",
        "your private key can be read by others, so ssh does not use it",
        "chmod 600 the key's file",
    ),
    (
        r"(Bad configuration option|Bad owner or permissions on)",
        "ssh does not accept its own configuration ({what})",
        "`{words}` names the file and the line",
    ),
    (
        r"Unable to negotiate .*?: (no matching .*)",
        "ssh and that machine have no method in common ({what})",
        "is that the box's own SSH port? else renew your OpenSSH",
    ),
    (
        r"(Connection (?:closed|reset) by|kex_exchange_identification|banner exchange)",
        "it closed the connection before the login",
        "is that the box's own SSH port? if so, try again in a minute: too many may be at its door",
    ),
    (
        r"(api: (?:command )?not found|command not found|This service allows sftp)",
        "that is an SSH server, but not a box's",
        "name the box's own SSH port: `labbox status` on the box says it",
    ),
)
