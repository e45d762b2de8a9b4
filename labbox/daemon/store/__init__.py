"""The SQLite file: connection, migrations, one module of queries per table."""
