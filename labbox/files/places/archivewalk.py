"""Ways through the list of an archive: from the top to an entry, along links, and never out of it."""

from __future__ import annotations

from typing import Final

from labbox.errors import LabboxError
from labbox.files.archives.index import Index, Node, node_of
from labbox.files.listing import shown
from labbox.files.places.base import Entry, EntryKind

_HOPS: Final = 40  # links on the way, as the kernel counts


class Walker:
    """Goes through an index; what is not there yet may come."""

    def __init__(self, index: Index, label: str, mark: int, mtime: int) -> None:
        """`mark` tells files with several names from those of other archives; `mtime`: the archive's own."""
        self._index, self._label, self._mark, self._mtime = index, label, mark, mtime

    def walk(
        self, doing: str, path: str, wanted: tuple[str, ...], follow: bool
    ) -> tuple[Node, tuple[str, ...]]:
        """The node at a path in parts, and the path without links."""
        way: list[tuple[str, Node]] = []
        left = list(reversed(wanted))
        hops = 0
        while left:
            part = left.pop()
            if part == "..":
                if not way:
                    raise self._out(doing, path)
                way.pop()
                continue
            folder = way[-1][1] if way else self._index.top
            if folder.children is None:
                raise LabboxError(
                    "conflict",
                    f"cannot {doing} {self.shown(path)}: something on the way there is no folder",
                    "look at the folder again",
                )
            held = folder.children.get(part)
            if held is None:
                raise LabboxError(
                    "not_found",
                    f"cannot {doing} {self.shown(path)}: it is not in the archive",
                    "look at the folder again",
                )
            child = node_of(held)
            if child.kind is EntryKind.LINK and (left or follow):
                hops += 1
                if hops > _HOPS:
                    raise LabboxError(
                        "conflict",
                        f"cannot {doing} {self.shown(path)}: links lead in a circle",
                        "use what it leads to",
                    )
                target = (child.member.target if child.member is not None else None) or ""
                if target.startswith("/") or not target:
                    raise self._out(doing, path)
                left += [one for one in reversed(target.split("/")) if one not in ("", ".")]
                continue
            way.append((part, child))
        return (way[-1][1] if way else self._index.top), tuple(name for name, _ in way)

    def entry(self, name: str, node: Node, above: tuple[str, ...]) -> Entry:
        """`above`: the folder that it stands in, without links."""
        member, kind = node.member, node.kind
        if member is None:
            return Entry(name, EntryKind.FOLDER, mtime=self._mtime, folder=True)
        is_file = kind is EntryKind.FILE
        return Entry(
            name,
            kind,
            member.size if is_file else 0,
            member.mtime,
            member.mode,
            member.uid,
            member.gid,
            node.links[0] if node.links is not None else 1,
            (self._mark, node.links[1]) if node.links is not None else None,
            None,
            member.target if kind is EntryKind.LINK else None,
            kind is EntryKind.FOLDER or (kind is EntryKind.LINK and self._leads_to_folder((*above, name))),
        )

    def _leads_to_folder(self, parts: tuple[str, ...]) -> bool:
        try:
            return self.walk("look at", "", parts, follow=True)[0].children is not None
        except LabboxError:  # nowhere, out of the archive, or round in a circle
            return False

    def checked(self, doing: str, path: str) -> tuple[str, ...]:
        """The parts of a whole, plain path."""
        parts = parts_of(path)
        if "\0" in path or ".." in parts:
            raise LabboxError(
                "invalid",
                f"cannot use {self.shown(path)}: it is no whole, plain path",
                "give the whole path",
            )
        return parts

    def _out(self, doing: str, path: str) -> LabboxError:
        return LabboxError(
            "not_found",
            f"cannot {doing} {self.shown(path)}: the link leads out of the archive",
            "unpack the archive, then look where it leads",
        )

    def full(self, path: str) -> str:
        """A path with the archive that it is in."""
        return f"{self._label}!/{'/'.join(parts_of(path))}"

    def shown(self, path: str) -> str:
        """The same, harmless to show."""
        return shown(self.full(path))


def parts_of(path: str) -> tuple[str, ...]:
    """The names on a path."""
    return tuple(part for part in path.split("/") if part not in ("", "."))
