-- Runs that are not over with their request: what is to be run, who has it, and what came of it. What waits goes by priority, then by age.
CREATE TABLE runs (
    id TEXT NOT NULL PRIMARY KEY,
    token TEXT NOT NULL,
    language TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'queued',
    priority INTEGER NOT NULL,
    sha256 BLOB NOT NULL,
    job TEXT,
    ttl_ms INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    fence INTEGER NOT NULL DEFAULT 0,
    worker TEXT,
    visible_ms INTEGER NOT NULL,
    lease_until_ms INTEGER,
    status TEXT,
    ending TEXT,
    ending_sha256 BLOB,
    error TEXT,
    created_ms INTEGER NOT NULL,
    finished_ms INTEGER,
    forget_ms INTEGER
);
CREATE INDEX runs_waiting ON runs (priority DESC, id) WHERE state = 'queued';
CREATE INDEX runs_running ON runs (lease_until_ms) WHERE state = 'running';
CREATE INDEX runs_settled ON runs (forget_ms) WHERE forget_ms IS NOT NULL;
CREATE INDEX runs_token ON runs (token, id);

-- Who runs code, what each offers and does; told again and again.
CREATE TABLE workers (
    name TEXT NOT NULL PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    told TEXT NOT NULL
) WITHOUT ROWID;
