-- Apps that were removed, and when. An app that is neither among `apps` nor here was lost, and nobody asked for that.
CREATE TABLE removed_apps (
    name TEXT NOT NULL PRIMARY KEY,
    removed_ms INTEGER NOT NULL
) WITHOUT ROWID;
