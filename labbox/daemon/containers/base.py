"""The job base image: used where the engine has it, else pulled, else made on the box.

Made from labbox's `Dockerfile` on a bare Debian of the box's own release. That Debian is pulled where a
registry can be reached and made with `debootstrap` where not. The default name `labbox/base` itself is never
pulled: whoever registers that name in a public registry would own every job. An image that `custom/` names is
pulled as named.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from labbox.daemon.containers.aptaccess import keep_run
from labbox.daemon.containers.chores import Chores, by_ourselves
from labbox.daemon.containers.connection import Connection
from labbox.daemon.containers.debian import (
    archive_access,
    bare_system,
    proxies_with_password,
    suite_of_this_box,
)
from labbox.daemon.containers.images import (
    Report,
    build_image,
    find_image,
    import_folder,
    pull_image,
)
from labbox.errors import LabboxError
from labbox.files.software.dockerfile import canonical
from labbox.model import Progress

OWN_NAME: Final = "labbox/base"
RECIPE_LABEL: Final = "labbox.recipe"


def bare_name(suite: str) -> str:
    """The bare Debian that is made here; the number grows with what `bare_system` puts into it."""
    return f"labbox/debian:{suite}-3"


class BaseImage:
    """Sees to it that the engine has the base image; callers at the same time share one making of it."""

    def __init__(
        self,
        connection: Connection,
        *,
        recipe: Path,
        scratch: Path,
        name: str = OWN_NAME,
        pull: bool = True,
        build_network: str = "bridge",
        build_args: Mapping[str, str] | None = None,
        chores: Chores = by_ourselves,
    ) -> None:
        """Nothing is done yet.

        `recipe` is the Dockerfile, `scratch` a folder with room for a bare Debian (400 MB). `build_args` are
        what builds need to reach the outside, as `http_proxy`: they do not stay in the image. `chores` does
        what wants more of root than this process has.
        """
        self.name = name
        self._connection = connection
        self._recipe = recipe
        self._scratch = scratch
        self._pull = pull
        self._network = build_network
        self._build_args = dict(build_args or {})
        self._chores = chores
        self._making: asyncio.Task[str] | None = None
        self._reports: list[Report] = []
        self._last: Progress | None = None

    async def ensure(self, report: Report) -> str:
        """The image's id ("sha256:…"); makes the image where it is missing or its recipe has changed.

        A caller that is cancelled leaves the others waiting for the same work; the last one to go ends it.
        """
        if self._making is None:
            existing = await self._existing()
            if existing is not None:
                return existing
        if self._making is None:
            self._making = asyncio.create_task(self._make(), name="base-image")
        elif self._last is not None:
            report(self._last)
        making = self._making
        self._reports.append(report)
        try:
            return await asyncio.shield(making)
        finally:
            self._reports.remove(report)
            if not self._reports and self._making is making:
                making.cancel()
                self._making = self._last = None

    def _tell(self, what: Progress | str) -> None:
        if isinstance(what, Progress):
            self._last = what
        for report in tuple(self._reports):
            report(what)

    async def _existing(self) -> str | None:
        image = await find_image(self._connection, self.name)
        if image is None:
            return None
        made_from = (image.get("Config", {}).get("Labels") or {}).get(RECIPE_LABEL)
        if self.name == OWN_NAME and made_from is not None and made_from != self._recipe_hash():
            return None
        return str(image["Id"])

    def _recipe_hash(self) -> str:
        return hashlib.sha256(self._recipe.read_bytes()).hexdigest()[:16]

    async def _make(self) -> str:
        if self.name == OWN_NAME:
            await self._build(await self._ground())
        elif self._pull:
            await pull_image(self._connection, self.name, self._tell)
        image = await find_image(self._connection, self.name)
        if image is None:
            raise LabboxError(
                "not_found",
                f"cannot find the image {self.name} in the container engine",
                "load it with docker load or docker build, or let custom/box.toml pull it or name another",
            )
        return str(image["Id"])

    async def _ground(self) -> str:
        """The name of an image with nothing but this box's Debian."""
        suite = suite_of_this_box()
        if self._pull:
            pulled = f"debian:{suite}-slim"
            try:
                await pull_image(self._connection, pulled, self._tell)
            except LabboxError as error:
                if error.code != "not_found":
                    raise
                self._tell(error.message)
            else:
                return pulled
        made = bare_name(suite)
        if await find_image(self._connection, made) is None:
            self._tell(f"making a bare Debian {suite} here with debootstrap")
            await asyncio.to_thread(self._scratch.mkdir, parents=True, exist_ok=True)
            async with bare_system(suite, self._scratch, self._bootstrapped, chores=self._chores) as root:
                self._tell("importing it into the engine")
                await import_folder(self._connection, root, made)
        return made

    def _bootstrapped(self, done: float, total: float) -> None:
        self._tell(Progress(phase="image: bare system", done=done, total=total))

    async def _build(self, ground: str) -> None:
        arguments = {**await proxies_with_password(), **self._build_args}
        labels = {RECIPE_LABEL: self._recipe_hash()}
        if said := await asyncio.to_thread(archive_access):
            await self._build_with_access(ground, said, arguments, labels)
            return
        await build_image(
            self._connection,
            self._recipe.read_bytes(),
            self.name,
            self._tell,
            phase="image: packages",
            build_args={**arguments, "BASE": ground},
            labels=labels,
            network=self._network,
        )

    async def _build_with_access(
        self, ground: str, said: str, arguments: Mapping[str, str], labels: Mapping[str, str]
    ) -> None:
        """The recipe in one step, which sees the passwords of the archive; they do not stay in the image."""
        lines = [line.partition(" ")[::2] for line in canonical(self._recipe.read_text())]
        self._tell("image: packages, from an archive that wants a password")
        await keep_run(
            self._connection,
            ground,
            " && ".join(f"{{ {rest}\n}}" for word, rest in lines if word == "RUN") or ":",
            self.name,
            self._tell,
            said=said,
            env=arguments,
            scratch=self._scratch,
            network=self._network,
            changes=[
                *(f"{word} {rest}" for word, rest in lines if word not in ("ARG", "FROM", "RUN")),
                *(f"LABEL {key}={value}" for key, value in labels.items()),
            ],
        )
