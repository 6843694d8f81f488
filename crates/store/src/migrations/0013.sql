-- Databases of apps that are being made on the owner's server, noted before anything of them is there.
CREATE TABLE databases_begun (
    place TEXT NOT NULL PRIMARY KEY,
    begun_ms INTEGER NOT NULL
) WITHOUT ROWID;
