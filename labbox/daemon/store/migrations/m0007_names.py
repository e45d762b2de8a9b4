"""A part of a job's name is found by the trigrams of all names, each kept once; the database keeps them."""

from __future__ import annotations

import sqlite3
from typing import Final

from labbox.daemon.store.scripts import run_script

_SCHEMA: Final = """
-- Each name that a job has or had, case folded.
CREATE TABLE names (
    id     INTEGER PRIMARY KEY,
    folded TEXT NOT NULL UNIQUE
) STRICT;

-- Holds no text of its own: what it finds is a row of names.
CREATE VIRTUAL TABLE name_parts USING fts5 (
    folded, content = 'names', content_rowid = 'id', tokenize = 'trigram case_sensitive 1', columnsize = 0
);
CREATE TRIGGER name_added AFTER INSERT ON names BEGIN
    INSERT INTO name_parts (rowid, folded) VALUES (new.id, new.folded);
END;

INSERT INTO names (folded) SELECT DISTINCT folded FROM jobs;
ALTER TABLE jobs ADD COLUMN name_id INTEGER REFERENCES names (id);
UPDATE jobs SET name_id = (SELECT id FROM names WHERE names.folded = jobs.folded);
CREATE INDEX jobs_named ON jobs (name_id);
CREATE TRIGGER job_named AFTER INSERT ON jobs BEGIN
    INSERT OR IGNORE INTO names (folded) VALUES (new.folded);
    UPDATE jobs SET name_id = (SELECT id FROM names WHERE folded = new.folded) WHERE id = new.id;
END;
CREATE TRIGGER job_renamed AFTER UPDATE OF folded ON jobs BEGIN
    INSERT OR IGNORE INTO names (folded) VALUES (new.folded);
    UPDATE jobs SET name_id = (SELECT id FROM names WHERE folded = new.folded) WHERE id = new.id;
END;
"""


def migrate(connection: sqlite3.Connection) -> None:
    """Gather the names that are there, then make what keeps them."""
    run_script(connection, _SCHEMA)
