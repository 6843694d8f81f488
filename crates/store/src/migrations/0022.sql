-- Which keys bound what of their runs goes on (`runs/bounds.rs`), and until when none of a key's runs may be begun any more.
ALTER TABLE tokens ADD COLUMN bounded INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tokens ADD COLUMN rests_until_ms INTEGER;
UPDATE tokens SET bounded = 1 WHERE may IS NOT NULL AND revoked_ms IS NULL AND (may NOT LIKE '%"at_once":null%' OR may LIKE '%"cpu_s_per_day"%');
CREATE INDEX tokens_bounded ON tokens (id) WHERE bounded = 1;
CREATE INDEX tokens_resting ON tokens (rests_until_ms) WHERE rests_until_ms IS NOT NULL;
