"""The conda client as a program of its own, run by the trusted installer: solves, installs, runs no scripts.

``python -I conda_helper.py UID GID`` (ids -1 to stay as is), one request as JSON on standard input, progress
and the answer as lines of JSON. The conda client is loaded before the ids are given up, as it may stand where
only the daemon can read.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import rattler
from rattler.exceptions import (
    GatewayError,
    InvalidMatchSpecError,
    InvalidVersionSpecError,
    SolverError,
)
from rattler.install.installer import InstallerReporter


def main() -> int:
    """Drop the ids, read the request, do it, answer."""
    uid, gid = int(sys.argv[1]), int(sys.argv[2])
    if uid >= 0:
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    os.umask(0o022)
    request = json.load(sys.stdin)
    action = {"solve": solve, "install": install}[request["action"]]
    try:
        answer = asyncio.run(action(request))
    except (SolverError, InvalidMatchSpecError, InvalidVersionSpecError) as error:
        _say({"error": str(error), "kind": "solve"})
    except GatewayError as error:
        _say({"error": str(error), "kind": "channel"})
    except rattler.exceptions.InstallerError as error:
        _say({"error": str(error), "kind": "install"})
    except OSError as error:
        _say({"error": error.strerror or str(error), "errno": error.errno, "path": str(error.filename or "")})
    else:
        _say({"done": answer})
        return 0
    return 1


async def solve(request: dict[str, Any]) -> dict[str, Any]:
    """The packages that fit the specifications, each as the record its channel has of it."""
    virtual = [
        rattler.GenericVirtualPackage(
            rattler.PackageName(name), rattler.Version(version), rattler.BuildString(build)
        )
        for name, version, build in request["virtual"]
    ]
    records = await rattler.solve(
        [rattler.Channel(channel) for channel in request["channels"]],
        [rattler.MatchSpec(spec) for spec in request["specs"]],
        gateway=rattler.Gateway(cache_dir=Path(request["cache"]) / "repodata"),
        platforms=[request["platform"], "noarch"],
        virtual_packages=virtual,
    )
    return {
        "packages": [
            {
                "record": json.loads(record.to_json()),
                "file_name": record.file_name,
                "url": record.url,
                "channel": record.channel or "",
            }
            for record in records
        ]
    }


async def install(request: dict[str, Any]) -> dict[str, Any]:
    """Put packages into a folder whose final path is another one; scripts in packages are never run."""
    records = []
    folder = Path(request["scratch"])
    for number, package in enumerate(request["packages"]):
        path = folder / f"{number}.json"
        path.write_text(json.dumps(package["record"]), "utf-8")
        sums = {name: package["record"].get(name) for name in ("size", "sha256", "md5")}
        record = rattler.PackageRecord.from_index_json(path, **sums)
        records.append(
            rattler.RepoDataRecord(record, package["file_name"], package["url"], package["channel"])
        )
    await rattler.install(
        records,
        request["work"],
        cache_dir=Path(request["cache"]) / "packages",
        execute_link_scripts=False,
        reporter=_reporter(len(records)),
        alternative_target_prefix=request["final"],
    )
    return {}


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
