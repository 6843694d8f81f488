//! The tables, and how a database is brought up to date: migrations, each applied once, in order.
//!
//! They are written once, in SQLite's words; [`in_postgres_words`] says the same for PostgreSQL.

pub(crate) mod postgres;
pub(crate) mod sqlite;

const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001.sql"),
    include_str!("migrations/0002.sql"),
    include_str!("migrations/0003.sql"),
    include_str!("migrations/0004.sql"),
    include_str!("migrations/0005.sql"),
    include_str!("migrations/0006.sql"),
    include_str!("migrations/0007.sql"),
    include_str!("migrations/0008.sql"),
    include_str!("migrations/0009.sql"),
    include_str!("migrations/0010.sql"),
    include_str!("migrations/0011.sql"),
    include_str!("migrations/0012.sql"),
    include_str!("migrations/0013.sql"),
    include_str!("migrations/0014.sql"),
    include_str!("migrations/0015.sql"),
    include_str!("migrations/0016.sql"),
    include_str!("migrations/0017.sql"),
    include_str!("migrations/0018.sql"),
    include_str!("migrations/0019.sql"),
    include_str!("migrations/0020.sql"),
    include_str!("migrations/0021.sql"),
    include_str!("migrations/0022.sql"),
];

/// The newest version that this program knows.
fn newest() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// The migrations beyond version `found`, with the version each leads to.
fn missing(found: i64) -> impl Iterator<Item = (i64, &'static str)> {
    (1_i64..).zip(MIGRATIONS.iter().copied()).filter(move |(version, _)| *version > found)
}

/// A migration for PostgreSQL. Texts are compared byte by byte there too, whatever the database's language is.
fn in_postgres_words(migration: &str) -> String {
    let replacements = [
        ("INTEGER PRIMARY KEY AUTOINCREMENT", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"),
        (" INTEGER", " BIGINT"),
        (" BLOB", " BYTEA"),
        (" TEXT", " TEXT COLLATE \"C\""),
        (") WITHOUT ROWID", ")"),
    ];
    replacements.into_iter().fold(migration.to_owned(), |sql, (from, to)| sql.replace(from, to))
}
