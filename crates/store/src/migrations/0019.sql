-- Who asked for a run by another interface than our own (`via`), and where its end is to be told. `callback_due_ms` is when that is
-- tried next, or until when somebody has it in hand; there is none before the run has settled, and once it was told or given up.
ALTER TABLE runs ADD COLUMN via TEXT;
ALTER TABLE runs ADD COLUMN callback TEXT;
ALTER TABLE runs ADD COLUMN callback_state TEXT;
ALTER TABLE runs ADD COLUMN callback_attempts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN callback_error TEXT;
ALTER TABLE runs ADD COLUMN callback_due_ms INTEGER;
CREATE INDEX runs_callbacks ON runs (callback_due_ms) WHERE callback_due_ms IS NOT NULL;
CREATE INDEX runs_via ON runs (via, id) WHERE via IS NOT NULL;
