-- What runs of a key came to on one day, counted in days since 1970 (UTC): how many were asked for, and the processor time of those that
-- have ended.
CREATE TABLE run_usage (
    token TEXT NOT NULL,
    day INTEGER NOT NULL,
    runs INTEGER NOT NULL,
    cpu_us INTEGER NOT NULL,
    PRIMARY KEY (token, day)
) WITHOUT ROWID;

-- What one process at a time does for all, who that is and until when, and what it tells of it.
CREATE TABLE leads (
    what TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    until_ms INTEGER NOT NULL,
    told TEXT
) WITHOUT ROWID;
