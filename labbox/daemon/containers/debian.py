"""A bare Debian as an image, made on the box itself where no image registry can be reached.

`debootstrap` makes the system from the box's own package archive. What the box needs to reach that archive
(sources, keys, proxy settings, certificate authorities) is put in, so that `apt` works in image builds too.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Final

from labbox.daemon.containers.aptaccess import access, as_netrc, bare_address
from labbox.daemon.containers.chores import Chores, by_ourselves, output
from labbox.errors import LabboxError
from labbox.model import Value
from labbox.text import decode, visible_line

ETC: Final = Path("/etc")
_MAKE_SECONDS: Final = 1800.0
_PROGRESS: Final = re.compile(r"P: (\d+) (\d+) (\w+)")
# debootstrap's names of what it counts, and which hundredths of the whole they take by experience
_STAGES: Final = {
    "DOWNDEBS": (0, 30),
    "EXTRACTPKGS": (30, 45),
    **dict.fromkeys(("INSTCORE", "UNPACKREQ", "CONFREQ", "UNPACKBASE", "CONFBASE"), (45, 100)),
}
_PASSWORD: Final = re.compile(rb"://[^/\s\"]*@")
_SIGNED_BY: Final = "/usr/share/keyrings/debian-archive-keyring.gpg"


class Archive(Value):
    """One line of the box's package sources that serves Debian itself."""

    address: str
    suites: tuple[str, ...]
    components: tuple[str, ...]


def suite_of_this_box(os_release: Path = Path("/etc/os-release")) -> str:
    """The code name of the Debian that runs here: "bookworm". LabboxError where it is none."""
    match = re.search(r"^VERSION_CODENAME=\"?([a-z]+)\"?$", os_release.read_text(), re.MULTILINE)
    if match is None:
        raise LabboxError(
            "unavailable",
            "cannot make the job base image: this system names no Debian release",
            "set base_image in custom/box.toml to an image that the engine has",
        )
    return match[1]


def archives(etc_apt: Path, suite: str) -> tuple[Archive, ...]:
    """The Debian archives among the box's sources, in both forms that apt reads; no other vendors'."""
    found: list[Archive] = []
    for path in sorted([etc_apt / "sources.list", *etc_apt.glob("sources.list.d/*")]):
        if path.suffix == ".sources":
            found += _stanzas(path.read_text())
        elif path.suffix == ".list" and path.is_file():
            found += _lines(path.read_text())
    return tuple(
        archive
        for archive in found
        if archive.suites and all(name.split("-")[0].split("/")[0] == suite for name in archive.suites)
    )


def _stanzas(text: str) -> Iterable[Archive]:
    for stanza in re.split(
        r"\n\s*\n", "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    ):
        fields: dict[str, str] = {}
        name = ""
        for line in stanza.splitlines():
            if line[:1].isspace():
                fields[name] += " " + line.strip()
            elif ":" in line:
                name, _, value = line.partition(":")
                name = name.lower()
                fields[name] = value.strip()
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes") == "no":
            continue
        for address in fields.get("uris", "").split():
            suites, components = fields.get("suites", "").split(), fields.get("components", "").split()
            yield Archive(address=address, suites=tuple(suites), components=tuple(components))


def _lines(text: str) -> Iterable[Archive]:
    for line in text.splitlines():
        words = re.sub(r"\[[^]]*\]", "", line.partition("#")[0]).split()
        if len(words) >= 4 and words[0] == "deb":
            yield Archive(address=words[1], suites=(words[2],), components=tuple(words[3:]))


@contextlib.asynccontextmanager
async def bare_system(
    suite: str,
    scratch: Path,
    progress: Callable[[float, float], None],
    etc: Path = ETC,
    chores: Chores = by_ourselves,
) -> AsyncIterator[Path]:
    """A folder below `scratch` that holds a minimal Debian with this box's settings; it is gone afterwards.

    `progress` gets hundredths done, and 100. LabboxError "unavailable" where debootstrap is missing or fails,
    with the end of what it said.
    """
    if os.geteuid() != 0:
        raise LabboxError(
            "unavailable",
            "cannot make the job base image without root",
            "give the engine one: docker build -t labbox/base . with labbox's Dockerfile",
        )
    if shutil.which("debootstrap") is None:
        raise LabboxError(
            "unavailable",
            "cannot make the job base image: debootstrap is missing, and no image registry can be reached",
            "install it: apt-get install debootstrap",
        )
    root = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="debian-", dir=scratch))
    try:
        sources = archives(etc / "apt", suite)
        mirror = [bare_address(sources[0].address)] if sources else []
        words = ["--debian-installer", "--variant=minbase", suite, str(root), *mirror]
        with tempfile.TemporaryDirectory(dir=scratch, prefix="access-") as home:
            passwords = Path(home) / ".netrc"  # what debootstrap fetches with reads it; its words all can see
            passwords.touch(mode=0o600)
            passwords.write_text(as_netrc(access(etc / "apt", [one.address for one in sources])))
            await _debootstrap([home, *words], progress, chores)
        await asyncio.to_thread(_furnish, root, sources, etc)
        await _copy_apt_settings(root)
        yield root
    finally:
        await asyncio.to_thread(shutil.rmtree, root, ignore_errors=True)


