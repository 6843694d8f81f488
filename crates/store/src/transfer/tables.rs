//! Which tables are moved, parents first.

/// A table: its name, its columns, and how many of the first ones are its key.
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) columns: &'static [&'static str],
    pub(super) key: usize,
}

const fn table(name: &'static str, key: usize, columns: &'static [&'static str]) -> Table {
    Table { name, columns, key }
}

/// Every table but `edges`, `nodes`, `workers`, `leads`, `instances` and `claims`, which tell who serves, where, and what runs, or waits to, at this moment.
pub(super) const TABLES: &[Table] = &[
    table(
        "apps",
        1,
        &[
            "name",
            "slot",
            "created_ms",
            "generation",
            "activation",
            "env_version",
            "instances",
            "scaling",
            "stopped",
            "restarted_ms",
            "net",
            "template_last",
            "instance_type",
        ],
    ),
    table("scalings", 2, &["app", "at_ms", "before_count", "after_count", "reason"]),
    table("counters", 1, &["name", "value"]),
    table("uploads", 1, &["id", "app", "manifest", "files", "bytes", "created_ms", "git_commit"]),
    table("upload_missing", 2, &["upload", "digest"]),
    table("app_blobs", 2, &["app", "digest"]),
    table(
        "deployments",
        1,
        &[
            "id",
            "app",
            "state",
            "source",
            "dir",
            "upload",
            "secret",
            "plan",
            "artifact",
            "env_version",
            "failure",
            "created_ms",
            "started_ms",
            "finished_ms",
            "runs",
            "released",
        ],
    ),
    table("activations", 1, &["id", "app", "generation", "deployment", "below", "at_ms"]),
    table(
        "jobs",
        1,
        &[
            "id",
            "kind",
            "lane",
            "subject",
            "state",
            "created_ms",
            "visible_ms",
            "lease_until_ms",
            "fence",
            "attempts",
            "attempts_max",
            "error",
        ],
    ),
    table("events", 2, &["deployment", "seq", "at_ms", "state", "message"]),
    table("log_lines", 2, &["deployment", "seq", "at_ms", "step", "stream", "text"]),
    table("env_versions", 2, &["app", "version", "sealed", "at_ms"]),
    table(
        "tokens",
        1,
        &["id", "name", "sha256", "created_ms", "expires_ms", "revoked_ms", "may", "bounded", "rests_until_ms"],
    ),
    table("ai_usage", 2, &["token", "day", "requests", "prompt_tokens", "completion_tokens"]),
    table("run_usage", 2, &["token", "day", "runs", "cpu_us"]),
    table("idempotency", 2, &["token", "key", "request", "status", "body", "at_ms"]),
    table("facts", 1, &["name", "value"]),
    table(
        "rollouts",
        1,
        &[
            "deployment",
            "app",
            "old",
            "strategy",
            "state",
            "step",
            "share",
            "step_ms",
            "began_ms",
            "ended_ms",
            "reason",
        ],
    ),
    table("templates", 2, &["app", "version", "deployment", "env_version", "digest", "template", "at_ms"]),
    table("process_counts", 2, &["app", "process", "wanted"]),
    table("volumes", 1, &["id", "app", "slot", "name", "kind", "path", "writers", "node", "created_ms", "removed_ms"]),
    table("databases", 2, &["app", "name", "place", "sealed", "created_ms"]),
    table("databases_begun", 1, &["place", "begun_ms"]),
    table("removed_apps", 1, &["name", "removed_ms"]),
    table("git_packs", 2, &["app", "seq", "sha256"]),
    table(
        "runs",
        1,
        &[
            "id",
            "token",
            "language",
            "state",
            "priority",
            "sha256",
            "job",
            "ttl_ms",
            "attempts",
            "fence",
            "worker",
            "visible_ms",
            "lease_until_ms",
            "status",
            "ending",
            "ending_sha256",
            "error",
            "created_ms",
            "finished_ms",
            "forget_ms",
            "via",
            "callback",
            "callback_state",
            "callback_attempts",
            "callback_error",
            "callback_due_ms",
            "turn",
            "begun",
            "lost",
        ],
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// A table or a column that a migration adds must be added here, or it would be left behind.
    #[test]
    fn every_table_and_column_is_moved() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("skylift.db");
        drop(crate::Store::open(&path).unwrap());
        let file = rusqlite::Connection::open(&path).unwrap();
        let sql = "SELECT tables.name, columns.name, columns.pk FROM sqlite_master AS tables,
             pragma_table_info(tables.name) AS columns
             WHERE tables.type = 'table' AND tables.name NOT LIKE 'sqlite_%' AND tables.name NOT IN ('edges', 'nodes', 'workers', 'leads', 'instances', 'claims')";
        let mut statement = file.prepare(sql).unwrap();
        let mut there: BTreeMap<String, Vec<(String, i64)>> = BTreeMap::new();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?)))).unwrap();
        for row in rows {
            let (table, column): (String, (String, i64)) = row.unwrap();
            there.entry(table).or_default().push(column);
        }
        let key = |table: &Table, at: usize| if at < table.key { i64::try_from(at).unwrap() + 1 } else { 0 };
        let column = |table: &Table, at: usize, name: &str| (name.to_owned(), key(table, at));
        let here: BTreeMap<String, Vec<(String, i64)>> = TABLES
            .iter()
            .map(|table| {
                let columns = table.columns.iter().enumerate().map(|(at, name)| column(table, at, name)).collect();
                (table.name.to_owned(), columns)
            })
            .collect();
        assert_eq!(here, there);
    }
}
