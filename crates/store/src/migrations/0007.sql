-- What an owner says about how many instances an app has, as JSON; NULL for what is usual.
ALTER TABLE apps ADD COLUMN scaling TEXT;
-- Whether its owner has stopped it: nothing wakes it.
ALTER TABLE apps ADD COLUMN stopped INTEGER NOT NULL DEFAULT 0;
UPDATE apps SET stopped = 1 WHERE instances = 0;

-- Changes of how many instances there should be, and why.
CREATE TABLE scalings (
    app TEXT NOT NULL REFERENCES apps (name) ON DELETE CASCADE,
    at_ms INTEGER NOT NULL,
    before_count INTEGER NOT NULL,
    after_count INTEGER NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (app, at_ms)
) WITHOUT ROWID;
