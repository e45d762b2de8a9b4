"""What sources are called at the top of an archive: by name, and by more of the path where two are alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain

from labbox.files.transfer.deciding import names_beside
from labbox.locations import Location, name_of


def archive_names(sources: Sequence[Location]) -> dict[Location, str]:
    """A name for each source, no two alike; a source that is named twice is there once.

    ``a/x.csv`` and ``b/x.csv`` keep their folders, ``~/x.csv`` and ``sftp://pc/x.csv`` get those of their
    places; what is alike even so is numbered.
    """
    ways = {source: _way(source) for source in sources}
    groups: dict[str, list[Location]] = {}
    for source, way in ways.items():
        groups.setdefault(way[-1], []).append(source)
    names = {group[0]: name for name, group in groups.items() if len(group) == 1}
    used, above = set(names.values()), set[str]()
    for name, group in groups.items():
        if len(group) > 1:
            numbered = chain([name], names_beside(name, folder=False))
            for source, wanted in _longer(group, ways):
                parents = _parents(wanted)
                if wanted in used or wanted in above or not used.isdisjoint(parents):
                    wanted = next(one for one in numbered if one not in used and one not in above)
                    parents = []
                used.add(wanted)
                above.update(parents)
                names[source] = wanted
    return {source: names[source] for source in ways}


def _longer(group: list[Location], ways: dict[Location, tuple[str, ...]]) -> Iterator[tuple[Location, str]]:
    """Each with as many folders above its name as tell it from the others, or none if nothing does."""
    for count in range(2, max(len(ways[source]) for source in group) + 1):
        ends = Counter(ways[source][-count:] for source in group)
        alone = [source for source in group if ends[ways[source][-count:]] == 1]
        yield from ((source, "/".join(ways[source][-count:])) for source in alone)
        group = [source for source in group if ends[ways[source][-count:]] > 1]
        if not group:
            return
    yield from ((source, ways[source][-1]) for source in group)


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _way(source: Location) -> tuple[str, ...]:
    """The names on the way to a source, that of its place first."""
    way = [source]
    while way[-1].parent != way[-1] and not way[-1].is_root and way[-1].path != "~":
        way.append(way[-1].parent)
    return tuple(name_of(one) for one in reversed(way))
