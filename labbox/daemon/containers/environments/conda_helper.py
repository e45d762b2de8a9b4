"""The conda client as a program of its own, run by the trusted installer: solves, installs, runs no scripts.

``python -I conda_helper.py UID GID`` (ids -1 to stay as is), one request as JSON on standard input, progress
and the answer as lines of JSON. The conda client is loaded before the ids are given up, as it may stand where
only the daemon can read.
"""

from __future__ import annotations

import asyncio
import ctypes
import hashlib
import json
import os
import re
import secrets
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import rattler
from rattler import package_streaming
from rattler.exceptions import (
    GatewayError,
    InvalidMatchSpecError,
    InvalidVersionSpecError,
    SolverError,
)
from rattler.install.installer import InstallerReporter
from rattler.package import PathsJson

from labbox.daemon.containers.guard import Guard, without_login
from labbox.files.landlock import confine

_PR_SET_NO_NEW_PRIVS = 38


def main() -> int:
    """Drop the ids, read the request, do it, answer."""
    uid, gid = int(sys.argv[1]), int(sys.argv[2])
    if uid >= 0:
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    os.umask(0o022)
    request = json.load(sys.stdin)
    action = {"solve": solve, "fetch": fetch, "install": install}[request["action"]]
    if request["action"] == "install":  # before there is a second thread
        request["confined"] = _confine(request)
    try:
        answer = asyncio.run(action(request))
    except RefusedError as error:
        _say({"error": str(error), "kind": "refused"})
    except (SolverError, InvalidMatchSpecError, InvalidVersionSpecError) as error:
        _say({"error": str(error), "kind": "solve"})
    except GatewayError as error:
        _say({"error": str(error), "kind": "channel"})
    except (FetchError, rattler.exceptions.InstallerError) as error:
        _say({"error": str(error), "kind": "install"})
    except OSError as error:
        _say({"error": error.strerror or str(error), "errno": error.errno, "path": str(error.filename or "")})
    else:
        _say({"done": answer})
        return 0
    return 1


class FetchError(Exception):
    """An archive could not be got; it may work later."""


class RefusedError(Exception):
    """What a person's file asks for is not open here; the text says what."""


async def solve(request: dict[str, Any]) -> dict[str, Any]:
    """The packages that fit the specifications, each as the record its channel has of it."""
    channels = _open_channels(request["channels"], request["open"])
    bases = tuple(channel.base_url for channel in channels)
    specs = [_spec(text, bases) for text in request["specs"]]
    virtual = [
        rattler.GenericVirtualPackage(
            rattler.PackageName(name), rattler.Version(version), rattler.BuildString(build)
        )
        for name, version, build in request["virtual"]
    ]
    async with _guarded(request):
        records = await rattler.solve(
            channels,
            specs,
            gateway=rattler.Gateway(cache_dir=Path(request["cache"]) / "repodata"),
            platforms=[request["platform"], "noarch"],
            virtual_packages=virtual,
        )
    return {"packages": [_package(record, bases) for record in records]}


def _open_channels(wanted: list[str], opened: list[str]) -> list[rattler.Channel]:
    """The channels, where all of them are open; one address is one channel, however it is written."""
    known = {rattler.Channel(each).base_url for each in opened if each != "*"}
    channels = []
    for each in wanted:
        try:
            channel = rattler.Channel(each)
        except Exception as error:
            raise RefusedError(f"the channel {each} is no address") from error
        if channel.base_url not in known:
            if "*" not in opened:
                raise RefusedError(f"this box does not allow the channel {each}")
            if urlsplit(channel.base_url).scheme not in ("http", "https"):
                raise RefusedError(f"the channel {each} is a folder of this box or a place that is not open")
        channels.append(channel)
    return channels


def _spec(text: str, bases: tuple[str, ...]) -> rattler.MatchSpec:
    """A specification that names a package, of the channels in use; never the address of an archive."""
    if "://" in text or re.search(r"[\[,]\s*(?:url|fn|file_name)\s*=|\.(?:conda|tar\.bz2)\s*$", text):
        raise RefusedError(f"{text} names an address, and packages come from channels")
    spec = rattler.MatchSpec(text)
    if spec.channel is not None and spec.channel.base_url not in bases:
        raise RefusedError(f"{text} is of a channel that is not among its channels")
    return spec


