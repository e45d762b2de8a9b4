"""Which run has which GPU: the engine, asked for a number of them, would give everybody the first ones."""

from __future__ import annotations

from labbox.errors import LabboxError


class Gpus:
    """The box's devices by index, each with one run at most."""

    def __init__(self, count: int) -> None:
        """All of them are free."""
        self._all = range(count)
        self._of: dict[str, tuple[int, ...]] = {}

    def take(self, name: str, count: int) -> tuple[int, ...]:
        """The devices of a run: what it has, else the first free ones; LabboxError "limit" if too few are."""
        if count == 0 or name in self._of:
            return self._of.get(name, ())
        taken = {index for indexes in self._of.values() for index in indexes}
        free = [index for index in self._all if index not in taken]
        if len(free) < count:
            raise LabboxError(
                "limit", f"cannot start {name}: it asks for {count} GPUs and {len(free)} are free"
            )
        self._of[name] = tuple(free[:count])
        return self._of[name]

    def of(self, name: str) -> tuple[int, ...]:
        """The devices of a run."""
        return self._of.get(name, ())

    def restore(self, name: str, label: str) -> None:
        """Take over what a run was given before the daemon started: the indexes by commas."""
        self._of[name] = tuple(int(index) for index in label.split(","))

    def free(self, name: str) -> None:
        """The run has ended."""
        self._of.pop(name, None)
