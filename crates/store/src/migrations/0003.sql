-- The next jobs are found in the order in which they are taken, however many wait.
DROP INDEX jobs_by_state;
CREATE INDEX jobs_by_state ON jobs (state, kind, created_ms, id);
