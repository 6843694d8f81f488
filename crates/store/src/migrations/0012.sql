-- What instances are started from, by number, and what they take of their node.
CREATE TABLE templates (
    app TEXT NOT NULL REFERENCES apps (name) ON DELETE CASCADE,
    version INTEGER NOT NULL,
    deployment TEXT NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
    env_version INTEGER NOT NULL,
    digest BLOB NOT NULL,
    template TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (app, version),
    UNIQUE (app, digest)
) WITHOUT ROWID;
ALTER TABLE apps ADD COLUMN template_last INTEGER NOT NULL DEFAULT 0;
ALTER TABLE apps ADD COLUMN instance_type TEXT;
ALTER TABLE instances ADD COLUMN template INTEGER;
ALTER TABLE instances ADD COLUMN memory_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE instances ADD COLUMN cpu_millicores INTEGER NOT NULL DEFAULT 0;
ALTER TABLE instances ADD COLUMN unhealthy_ms INTEGER;

CREATE TABLE nodes (
    name TEXT PRIMARY KEY,
    memory_bytes INTEGER NOT NULL,
    cpu_millicores INTEGER NOT NULL,
    at_ms INTEGER NOT NULL
) WITHOUT ROWID;
