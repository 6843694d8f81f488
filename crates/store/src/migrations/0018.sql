-- What models have done for a key on one day, counted in days since 1970 (UTC).
CREATE TABLE ai_usage (
    token TEXT NOT NULL,
    day INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    PRIMARY KEY (token, day)
) WITHOUT ROWID;
