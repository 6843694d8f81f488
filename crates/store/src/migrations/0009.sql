-- How a deployment that runs takes the place of what was live (`old`). `share` is in hundredths of a percent of the app's requests;
-- `step` counts the shares that were given, the last at `step_ms`.
CREATE TABLE rollouts (
    deployment TEXT PRIMARY KEY REFERENCES deployments (id) ON DELETE CASCADE,
    app TEXT NOT NULL REFERENCES apps (name) ON DELETE CASCADE,
    old TEXT,
    strategy TEXT NOT NULL,
    state TEXT NOT NULL,
    step INTEGER NOT NULL DEFAULT 0,
    share INTEGER NOT NULL DEFAULT 0,
    step_ms INTEGER,
    began_ms INTEGER NOT NULL,
    ended_ms INTEGER,
    reason TEXT
) WITHOUT ROWID;
CREATE INDEX rollouts_by_app ON rollouts (app, deployment);
