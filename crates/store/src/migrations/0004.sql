-- What the platform knows of itself, such as the fingerprint of its master key.
CREATE TABLE facts (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

-- Edges that serve: each for as long as it renews its row.
CREATE TABLE edges (
    name TEXT PRIMARY KEY,
    until_ms INTEGER NOT NULL
) WITHOUT ROWID;

-- Where several processes share the rows: the Git objects of an app's commits, oldest first. `sha256` names a blob.
CREATE TABLE git_packs (
    app TEXT NOT NULL REFERENCES apps (name) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    sha256 BLOB NOT NULL,
    PRIMARY KEY (app, seq)
) WITHOUT ROWID;
