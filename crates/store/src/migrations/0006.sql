-- Deployments that run, and their instances. `runs` says that the artifact is a program and not a site.
ALTER TABLE deployments ADD COLUMN runs INTEGER NOT NULL DEFAULT 0;
-- How many instances of an app there should be at this moment.
ALTER TABLE apps ADD COLUMN instances INTEGER NOT NULL DEFAULT 1;

-- `serves` says whether the app's own address leads to it once it is ready.
CREATE TABLE instances (
    id TEXT PRIMARY KEY,
    app TEXT NOT NULL REFERENCES apps (name) ON DELETE CASCADE,
    deployment TEXT NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
    node TEXT NOT NULL,
    state TEXT NOT NULL,
    serves INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    ready_ms INTEGER,
    ended_ms INTEGER,
    reason TEXT
) WITHOUT ROWID;
CREATE INDEX instances_by_app ON instances (app, id);
CREATE INDEX instances_by_node ON instances (node, state);
