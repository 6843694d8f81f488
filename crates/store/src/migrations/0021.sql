-- Which of the runs of a priority goes first (`runs/turns.rs`), by which of its fences a run was begun, and how often it was lost unbegun.
ALTER TABLE runs ADD COLUMN turn INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN begun INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN lost INTEGER NOT NULL DEFAULT 0;
DROP INDEX runs_waiting;
CREATE INDEX runs_waiting ON runs (priority DESC, turn, id) WHERE state = 'queued';
CREATE INDEX runs_turns ON runs (token, priority, turn) WHERE state = 'queued';