def _package(record: rattler.RepoDataRecord, bases: tuple[str, ...]) -> dict[str, Any]:
    base = next((each for each in bases if record.url.startswith(each)), None)
    document = json.loads(record.to_json())
    if base is None or "/../" in record.url:
        raise RefusedError(f"{record.file_name} lies outside of its channel: {record.url}")
    if not re.fullmatch(r"[0-9a-f]{64}", str(document.get("sha256") or "")):
        raise RefusedError(
            f"the channel {base} gives no sha256 of {record.file_name}, so nobody can check it"
        )
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._+!-]{0,250}\.(?:conda|tar\.bz2)", record.file_name):
        raise RefusedError(f"the channel {base} calls a package {record.file_name}")
    return {"record": document, "file_name": record.file_name, "url": record.url, "channel": base}


@asynccontextmanager
async def _guarded(request: dict[str, Any]) -> AsyncIterator[None]:
    """The client goes through a proxy that leads to no address of this machine, redirects and all."""
    named = []
    for each in request["open"]:
        place = urlsplit(rattler.Channel(each).base_url) if each != "*" else urlsplit("")
        if place.hostname:
            named.append((place.hostname, place.port or (443 if place.scheme == "https" else 80)))
    token = secrets.token_hex(16)
    guard = Guard(named=named, proxies=request["proxies"], token=token)
    server = await asyncio.start_server(guard, "127.0.0.1", 0, limit=1 << 16)
    address = f"http://guard:{token}@127.0.0.1:{server.sockets[0].getsockname()[1]}"
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        os.environ[name] = os.environ[name.upper()] = address
    for name in ("no_proxy", "NO_PROXY"):
        os.environ.pop(name, None)
    try:
        yield
    except Exception as error:
        if guard.refused:
            raise RefusedError(guard.refused[-1]) from error
        raise
    finally:
        server.close()


async def fetch(request: dict[str, Any]) -> dict[str, Any]:
    """Get the archives of packages.

    What is kept from one time to the next is archives, by channel and hash, each checked before each use.
    """
    async with _guarded(request):
        for package in request["packages"]:
            await _archive(package, Path(request["cache"]) / "archives")
    return {}


def _confine(request: dict[str, Any]) -> bool:
    """Leave the installing of what may be anybody's packages no other files; whether the kernel does."""
    work, scratch = Path(request["work"]), Path(request["scratch"])
    work.mkdir()
    (scratch / "tmp").mkdir()
    os.environ["TMPDIR"] = str(scratch / "tmp")
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    readable = ["/usr", "/lib", "/lib64", "/etc", sys.prefix, sys.base_prefix, f"{request['cache']}/archives"]
    return confine(libc, readable, ["/dev/null", str(work), str(scratch)])


async def install(request: dict[str, Any]) -> dict[str, Any]:
    """Put packages into a folder whose final path is another one; scripts in packages are never run."""
    records = []
    folder = Path(request["scratch"])
    archives = [_kept(package, Path(request["cache"]) / "archives") for package in request["packages"]]
    for package, archive in zip(request["packages"], archives, strict=True):
        if not _stands(archive, package["record"]["sha256"]):
            raise FetchError(f"{package['file_name']} is gone from the cache")
    check_layout(list(zip(request["packages"], archives, strict=True)), confined=request["confined"])
    for number, (package, archive) in enumerate(zip(request["packages"], archives, strict=True)):
        path = folder / f"{number}.json"
        path.write_text(json.dumps(package["record"]), "utf-8")
        sums = {name: package["record"].get(name) for name in ("size", "sha256", "md5")}
        record = rattler.PackageRecord.from_index_json(path, **sums)
        records.append(
            rattler.RepoDataRecord(
                record, package["file_name"], archive.as_uri(), without_login(package["channel"])
            )
        )
    await rattler.install(
        records,
        request["work"],
        cache_dir=folder / "unpacked",
        execute_link_scripts=False,
        reporter=_reporter(len(records)),
        alternative_target_prefix=request["final"],
    )
    return {}


