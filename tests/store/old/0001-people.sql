-- A store as the schema m0001_people left it.
BEGIN TRANSACTION;
CREATE TABLE "_sqlite_migrations" (
   "id" INTEGER PRIMARY KEY,
   "migration_set" TEXT,
   "name" TEXT,
   "applied_at" TEXT
);
INSERT INTO "_sqlite_migrations" VALUES(1,'labbox','m0001_people','2026-11-21 03:33:50.529874+00:00');
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
CREATE TABLE invitations (
    owner      TEXT PRIMARY KEY REFERENCES users (name) ON DELETE CASCADE,
    hash       TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    opened     INTEGER NOT NULL DEFAULT 0 CHECK (opened IN (0, 1))  -- the code was given at a login
) STRICT;
INSERT INTO "invitations" VALUES('grace','0000000000000000000000000000000000000000000000000000000000000000',4070908800000000,0);
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
CREATE TABLE uids (
    uid         INTEGER PRIMARY KEY,
    name        TEXT NOT NULL,
    allotted_at INTEGER NOT NULL
) STRICT;
INSERT INTO "uids" VALUES(70000,'ada',1795232030531366);
INSERT INTO "uids" VALUES(70001,'grace',1795232030531453);
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
) STRICT;
INSERT INTO "users" VALUES('ada',70000,70000,1,NULL,NULL,NULL,NULL,NULL,NULL,1795232030531379,NULL,0);
INSERT INTO "users" VALUES('grace',70001,70001,0,NULL,NULL,2.5,68719476736,NULL,NULL,1795232030531456,NULL,0);
CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name");
CREATE INDEX tokens_owner ON tokens (owner);
CREATE INDEX notices_owner ON notices (owner, id);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('tokens',1);
INSERT INTO "sqlite_sequence" VALUES('notices',1);
COMMIT;
