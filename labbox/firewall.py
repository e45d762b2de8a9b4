"""The wall around the network of jobs and builds: they reach outside, not the box's own ports nor each other.

The bridge keeps containers apart by itself (`enable_icc`), as long as packets between its ports pass the
packet filter. What it does not keep from them is the box: every port that listens on any of its addresses,
the gate's too. So what comes in from the bridge and is for the box itself is refused, but for answers and for
name lookups (the engine asks for a container where the box's resolver is on the box). The same again between
the bridge and itself, for engines that were told to leave the packet filter alone; and between the bridge and
the addresses of a link, at which a rented machine is told its keys.

The rules stand in a chain of their own, that is filled anew at each start: an upgrade leaves no old ones.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

CHAIN: Final = "LABBOX-JOBS"
_SECONDS: Final = 20.0  # for one command; another may hold the lock
_IPV6: Final = Path("/proc/net/if_inet6")  # there is none where the kernel has IPv6 switched off
_PATH: Final = "/usr/sbin:/usr/bin:/sbin:/bin"


_LINK: Final = {"iptables": "169.254.0.0/16", "ip6tables": "fe80::/10"}


def rules(program: str, bridge: str) -> list[list[str]]:
    """The words for a program that make the chain and lead to it; `-N` and `-D` may fail."""
    return [
        ["-N", CHAIN],  # fails where it is there
        ["-F", CHAIN],
        ["-A", CHAIN, "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "RETURN"],
        ["-A", CHAIN, "-p", "udp", "--dport", "53", "-j", "RETURN"],
        ["-A", CHAIN, "-p", "tcp", "--dport", "53", "-j", "RETURN"],
        ["-A", CHAIN, "-p", "tcp", "-j", "REJECT", "--reject-with", "tcp-reset"],
        ["-A", CHAIN, "-j", "REJECT"],
        *_lead("INPUT", ["-i", bridge]),
        *_lead("FORWARD", ["-i", bridge, "-o", bridge]),
        *_lead("FORWARD", ["-i", bridge, "-d", _LINK[program]]),
    ]


def _lead(start: str, match: list[str]) -> list[list[str]]:
    return [["-D", start, *match, "-j", CHAIN], ["-I", start, "1", *match, "-j", CHAIN]]


def raise_wall(bridge: str) -> str:
    """Make the rules for a bridge; a sentence where that cannot be done, else nothing.

    Without them the gate still refuses the addresses of jobs.
    """
    programs = [one for one in _LINK if one == "iptables" or _IPV6.exists()]
    if not all(shutil.which(program, path=_PATH) for program in programs):
        return "jobs with a network may reach the box's ports: there is no iptables; apt-get install iptables"
    for program in programs:
        for words in rules(program, bridge):
            done = _run(program, words)
            if done and words[0] not in ("-N", "-D"):
                return f"jobs with a network may reach the box's own ports: {program}: {done}"
    return ""


def _run(program: str, words: list[str]) -> str:
    """What is wrong, in a line; nothing where it was done."""
    try:
        done = subprocess.run(  # noqa: S603 - our own words, and a device as the engine names it
            [program, "-w", "10", *words],
            env={"PATH": _PATH}, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
            timeout=_SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    lines = done.stderr.strip().splitlines()
    return "" if done.returncode == 0 else (lines[0] if lines else f"exit code {done.returncode}")
