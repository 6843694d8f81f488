-- What a user owns. `slot` numbers apps for the uid their builds run as; `activation` is the top of the stack of
-- what was live; `env_version` is the environment the next deployment is built with.
CREATE TABLE apps (
    name TEXT PRIMARY KEY,
    slot INTEGER NOT NULL UNIQUE,
    created_ms INTEGER NOT NULL,
    generation INTEGER NOT NULL DEFAULT 0,
    activation INTEGER,
    env_version INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

-- Numbers that are never given out twice.
CREATE TABLE counters (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;

-- Files sent in one go. `manifest` names a blob with the list of them.
CREATE TABLE uploads (
    id TEXT PRIMARY KEY,
    app TEXT NOT NULL REFERENCES apps (name) ON DELETE CASCADE,
    manifest BLOB NOT NULL,
    files INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    git_commit TEXT
) WITHOUT ROWID;
CREATE INDEX uploads_by_app ON uploads (app);

-- What an upload still waits for.
CREATE TABLE upload_missing (
    upload TEXT NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
    digest BLOB NOT NULL,
    PRIMARY KEY (upload, digest)
) WITHOUT ROWID;

-- What an app has sent before; nobody learns from it what other apps sent.
CREATE TABLE app_blobs (
    app TEXT NOT NULL REFERENCES apps (name) ON DELETE CASCADE,
    digest BLOB NOT NULL,
    PRIMARY KEY (app, digest)
) WITHOUT ROWID;

CREATE TABLE deployments (
    id TEXT PRIMARY KEY,
    app TEXT NOT NULL REFERENCES apps (name) ON DELETE CASCADE,
    state TEXT NOT NULL,
    source TEXT NOT NULL,
    dir TEXT,
    upload TEXT REFERENCES uploads (id),
    secret BLOB,
    plan TEXT,
    artifact BLOB,
    env_version INTEGER NOT NULL,
    failure TEXT,
    created_ms INTEGER NOT NULL,
    started_ms INTEGER,
    finished_ms INTEGER
) WITHOUT ROWID;
CREATE INDEX deployments_by_app ON deployments (app, id);
CREATE INDEX deployments_by_state ON deployments (state);
CREATE INDEX deployments_by_upload ON deployments (upload);

-- Every change of what is live. `below` is what a rollback goes back to.
CREATE TABLE activations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    app TEXT NOT NULL REFERENCES apps (name) ON DELETE CASCADE,
    generation INTEGER NOT NULL,
    deployment TEXT NOT NULL,
    below INTEGER,
    at_ms INTEGER NOT NULL,
    UNIQUE (app, generation)
);

-- Leased work. At most one job of a lane is leased at a time. `fence` grows with every lease and is checked where
-- the job's effect is committed.
CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    lane TEXT NOT NULL,
    subject TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'ready',
    created_ms INTEGER NOT NULL,
    visible_ms INTEGER NOT NULL,
    lease_until_ms INTEGER,
    fence INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    attempts_max INTEGER NOT NULL,
    error TEXT
) WITHOUT ROWID;
CREATE INDEX jobs_by_state ON jobs (state, kind, visible_ms);
CREATE INDEX jobs_by_lane ON jobs (lane, state);
CREATE INDEX jobs_by_subject ON jobs (subject);

CREATE TABLE events (
    deployment TEXT NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    state TEXT NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (deployment, seq)
) WITHOUT ROWID;

CREATE TABLE log_lines (
    deployment TEXT NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    step TEXT NOT NULL,
    stream TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (deployment, seq)
) WITHOUT ROWID;

-- Sealed environments; every change is a new version.
CREATE TABLE env_versions (
    app TEXT NOT NULL REFERENCES apps (name) ON DELETE CASCADE,
    version INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (app, version)
) WITHOUT ROWID;

-- API tokens: id and SHA-256 only.
CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    sha256 BLOB NOT NULL UNIQUE,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER,
    revoked_ms INTEGER
) WITHOUT ROWID;

-- Which request a key was used with and what it made.
CREATE TABLE idempotency (
    token TEXT NOT NULL,
    key TEXT NOT NULL,
    request BLOB NOT NULL,
    resource TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (token, key)
) WITHOUT ROWID;
