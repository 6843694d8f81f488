-- What an app runs beside what answers requests. `process` names a line of the Procfile; `command` is that of a one-off run.
ALTER TABLE instances ADD COLUMN process TEXT NOT NULL DEFAULT 'web';
ALTER TABLE instances ADD COLUMN command TEXT;
ALTER TABLE instances ADD COLUMN exit_code INTEGER;
-- Whether the release command of a deployment has come to a good end.
ALTER TABLE deployments ADD COLUMN released INTEGER NOT NULL DEFAULT 0;
-- Instances from before are replaced, one by one.
ALTER TABLE apps ADD COLUMN restarted_ms INTEGER NOT NULL DEFAULT 0;

-- How many instances of a process other than `web` there should be, where that is not one.
CREATE TABLE process_counts (
    app TEXT NOT NULL REFERENCES apps (name) ON DELETE CASCADE,
    process TEXT NOT NULL,
    wanted INTEGER NOT NULL,
    PRIMARY KEY (app, process)
) WITHOUT ROWID;
