//! Both databases have the same tables with the same columns.

use std::collections::BTreeSet;

use tokio_postgres::NoTls;

use crate::bench::{Bench, Home};

/// Only a server has them: what migrations it saw, and what each writer committed last.
const OWN_OF_POSTGRES: [&str; 2] = ["schema_version", "writers"];

#[tokio::test]
async fn both_databases_have_the_same_tables_and_columns() {
    let Some(bench) = Bench::postgres().await else { return };
    let Home::Postgres(server) = &bench.home else { unreachable!() };
    let (client, connection) = tokio_postgres::connect(&server.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    let sql = "SELECT table_name::text, column_name::text, data_type::text, is_nullable = 'NO',
         collation_name::text FROM information_schema.columns WHERE table_schema = 'public'";
    let mut there = BTreeSet::new();
    for row in client.query(sql, &[]).await.unwrap() {
        let (table, column, kind): (String, String, String) = (row.get(0), row.get(1), row.get(2));
        if OWN_OF_POSTGRES.contains(&table.as_str()) {
            continue;
        }
        let collation: Option<String> = row.get(4);
        assert_eq!(collation.as_deref(), (kind == "text").then_some("C"), "{table}.{column}");
        there.insert((table, column, kind, row.get::<_, bool>(3)));
    }
    assert_eq!(there, of_sqlite().await);
}

async fn of_sqlite() -> BTreeSet<(String, String, String, bool)> {
    let bench = Bench::sqlite().await;
    let Home::Sqlite(folder) = &bench.home else { unreachable!() };
    let file = rusqlite::Connection::open(folder.path().join("skylift.db")).unwrap();
    let sql = "SELECT tables.name, columns.name, columns.type, columns.\"notnull\" OR columns.pk > 0
         FROM sqlite_master AS tables, pragma_table_info(tables.name) AS columns
         WHERE tables.type = 'table' AND tables.name NOT LIKE 'sqlite_%'";
    let mut statement = file.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| {
        let kind: String = row.get(2)?;
        let kind = match kind.as_str() {
            "INTEGER" => "bigint",
            "BLOB" => "bytea",
            "TEXT" => "text",
            other => other,
        };
        Ok((row.get(0)?, row.get(1)?, kind.to_owned(), row.get(3)?))
    });
    rows.unwrap().map(Result::unwrap).collect()
}
