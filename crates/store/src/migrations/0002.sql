-- A key keeps the answer of its request. Keys recorded before kept only what was made, from which no answer follows.
DROP TABLE idempotency;
CREATE TABLE idempotency (
    token TEXT NOT NULL,
    key TEXT NOT NULL,
    request BLOB NOT NULL,
    status INTEGER NOT NULL,
    body BLOB NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (token, key)
);
CREATE INDEX idempotency_by_time ON idempotency (at_ms);
