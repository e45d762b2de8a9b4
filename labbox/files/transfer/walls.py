"""Where two places differ in what they can keep, and what follows from it."""

from __future__ import annotations

from labbox.errors import LabboxError
from labbox.files.places.base import Entry, EntryKind, Traits
from labbox.files.transfer.reporting import Reporter
from labbox.text import visible_line


class Walls:
    """What both of two places can keep; says once what the target cannot."""

    def __init__(self, source: Traits, target: Traits, reporter: Reporter) -> None:
        """From one to the other."""
        self.step = max(1, source.mtime_step, target.mtime_step)
        self.links = target.symlinks
        self.modes = source.modes and target.modes
        self.owners = source.owners and target.owners
        self.xattrs = source.xattrs and target.xattrs
        self.sparse = source.sparse
        self._target = target
        self._reporter = reporter
        if source.modes and not target.modes:
            reporter.not_kept("the target keeps no modes: who may read and write was not kept")
        if source.mtime_step < target.mtime_step:
            reporter.not_kept("the target keeps times less exactly")

    def check_name(self, name: str, path: str) -> None:
        """LabboxError "limit" for a name that the target cannot hold."""
        if len(name.encode("utf-8", "surrogateescape")) > self._target.name_bytes:
            raise LabboxError(
                "limit",
                f"cannot copy “{visible_line(path)}”: its name is too long for the target",
                "give it a shorter one",
            )

    def is_copy(self, source: Entry, target: Entry) -> bool:
        """Whether a target looks finished: the time is set last of all."""
        if source.kind is not target.kind:
            return False
        if source.kind is EntryKind.LINK:
            return source.target is not None and source.target == target.target
        return source.size == target.size and source.mtime // self.step == target.mtime // self.step

    def lost_links(self) -> None:
        """A file with several names becomes several files."""
        self._reporter.not_kept("files with several names were copied once for each name")

    def lost_owner(self) -> None:
        """A file has another owner than at the source."""
        self._reporter.not_kept("who owns the files was not kept: they belong to whom you are at the target")

    def lost_xattrs(self) -> None:
        """A file has attributes that the target cannot keep."""
        self._reporter.not_kept("the target does not keep all extended attributes")

    def names(self) -> Seen:
        """The names of one folder."""
        return Seen(None if self._target.case_sensitive else set())


class Seen:
    """The names that a folder has got so far, where a and A are one name."""

    def __init__(self, names: set[str] | None) -> None:
        """None: every name is another."""
        self._names = names

    def free(self, name: str) -> bool:
        """Take a name; whether none was taken that is the same to the target."""
        if self._names is None:
            return True
        folded = name.casefold()
        if folded in self._names:
            return False
        self._names.add(folded)
        return True

    def clash(self, path: str) -> LabboxError:
        """The target cannot tell two names apart."""
        return LabboxError(
            "conflict",
            f"cannot copy “{visible_line(path)}”: at the target its name is that of another, which "
            "differs in case only",
            "rename one of the two",
        )
