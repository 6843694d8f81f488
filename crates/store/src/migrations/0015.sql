-- Room on a node that is being made, or about to be free, for an instance that its app must have. Nobody else takes it until then.
CREATE TABLE claims (
    app TEXT NOT NULL PRIMARY KEY REFERENCES apps (name) ON DELETE CASCADE,
    node TEXT NOT NULL,
    memory_bytes INTEGER NOT NULL,
    cpu_millicores INTEGER NOT NULL,
    until_ms INTEGER NOT NULL
) WITHOUT ROWID;
