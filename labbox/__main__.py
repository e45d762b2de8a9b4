"""The entry: hands a verb to the command line, or puts spawner and daemon together for `labbox up`."""

from __future__ import annotations

import sys
from pathlib import Path

from labbox import cli


def main(argv: list[str] | None = None) -> int:
    """Run the words of a command; only what the verb needs is imported."""
    return cli.run(sys.argv[1:] if argv is None else argv, serve=_serve, screens=_open_screens)


def _serve(state: str | None, custom: str | None, ssh: str | None, socket: str | None) -> int:
    """Fork the spawner while this process is small, or find the one that listens; then become the daemon."""
    from labbox import client, spawner, spawning

    processes = spawning.find(Path(socket)) if socket else spawner.start()
    from labbox.daemon import app

    return app.run(
        app.Options(
            state=Path(state).absolute() if state else client.default_state(),
            custom=Path(custom).absolute() if custom else None,
            ssh=ssh,
        ),
        processes,
    )


def _open_screens(where: str | None, act_as: str | None, first: str) -> int:
    from labbox import client
    from labbox.tui import app

    with client.connect(where, act_as) as box:
        return app.main(box, first)


if __name__ == "__main__":
    sys.exit(main())