def check_layout(packages: list[tuple[dict[str, Any], Path]], *, confined: bool) -> None:
    """RefusedError where packages would put files elsewhere than into their folder, together or alone.

    The client puts a file wherever its path leads, through the links that another package has put there too.
    What lists no files, as packages before 2017, is left to the kernel where it keeps us in.
    """
    versions = [
        package["record"]["version"] for package, _ in packages if package["record"]["name"] == "python"
    ]
    library = (
        f"lib/python{'.'.join(str(versions[0]).split('.')[:2])}/site-packages" if versions else "lib/python"
    )
    links = dict.fromkeys(("lib", "bin", "conda-meta", library.rpartition("/")[0], library), False)
    listed: list[tuple[str, str]] = []
    for package, archive in packages:
        name = package["file_name"]
        try:
            entries = PathsJson.from_package_archive(archive).paths
        except Exception as error:
            if confined:
                continue
            raise RefusedError(f"{name} does not list its files") from error
        for entry in entries:
            path = str(entry.relative_path)
            if any(part in ("", ".", "..") for part in path.split("/")):
                raise RefusedError(f"{name} leads out of the environment: {path}")
            if package["record"].get("noarch") == "python":
                path = re.sub("^site-packages/", f"{library}/", re.sub("^python-scripts/", "bin/", path))
            if entry.path_type.softlink:
                if path in links and not links[path]:
                    raise RefusedError(f"{name} has a link in the place of the folder {path}")
                links[path] = True
            listed.append((name, path))
    for name, path in listed:
        above = path
        while above := above.rpartition("/")[0]:
            if links.get(above):
                raise RefusedError(f"{name} leads through a link: {path}")


def _kept(package: dict[str, Any], cache: Path) -> Path:
    """Where the archive of a package is kept."""
    channel = hashlib.sha256(package["channel"].encode()).hexdigest()[:32]
    return cache / channel / str(package["record"]["sha256"]) / str(package["file_name"])


async def _archive(package: dict[str, Any], cache: Path) -> Path:
    """The archive of a package, whose bytes have the hash of its record."""
    wanted, url = package["record"]["sha256"], package["url"]
    archive = _kept(package, cache)
    if await asyncio.to_thread(_stands, archive, wanted):
        return archive
    partial = archive.parent / f"{secrets.token_hex(8)}.tmp-{os.getpid()}"
    try:
        if urlsplit(url).scheme == "file":
            await asyncio.to_thread(shutil.copyfile, unquote(urlsplit(url).path), partial)
        else:
            await _download(url, partial)
        found = await asyncio.to_thread(_hash, partial)
        if found != wanted:
            raise RefusedError(
                f"{package['file_name']} has the sha256 {found}, and its channel says {wanted}"
            )
        await asyncio.to_thread(partial.rename, archive)
    finally:
        await asyncio.to_thread(partial.unlink, missing_ok=True)
    return archive


def _stands(archive: Path, wanted: str) -> bool:
    """Whether the archive is there as it should be; its folder is, and is marked as used now."""
    if not archive.parent.is_dir():
        archive.parent.mkdir(parents=True)
    os.utime(archive.parent)
    return archive.is_file() and _hash(archive) == wanted


async def _download(url: str, path: Path) -> None:
    try:
        await package_streaming.download_to_path(rattler.Client.default_client(), url, path)
    except Exception as error:
        raise FetchError(f"cannot get {url}: {error}") from error


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _reporter(total: int) -> InstallerReporter:
    """Tells of each linked package. The library's class counts as abstract for the type checker only."""
    done = 0

    def linked(_self: InstallerReporter, _index: int) -> None:
        nonlocal done
        done += 1
        _say({"linked": done, "total": total})

    reporter: InstallerReporter = type("Reporter", (InstallerReporter,), {"on_link_complete": linked})()
    return reporter


def _say(message: dict[str, Any]) -> None:
    os.write(1, json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    # The client's threads may outlive the interpreter and crash while it is taken down: leave without that.
    os._exit(main())