async def _debootstrap(words: list[str], progress: Callable[[float, float], None], chores: Chores) -> None:
    """Run it and read the protocol of its --debian-installer mode (`functions` of debootstrap).

    The first word is the home that it runs in.
    """
    errors: list[str] = []
    try:
        async with asyncio.timeout(_MAKE_SECONDS), output(chores, "debootstrap", words) as (said, chore):
            async for raw in said:
                line = visible_line(decode(raw.rstrip(b"\n")))
                match = _PROGRESS.match(line)
                if match and match[3] in _STAGES:
                    begin, end = _STAGES[match[3]]
                    done = min(1.0, int(match[1]) / max(1, int(match[2])))  # it may count beyond its total
                    progress(begin + (end - begin) * done, 100)
                elif line.startswith(("E: ", "EA: ", "W: ", "WA: ")):
                    errors.append(line.partition(": ")[2])
            code = await chore.wait()
    except TimeoutError:
        raise LabboxError(
            "unavailable",
            f"cannot make the job base image: debootstrap was not done in {_MAKE_SECONDS:.0f} s",
        ) from None
    if code != 0:
        raise LabboxError(
            "unavailable",
            f"cannot make the job base image: debootstrap failed: {' '.join(errors[-4:]) or code}",
            "can this machine reach its Debian package archive? apt-get update tells",
        )


def _furnish(root: Path, sources: tuple[Archive, ...], etc: Path) -> None:
    """Put the box's package sources and certificate authorities in, and caches out."""
    if sources:
        (root / "etc/apt/sources.list").unlink(missing_ok=True)
        (root / "etc/apt/sources.list.d/debian.sources").write_text(
            "\n".join(
                f"Types: deb\nURIs: {bare_address(one.address)}\nSuites: {' '.join(one.suites)}\n"
                f"Components: {' '.join(one.components)}\nSigned-By: {_SIGNED_BY}\n"
                for one in sources
            )
        )
    bundle = etc / "ssl/certs/ca-certificates.crt"
    if bundle.exists():
        (root / "etc/ssl/certs").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(bundle, root / "etc/ssl/certs/ca-certificates.crt")
    local = Path("/usr/local/share/ca-certificates")
    if local.is_dir():
        shutil.copytree(local, root / local.relative_to("/"), dirs_exist_ok=True)
    (root / "etc/apt/apt.conf.d/80small").write_text(
        'APT::Install-Recommends "false";\nAcquire::Languages "none";\nAcquire::GzipIndexes "true";\n'
        'Dir::Cache::pkgcache "";\nDir::Cache::srcpkgcache "";\n'
        'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb || true"; };\n'
    )
    (root / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")
    (root / "usr/sbin/policy-rc.d").chmod(0o755)
    for cache in ("var/cache/apt/archives", "var/lib/apt/lists"):
        for path in (root / cache).iterdir():
            if path.is_file() and path.name != "lock":
                path.unlink()
    (root / "etc/resolv.conf").unlink(missing_ok=True)
    (root / "etc/hostname").unlink(missing_ok=True)


async def _copy_apt_settings(root: Path) -> None:
    """How apt reaches its archive from here: proxies, certificates, time limits.

    Everybody can read it, or no job could ask apt anything; so addresses with a password are left out: builds
    are told those when they run (`proxies_with_password`).
    """
    kept, _ = sorted_settings(await _apt_settings())
    target = root / "etc/apt/apt.conf.d/90box"
    target.touch(mode=0o644)
    target.write_bytes(kept)


def archive_access() -> str:
    """The passwords of the box's package archives, as apt_auth.conf(5) has them; "" where they want none."""
    try:
        suite = suite_of_this_box(ETC / "os-release")
    except LabboxError:
        return ""
    return access(ETC / "apt", [one.address for one in archives(ETC / "apt", suite)])


async def proxies_with_password() -> dict[str, str]:
    """The proxies of the box's apt that want a password, by the names of the usual variables."""
    return sorted_settings(await _apt_settings())[1]


def sorted_settings(dump: bytes) -> tuple[bytes, dict[str, str]]:
    """What apt said of its settings: a file for everybody's eyes, and the proxies that hold a password."""
    wanted = re.compile(
        rb'Acquire::(https?|ftp|Retries|Check-|Max-FutureTime|ForceIPv)[^ ]* "[^"]*";$', re.IGNORECASE
    )
    kept, secret = b"", dict[str, str]()
    for line in dump.splitlines():
        if not _PASSWORD.search(line):
            kept += line + b"\n" if wanted.match(line) else b""
        elif match := re.fullmatch(rb'Acquire::(https?)::Proxy "([^"]*)";', line, re.IGNORECASE):
            secret[f"{match[1].decode().lower()}_proxy"] = decode(match[2])
    return kept, secret


async def _apt_settings() -> bytes:
    if shutil.which("apt-config") is None:
        return b""
    process = await asyncio.create_subprocess_exec(
        "apt-config", "dump", "Acquire", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    async with asyncio.timeout(30):
        return (await process.communicate())[0]
