-- A store as the schema m0011_accounts left it.
BEGIN TRANSACTION;
CREATE TABLE "_sqlite_migrations" (
   "id" INTEGER PRIMARY KEY,
   "migration_set" TEXT,
   "name" TEXT,
   "applied_at" TEXT
);
INSERT INTO "_sqlite_migrations" VALUES(1,'labbox','m0001_people','2026-11-21 03:33:50.529874+00:00');
INSERT INTO "_sqlite_migrations" VALUES(2,'labbox','m0002_jobs','2026-11-21 04:22:04.701405+00:00');
INSERT INTO "_sqlite_migrations" VALUES(3,'labbox','m0003_lists','2026-11-21 10:53:36.652243+00:00');
INSERT INTO "_sqlite_migrations" VALUES(4,'labbox','m0004_groups','2026-11-21 15:20:45.634857+00:00');
INSERT INTO "_sqlite_migrations" VALUES(5,'labbox','m0005_projects','2026-11-21 15:20:45.640787+00:00');
INSERT INTO "_sqlite_migrations" VALUES(6,'labbox','m0006_hosts','2026-11-21 15:20:45.644986+00:00');
INSERT INTO "_sqlite_migrations" VALUES(7,'labbox','m0007_names','2026-11-30 03:11:48.887497+00:00');
INSERT INTO "_sqlite_migrations" VALUES(8,'labbox','m0008_former','2026-11-30 03:11:48.887497+00:00');
INSERT INTO "_sqlite_migrations" VALUES(9,'labbox','m0009_events','2026-11-30 03:38:39.084461+00:00');
INSERT INTO "_sqlite_migrations" VALUES(10,'labbox','m0010_runs_apart','2026-11-30 03:56:01.513670+00:00');
INSERT INTO "_sqlite_migrations" VALUES(11,'labbox','m0011_accounts','2026-11-30 04:45:54.584184+00:00');
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
INSERT INTO "attempts" VALUES(1,1,'labbox-box1-1-1',1795240060000000,100.0,1795240061000000,101.0,0.0,NULL,'boot-1',0.25,'env-1','sha256:0',1795240090000000,30.0,0,'succeeded',NULL,NULL,20.0,1048576);
INSERT INTO "attempts" VALUES(2,1,'labbox-box1-2-1',1795240060000000,100.0,1795240061000000,101.0,0.0,NULL,'boot-1',0.25,'env-1','sha256:0',1795240090000000,30.0,3,'failed','exit','the command ended with exit code 3',20.0,1048576);
INSERT INTO "attempts" VALUES(3,1,'labbox-box1-3-1',1795240060000000,100.0,1795240061000000,101.0,0.0,NULL,'boot-1',0.25,'env-1','sha256:0',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE audit (
    id     INTEGER PRIMARY KEY,
    at     INTEGER NOT NULL,
    who    TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    origin TEXT NOT NULL,
    detail TEXT NOT NULL,
    link   TEXT NOT NULL
) STRICT;
INSERT INTO "audit" VALUES(1,1795232030531150,'box','box create','/var/lib/labbox','box','','757f5b7b5c11336f5d6ceaea21229e992b14cf8054694dede044bd48d39827c1');
INSERT INTO "audit" VALUES(2,1795232030531430,'root','user add','ada','local','uid 70000','5549ea38a97aa652a47da794bb60105b925a65e77748a786944567532106e365');
INSERT INTO "audit" VALUES(3,1795232030531465,'root','user add','grace','local','uid 70001','65a976fe4b24a5e7feaf710febacba1b715f43ec6796cf43d537349e8c66b376');
CREATE TABLE dependencies (
    job   INTEGER NOT NULL REFERENCES jobs (id),
    other INTEGER NOT NULL REFERENCES jobs (id),
    PRIMARY KEY (job, other)
) STRICT, WITHOUT ROWID;
INSERT INTO "dependencies" VALUES(5,4);
CREATE TABLE elements (
    array_id INTEGER NOT NULL REFERENCES jobs (id),
    state    TEXT NOT NULL,
    count    INTEGER NOT NULL,
    PRIMARY KEY (array_id, state)
) STRICT, WITHOUT ROWID;
INSERT INTO "elements" VALUES(6,'queued',2);
CREATE TABLE events (
    cursor INTEGER PRIMARY KEY AUTOINCREMENT,
    at     INTEGER NOT NULL,
    kind   TEXT NOT NULL,
    owner  TEXT NOT NULL,
    job    INTEGER,
    text   TEXT NOT NULL
, state TEXT, attempt INTEGER, reason_code TEXT, reason_text TEXT, exit_code INTEGER, started_at INTEGER, ended_at INTEGER) STRICT;
INSERT INTO "events" VALUES(1,1795240001000000,'job','ada',1,'',NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "events" VALUES(2,1795240060000000,'job','ada',1,'',NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "events" VALUES(3,1795240061000000,'job','ada',1,'',NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "events" VALUES(4,1795240090000000,'job','ada',1,'',NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "events" VALUES(5,1795240091000000,'job','ada',1,'',NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "events" VALUES(6,1795240002000000,'job','grace',2,'',NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "events" VALUES(7,1795240060000000,'job','grace',2,'',NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "events" VALUES(8,1795240061000000,'job','grace',2,'',NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "events" VALUES(9,1795240090000000,'job','grace',2,'',NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "events" VALUES(10,1795240091000000,'job','grace',2,'',NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "events" VALUES(11,1795240003000000,'job','ada',3,'',NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "events" VALUES(12,1795240060000000,'job','ada',3,'',NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "events" VALUES(13,1795240061000000,'job','ada',3,'',NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "events" VALUES(14,1795240004000000,'job','grace',4,'',NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "events" VALUES(15,1795240005000000,'job','grace',5,'',NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "events" VALUES(16,1795240006000000,'job','ada',6,'',NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "events" VALUES(17,1795240007000000,'job','ada',7,'',NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "events" VALUES(18,1795240008000000,'job','ada',8,'',NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "events" VALUES(19,1795240009000000,'job','ada',9,'',NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "events" VALUES(20,1795240095000000,'job','ada',9,'',NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE hosts (
    owner      TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    name       TEXT NOT NULL,  -- [user@]host[:port], as locations have it
    kind       TEXT NOT NULL CHECK (kind IN ('key', 'password')),
    sealed     BLOB NOT NULL,  -- the secret; people/sealing.py says how
    public_key TEXT,           -- of a key: the line that is put on the other machine
    host_keys  TEXT NOT NULL DEFAULT '',  -- the pinned ones, one a line
    created_at INTEGER NOT NULL,
    PRIMARY KEY (owner, name)
) STRICT, WITHOUT ROWID;
INSERT INTO "hosts" VALUES('ada','ada@pc:2222','key',X'00FF1234','ssh-ed25519 AAAA ada','ssh-ed25519 BBBB
ssh-rsa CCCC',1795260000000000);
INSERT INTO "hosts" VALUES('grace','pc','password',X'BEEF',NULL,'',1795260001000000);
CREATE TABLE invitations (
    owner      TEXT PRIMARY KEY REFERENCES users (name) ON DELETE CASCADE,
    hash       TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    opened     INTEGER NOT NULL DEFAULT 0 CHECK (opened IN (0, 1))  -- the code was given at a login
) STRICT;
INSERT INTO "invitations" VALUES('grace','0000000000000000000000000000000000000000000000000000000000000000',4070908800000000,0);
CREATE TABLE job_groups (
    owner    TEXT NOT NULL,
    name     TEXT NOT NULL,
    parallel INTEGER CHECK (parallel > 0),  -- jobs of it that may run at once; NULL: no limit
    PRIMARY KEY (owner, name)
) STRICT, WITHOUT ROWID;
INSERT INTO "job_groups" VALUES('ada','sweeps',2);
INSERT INTO "job_groups" VALUES('grace','transfers',NULL);
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
, folded TEXT NOT NULL DEFAULT '', job_group TEXT, arrives INTEGER NOT NULL DEFAULT 0 CHECK (arrives IN (0, 1)), name_id INTEGER REFERENCES names (id)) STRICT;
INSERT INTO "jobs" VALUES(1,'container',1,'Größe A','ada',NULL,'succeeded',NULL,NULL,1,0,1795240001000000,1795240061000000,1795240091000000,'2026/11/21/1',1.0,1073741824,0,0,3600.0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,'{}',4096,'grösse a',NULL,0,7);
INSERT INTO "jobs" VALUES(2,'container',1,'study','grace',NULL,'failed','exit','the command ended with exit code 3',1,3,1795240002000000,1795240061000000,1795240091000000,'2026/11/21/2',1.0,1073741824,0,0,3600.0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,'{}',4096,'study',NULL,0,2);
INSERT INTO "jobs" VALUES(3,'container',1,'long','ada',NULL,'running',NULL,NULL,1,NULL,1795240003000000,1795240061000000,NULL,'2026/11/21/3',1.0,1073741824,0,0,3600.0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,'{}',NULL,'long','sweeps',0,6);
INSERT INTO "jobs" VALUES(4,'container',1,'held','grace',NULL,'held',NULL,NULL,0,NULL,1795240004000000,NULL,NULL,'2026/11/21/4',1.0,1073741824,0,0,3600.0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,'{}',NULL,'held','transfers',0,3);
INSERT INTO "jobs" VALUES(5,'container',1,'after','grace',NULL,'queued',NULL,NULL,0,NULL,1795240005000000,NULL,NULL,'2026/11/21/5',1.0,1073741824,0,0,3600.0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,'{}',NULL,'after',NULL,1,4);
INSERT INTO "jobs" VALUES(6,'array',1,'sweep','ada',NULL,'queued',NULL,NULL,0,NULL,1795240006000000,NULL,NULL,'2026/11/21/6',1.0,1073741824,0,0,3600.0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,'{}',NULL,'sweep','sweeps',0,5);
INSERT INTO "jobs" VALUES(7,'container',1,'sweep','ada',NULL,'queued',NULL,NULL,0,NULL,1795240007000000,NULL,NULL,'2026/11/21/7',1.0,1073741824,0,0,3600.0,0,NULL,0,NULL,NULL,6,1,NULL,'{"lr":"0.1"}',NULL,'sweep','sweeps',0,5);
INSERT INTO "jobs" VALUES(8,'container',1,'sweep','ada',NULL,'queued',NULL,NULL,0,NULL,1795240008000000,NULL,NULL,'2026/11/21/8',1.0,1073741824,0,0,3600.0,0,NULL,0,NULL,NULL,6,2,NULL,'{"lr":"0.2"}',NULL,'sweep','sweeps',0,5);
INSERT INTO "jobs" VALUES(9,'container',1,'gone','ada',NULL,'cancelled','cancelled','cancelled by ada',0,NULL,1795240009000000,NULL,1795240095000000,'2026/11/21/9',1.0,1073741824,0,0,3600.0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,'{}',NULL,'gone',NULL,0,1);
CREATE TABLE keys (
    owner       TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    fingerprint TEXT NOT NULL,
    line        TEXT NOT NULL,      -- kind and base64, without the comment
    kind        TEXT NOT NULL,
    comment     TEXT NOT NULL,
    added_at    INTEGER NOT NULL,
    last_used   INTEGER,
    PRIMARY KEY (owner, fingerprint)
) STRICT;
INSERT INTO "keys" VALUES('ada','SHA256:old','ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDjjE4o7nWcDnLMn1WVXZ8dTB3XYkYIlwuQ5b2yKCz0r','ssh-ed25519','ada@laptop',1795232030531476,NULL);
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
INSERT INTO "meta" VALUES('audit.head','a490fa82818bc1eaf68d12aa888ca9b08e0d76dd76794c9effe345c07b53fda5');
CREATE TABLE notices (
    id    INTEGER PRIMARY KEY AUTOINCREMENT,
    owner TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    at    INTEGER NOT NULL,
    text  TEXT NOT NULL,
    job   INTEGER,
    seen  INTEGER NOT NULL DEFAULT 0 CHECK (seen IN (0, 1))
) STRICT;
INSERT INTO "notices" VALUES(1,'ada',1795232030531720,'job 17 ended',17,0);
CREATE TABLE project_members (
    project TEXT NOT NULL REFERENCES projects (name) ON DELETE CASCADE,
    member  TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    PRIMARY KEY (project, member)
) STRICT, WITHOUT ROWID;
INSERT INTO "project_members" VALUES('mice','ada');
INSERT INTO "project_members" VALUES('mice','grace');
CREATE TABLE projects (
    name       TEXT PRIMARY KEY,
    gid        INTEGER NOT NULL UNIQUE REFERENCES uids (uid),
    created_at INTEGER NOT NULL
) STRICT;
INSERT INTO "projects" VALUES('mice',70002,1795250000000000);
CREATE TABLE submissions (
    id     INTEGER PRIMARY KEY,
    spec   TEXT NOT NULL,
    handed TEXT NOT NULL
) STRICT;
INSERT INTO "submissions" VALUES(1,'{"path":"study"}','{"command":["python","app.py"],"entry":"app.py","template":"python","code":"tree-1","input":"tree-2"}');
CREATE TABLE tokens (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    owner      TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    label      TEXT NOT NULL,
    scope      TEXT NOT NULL,
    hash       TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    last_used  INTEGER,
    revoked    INTEGER NOT NULL DEFAULT 0 CHECK (revoked IN (0, 1))
) STRICT;
INSERT INTO "tokens" VALUES(1,'ada','nightly','submit','1111111111111111111111111111111111111111111111111111111111111111',1795232030531584,4070908800000000,NULL,0);
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
INSERT INTO "transitions" VALUES(1,1,1795240001000000,'queued',0,NULL,NULL,'ada');
INSERT INTO "transitions" VALUES(2,1,1795240060000000,'preparing',1,NULL,NULL,'');
INSERT INTO "transitions" VALUES(3,1,1795240061000000,'running',1,NULL,NULL,'');
INSERT INTO "transitions" VALUES(4,1,1795240090000000,'collecting',1,NULL,NULL,'');
INSERT INTO "transitions" VALUES(5,1,1795240091000000,'succeeded',1,NULL,NULL,'');
INSERT INTO "transitions" VALUES(6,2,1795240002000000,'queued',0,NULL,NULL,'grace');
INSERT INTO "transitions" VALUES(7,2,1795240060000000,'preparing',1,NULL,NULL,'');
INSERT INTO "transitions" VALUES(8,2,1795240061000000,'running',1,NULL,NULL,'');
INSERT INTO "transitions" VALUES(9,2,1795240090000000,'collecting',1,'exit','the command ended with exit code 3','');
INSERT INTO "transitions" VALUES(10,2,1795240091000000,'failed',1,'exit','the command ended with exit code 3','');
INSERT INTO "transitions" VALUES(11,3,1795240003000000,'queued',0,NULL,NULL,'ada');
INSERT INTO "transitions" VALUES(12,3,1795240060000000,'preparing',1,NULL,NULL,'');
INSERT INTO "transitions" VALUES(13,3,1795240061000000,'running',1,NULL,NULL,'');
INSERT INTO "transitions" VALUES(14,4,1795240004000000,'held',0,NULL,NULL,'grace');
INSERT INTO "transitions" VALUES(15,5,1795240005000000,'queued',0,NULL,NULL,'grace');
INSERT INTO "transitions" VALUES(16,6,1795240006000000,'queued',0,NULL,NULL,'ada');
INSERT INTO "transitions" VALUES(17,7,1795240007000000,'queued',0,NULL,NULL,'ada');
INSERT INTO "transitions" VALUES(18,8,1795240008000000,'queued',0,NULL,NULL,'ada');
INSERT INTO "transitions" VALUES(19,9,1795240009000000,'queued',0,NULL,NULL,'ada');
INSERT INTO "transitions" VALUES(20,9,1795240095000000,'cancelled',0,'cancelled','cancelled by ada','ada');
CREATE TABLE uids (
    uid         INTEGER PRIMARY KEY,
    name        TEXT NOT NULL,
    allotted_at INTEGER NOT NULL
) STRICT;
INSERT INTO "uids" VALUES(70000,'ada',1795232030531366);
INSERT INTO "uids" VALUES(70001,'grace',1795232030531453);
INSERT INTO "uids" VALUES(70002,'mice',1795250000000000);
CREATE TABLE usage (
    owner               TEXT PRIMARY KEY,
    jobs                INTEGER NOT NULL,
    cpu_seconds         REAL NOT NULL,
    memory_byte_seconds REAL NOT NULL,
    recent              REAL NOT NULL,     -- CPU-seconds, decayed to `recent_at`
    recent_at           INTEGER NOT NULL,
    storage             INTEGER NOT NULL DEFAULT 0  -- bytes of results
) STRICT;
INSERT INTO "usage" VALUES('ada',2,20.0,1000000000.0,7.5,1795240091000000,4096);
CREATE TABLE users (
    name         TEXT PRIMARY KEY,
    uid          INTEGER NOT NULL UNIQUE REFERENCES uids (uid),
    gid          INTEGER NOT NULL,
    admin        INTEGER NOT NULL CHECK (admin IN (0, 1)),
    password     TEXT,              -- a PHC string; NULL: no login by password
    running_jobs INTEGER,           -- the limits; NULL: none
    cpus         REAL,
    memory       INTEGER,
    gpus         INTEGER,
    storage      INTEGER,
    created_at   INTEGER NOT NULL,
    last_login   INTEGER,
    leaving      INTEGER NOT NULL DEFAULT 0 CHECK (leaving IN (0, 1))  -- being removed: no login any more
, full_name TEXT NOT NULL DEFAULT '', suspended_at INTEGER, expires_at INTEGER, expiry_told INTEGER NOT NULL DEFAULT 0 CHECK (expiry_told IN (0, 1, 2))) STRICT;
INSERT INTO "users" VALUES('ada',70000,70000,1,NULL,NULL,NULL,NULL,NULL,NULL,1795232030531379,NULL,0,'',NULL,NULL,0);
INSERT INTO "users" VALUES('grace',70001,70001,0,NULL,NULL,2.5,68719476736,NULL,NULL,1795232030531456,NULL,0,'Grace Hopper',NULL,1795832030531456,1);
CREATE TABLE names (
    id     INTEGER PRIMARY KEY,
    folded TEXT NOT NULL UNIQUE
) STRICT;
INSERT INTO "names" VALUES(1,'gone');
INSERT INTO "names" VALUES(2,'study');
INSERT INTO "names" VALUES(3,'held');
INSERT INTO "names" VALUES(4,'after');
INSERT INTO "names" VALUES(5,'sweep');
INSERT INTO "names" VALUES(6,'long');
INSERT INTO "names" VALUES(7,'grösse a');
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('tokens',1);
INSERT INTO "sqlite_sequence" VALUES('notices',1);
INSERT INTO "sqlite_sequence" VALUES('jobs',9);
INSERT INTO "sqlite_sequence" VALUES('events',20);
CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name");
CREATE INDEX tokens_owner ON tokens (owner);
CREATE INDEX notices_owner ON notices (owner, id);
CREATE INDEX jobs_state ON jobs (state);
CREATE INDEX jobs_array ON jobs (array_id, state) WHERE array_id IS NOT NULL;
CREATE INDEX dependencies_other ON dependencies (other);
CREATE INDEX transitions_job ON transitions (job);
CREATE INDEX jobs_group ON jobs (job_group, state, id, owner, array_id) WHERE job_group IS NOT NULL;
CREATE INDEX project_members_member ON project_members (member);
CREATE VIRTUAL TABLE name_parts USING fts5 (
    folded, content = 'names', content_rowid = 'id', tokenize = 'trigram case_sensitive 1', columnsize = 0
);
INSERT INTO name_parts (name_parts) VALUES ('rebuild');
CREATE TRIGGER name_added AFTER INSERT ON names BEGIN
    INSERT INTO name_parts (rowid, folded) VALUES (new.id, new.folded);
END;
CREATE INDEX jobs_named ON jobs (name_id);
CREATE TRIGGER job_named AFTER INSERT ON jobs BEGIN
    INSERT OR IGNORE INTO names (folded) VALUES (new.folded);
    UPDATE jobs SET name_id = (SELECT id FROM names WHERE folded = new.folded) WHERE id = new.id;
END;
CREATE TRIGGER job_renamed AFTER UPDATE OF folded ON jobs BEGIN
    INSERT OR IGNORE INTO names (folded) VALUES (new.folded);
    UPDATE jobs SET name_id = (SELECT id FROM names WHERE folded = new.folded) WHERE id = new.id;
END;
CREATE INDEX jobs_list ON jobs (state, id, owner, array_id, kind, folded);
CREATE INDEX jobs_owner ON jobs (owner, state, id, kind);
CREATE INDEX jobs_files ON jobs (state, id, owner) WHERE kind = 'transfer';
COMMIT;
