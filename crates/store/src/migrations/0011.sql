-- Folders that outlive instances. `kind` is 'sqlite' where a database's file is in one. No reference to `apps`: what was written is
-- never removed by the way; `removed_ms` says that its owner asked for it, and the row goes once the folder has.
CREATE TABLE volumes (
    id TEXT PRIMARY KEY,
    app TEXT NOT NULL,
    slot INTEGER NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    path TEXT NOT NULL,
    writers TEXT NOT NULL,
    node TEXT,
    created_ms INTEGER NOT NULL,
    removed_ms INTEGER
) WITHOUT ROWID;
CREATE INDEX volumes_by_app ON volumes (app, id);

-- Databases on the owner's server, each with a role of its own of the same name there (`place`). `sealed` is the role's password.
CREATE TABLE databases (
    app TEXT NOT NULL,
    name TEXT NOT NULL,
    place TEXT NOT NULL,
    sealed BLOB NOT NULL,
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (app, name)
) WITHOUT ROWID;
