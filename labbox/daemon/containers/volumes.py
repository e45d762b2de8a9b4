"""What an image declares with VOLUME: of each, the engine would make a folder on its disk, without a limit.

A small file system in memory stands there instead: it is counted with the container's memory, and goes with
it. What the image itself holds in such a folder is not seen.
"""

from __future__ import annotations

import posixpath
from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from labbox.errors import LabboxError

if TYPE_CHECKING:
    import docker

_MOST: Final = 100  # of one image; each is a mount
_KNOWN: Final[dict[str, tuple[str, ...]]] = {}  # by digest: each run asks


def declared(api: docker.APIClient, image: str) -> tuple[str, ...]:
    """The folders that an image declares, as the engine writes them, in a thread.

    LabboxError "invalid" for those that nothing can be put over.
    """
    known = _KNOWN.get(image)
    if known is None:
        known = _ask(api, image)
        if image.startswith("sha256:"):  # a name may come to mean something else, a digest does not
            _KNOWN[image] = known
    return known


def _ask(api: docker.APIClient, image: str) -> tuple[str, ...]:
    found = (api.inspect_image(image).get("Config") or {}).get("Volumes") or {}
    if len(found) > _MOST:
        raise LabboxError("invalid", f"cannot use the image {image}: it declares {len(found)} volumes")
    folders = {posixpath.normpath(one) for one in found}
    if not all(one.startswith("/") for one in folders):
        raise LabboxError(
            "invalid",
            f"cannot use the image {image}: it declares a volume that is no absolute path",
            "write it as VOLUME /data in its Dockerfile",
        )
    return tuple(sorted("/" + one.lstrip("/") for one in folders))


def covers(volumes: Collection[str], taken: Collection[str], size: int, uid: int) -> dict[str, str]:
    """The engine's words (`HostConfig.Tmpfs`) for what stands there; `taken`: where something does."""
    options = f"rw,exec,nosuid,nodev,mode=0755,uid={uid},gid={uid},size={size}"
    return {folder: options for folder in volumes if folder not in taken}
