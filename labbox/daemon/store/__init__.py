"""The SQLite file: connection, migrations, one module of queries per table."""

from labbox.daemon.store.core import Store

__all__ = ["Store"]
