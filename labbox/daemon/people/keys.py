"""Public keys as people paste them."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from labbox.errors import LabboxError
from labbox.model import Value
from labbox.text import visible_line

MAX_LINE: Final = 16 * 1024  # characters; an RSA key of 16384 bits has 2.8 KiB
_MIN_RSA: Final = 2048
_MAX_RSA: Final = 16384
_MAX_COMMENT: Final = 200
_KINDS: Final = frozenset(
    {
        "ssh-ed25519",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "ssh-rsa",
        "sk-ssh-ed25519@openssh.com",
        "sk-ecdsa-sha2-nistp256@openssh.com",
    }
)
_HOW: Final = "paste the one line of the file that ends in .pub; make a key with: ssh-keygen -t ed25519"


class PublicKey(Value):
    """A key that was checked; `line` is its kind and base64, the form in which keys are compared."""

    line: str
    kind: str
    comment: str
    fingerprint: str


def parse_key(text: str) -> PublicKey:
    """A line in OpenSSH's format; LabboxError "invalid" says in words what is wrong with any other."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    if len(text) > MAX_LINE or not lines:
        raise _refused("it is empty" if not lines else "it is too long")
    if "PRIVATE KEY" in lines[0] or lines[0].startswith("PuTTY-User-Key-File"):
        raise _refused("it is a private key, which should never leave its computer")
    if lines[0].startswith("---- BEGIN SSH2 PUBLIC KEY"):
        raise _refused("it is in another format", "turn it into OpenSSH's with: ssh-keygen -i -f FILE")
    if len(lines) > 1:
        raise _refused("it has more than one line")
    kind, _, rest = lines[0].partition(" ")
    encoded, _, comment = rest.strip().partition(" ")
    if kind == "ssh-dss":
        raise _refused("DSA keys are not safe any more")
    if "-cert-v01" in kind:
        raise _refused("it is a certificate, not a key")
    if kind not in _KINDS:
        raise _refused(
            f"it does not begin with a kind of key that labbox knows (“{visible_line(kind[:40])}”)"
        )
    blob = _blob(kind, encoded)
    return PublicKey(
        line=f"{kind} {base64.b64encode(blob).decode()}",
        kind=kind,
        comment=visible_line(comment.strip()[:_MAX_COMMENT]),
        fingerprint=_fingerprint(blob),
    )


def key_line(text: str) -> str:
    """Kind and base64 of a line, as an SSH server hands it on: without comment, and without any check."""
    return " ".join(text.split()[:2])


def fingerprint_of(line: str) -> str | None:
    """The fingerprint of a key's kind and base64; None where it is no base64."""
    try:
        return _fingerprint(base64.b64decode(line.partition(" ")[2], validate=True))
    except binascii.Error:
        return None


def _fingerprint(blob: bytes) -> str:
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def _blob(kind: str, encoded: str) -> bytes:
    try:
        blob = base64.b64decode(encoded, validate=True)
        key = load_ssh_public_key(f"{kind} {encoded}".encode())
    except (ValueError, binascii.Error, UnsupportedAlgorithm) as error:
        raise _refused("it is damaged or cut off") from error
    if isinstance(key, RSAPublicKey) and not _MIN_RSA <= key.key_size <= _MAX_RSA:
        too = "short" if key.key_size < _MIN_RSA else "long"
        raise _refused(f"an RSA key of {key.key_size} bits is too {too}")
    return blob


def _refused(why: str, hint: str = _HOW) -> LabboxError:
    return LabboxError("invalid", f"cannot take this key: {why}", hint)
