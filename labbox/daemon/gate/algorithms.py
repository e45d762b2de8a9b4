"""What the gate speaks: modern algorithms only, each list best first.

Judged by what `ssh-audit` fails or warns of: no SHA-1, no NIST curves in the key exchange, no CBC, no RSA
key of the box's below 3072 bits. AES-GCM stands first because it is the fastest
there is on machines with AES instructions. Against the Terrapin attack asyncssh offers strict key exchange by
itself.

No Diffie-Hellman over finite fields: an exchange of group 18 takes a core for 30 ms and more, of group 16 for
12, against 0.3 for Curve25519, and it is paid before anybody has said who they are. Every client of the last
ten years knows the curve.
"""

from __future__ import annotations

from typing import Final

from asyncssh.kex import get_kex_algs

_WANTED_KEX: Final = (
    "mlkem768x25519-sha256",
    "sntrup761x25519-sha512",
    "sntrup761x25519-sha512@openssh.com",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
)
_KNOWN: Final = frozenset(name.decode() for name in get_kex_algs())

KEX: Final = tuple(
    name for name in _WANTED_KEX if name in _KNOWN
)  # post-quantum ones where the library has them
CIPHERS: Final = (
    "aes256-gcm@openssh.com",
    "aes128-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes256-ctr",
    "aes128-ctr",
)
MACS: Final = (
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "umac-128-etm@openssh.com",
    "hmac-sha2-512",  # computed before encryption, for libssh2 up to 1.10 (curl) and dropbear
    "hmac-sha2-256",
)
COMPRESSION: Final = ("none", "zlib@openssh.com")  # compression only after the login
HOST_SIGNATURES: Final = (b"ssh-ed25519", b"rsa-sha2-512", b"rsa-sha2-256")  # of the box's own keys
SIGNATURES: Final = (  # of people's keys
    "ssh-ed25519",
    "sk-ssh-ed25519@openssh.com",
    "rsa-sha2-512",
    "rsa-sha2-256",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)
MIN_RSA_BITS: Final = 2048  # of people's keys
