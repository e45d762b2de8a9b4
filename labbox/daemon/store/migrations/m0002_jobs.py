"""Jobs, what was handed in with them, their attempts, their history, the events, what each user took."""

from __future__ import annotations

import sqlite3
from typing import Final

from labbox.daemon.store.scripts import run_script

_SCHEMA: Final = """
-- What was handed in: one row for a whole array. `spec` as the person asked, `handed` as understood (JSON).
CREATE TABLE submissions (
    id     INTEGER PRIMARY KEY,
    spec   TEXT NOT NULL,
    handed TEXT NOT NULL
) STRICT;

CREATE TABLE jobs (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    kind         TEXT NOT NULL,
    submission   INTEGER NOT NULL REFERENCES submissions (id),
    name         TEXT NOT NULL,
    owner        TEXT NOT NULL,     -- no reference: jobs outlive a removed person
    project      TEXT,
    state        TEXT NOT NULL,
    reason_code  TEXT,
    reason_text  TEXT,
    attempt      INTEGER NOT NULL DEFAULT 0,
    exit_code    INTEGER,
    submitted_at INTEGER NOT NULL,
    started_at   INTEGER,
    ended_at     INTEGER,
    results      TEXT NOT NULL,     -- YYYY/MM/DD/ID
    cpus         REAL NOT NULL,
    memory       INTEGER NOT NULL,
    gpus         INTEGER NOT NULL,
    priority     INTEGER NOT NULL,
    time_limit   REAL,              -- seconds
    retries      INTEGER NOT NULL,  -- new attempts that the rule still allows
    not_before   INTEGER,
    backing_off  INTEGER NOT NULL DEFAULT 0 CHECK (backing_off IN (0, 1)),  -- not_before is a retry's
    stop         TEXT,              -- 'cancel' or 'kill', once somebody asked for it
    stop_by      TEXT,
    array_id     INTEGER REFERENCES jobs (id),
    array_index  INTEGER,
    parallel     INTEGER,           -- of an array and its elements
    parameters   TEXT NOT NULL DEFAULT '{}',  -- of an element: the sweep's values (JSON)
    output_bytes INTEGER
) STRICT;
CREATE INDEX jobs_state ON jobs (state);
CREATE INDEX jobs_owner ON jobs (owner, state);
CREATE INDEX jobs_array ON jobs (array_id, state) WHERE array_id IS NOT NULL;
CREATE INDEX jobs_name ON jobs (name);

-- One row per job and job that it waits for; kept when the other has ended, as part of what was asked.
CREATE TABLE dependencies (
    job   INTEGER NOT NULL REFERENCES jobs (id),
    other INTEGER NOT NULL REFERENCES jobs (id),
    PRIMARY KEY (job, other)
) STRICT, WITHOUT ROWID;
CREATE INDEX dependencies_other ON dependencies (other);

-- How many elements of an array are in each state.
CREATE TABLE elements (
    array_id INTEGER NOT NULL REFERENCES jobs (id),
    state    TEXT NOT NULL,
    count    INTEGER NOT NULL,
    PRIMARY KEY (array_id, state)
) STRICT, WITHOUT ROWID;

-- `container` is the intent: it is stored before the container is made.
CREATE TABLE attempts (
    job          INTEGER NOT NULL REFERENCES jobs (id),
    number       INTEGER NOT NULL,
    container    TEXT NOT NULL,
    begun_at     INTEGER NOT NULL,  -- it holds resources from here
    begun_boot   REAL NOT NULL,     -- the same on the clock of this boot, in seconds; see clock.py
    running_at   INTEGER,
    running_boot REAL,
    paused       REAL NOT NULL DEFAULT 0,  -- seconds that do not count against the time limit
    paused_boot  REAL,              -- since when it is paused
    boot         TEXT NOT NULL,     -- which boot those two clocks are of
    rate         REAL NOT NULL,     -- what it costs per second, in CPUs
    environment  TEXT,
    image        TEXT,
    ended_at     INTEGER,
    seconds      REAL,              -- how long it held its resources
    exit_code    INTEGER,
    state        TEXT,
    reason_code  TEXT,
    reason_text  TEXT,
    cpu_seconds  REAL,
    peak_memory  INTEGER,
    PRIMARY KEY (job, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE transitions (
    id          INTEGER PRIMARY KEY,
    job         INTEGER NOT NULL REFERENCES jobs (id),
    at          INTEGER NOT NULL,
    state       TEXT NOT NULL,
    attempt     INTEGER NOT NULL,
    reason_code TEXT,
    reason_text TEXT,
    by          TEXT NOT NULL
) STRICT;
CREATE INDEX transitions_job ON transitions (job);

CREATE TABLE events (
    cursor INTEGER PRIMARY KEY AUTOINCREMENT,
    at     INTEGER NOT NULL,
    kind   TEXT NOT NULL,
    owner  TEXT NOT NULL,
    job    INTEGER,
    text   TEXT NOT NULL
) STRICT;

CREATE TABLE usage (
    owner               TEXT PRIMARY KEY,
    jobs                INTEGER NOT NULL,
    cpu_seconds         REAL NOT NULL,
    memory_byte_seconds REAL NOT NULL,
    recent              REAL NOT NULL,     -- CPU-seconds, decayed to `recent_at`
    recent_at           INTEGER NOT NULL,
    storage             INTEGER NOT NULL DEFAULT 0  -- bytes of results
) STRICT;
"""


def migrate(connection: sqlite3.Connection) -> None:
    """Make the tables."""
    run_script(connection, _SCHEMA)
