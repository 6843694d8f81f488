//! `skylift migrate`: what it takes and what it tells. Doing it is the server's part.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::Context;
use super::problem::Problem;
use super::quantity::{bytes, count};
use super::up::NotUp;

/// Move a platform that is stopped into other stores: from a data folder into a database and an object store, or back
#[derive(Args, Clone, Debug)]
pub(crate) struct MigrateArgs {
    /// The data folder to move from, or the settings file that names the stores
    #[arg(long, value_name = "DIR|FILE")]
    pub(crate) from: PathBuf,
    /// The data folder to move to, or the settings file that names the stores; there must be nothing in them
    #[arg(long, value_name = "DIR|FILE")]
    pub(crate) to: PathBuf,
}

/// What was moved.
#[derive(Debug, Serialize)]
pub(crate) struct Migrated {
    pub(crate) rows: u64,
    pub(crate) tables: Vec<MovedTable>,
    pub(crate) blobs: u64,
    pub(crate) bytes: u64,
    pub(crate) repositories: u64,
    /// Volumes that were not moved, as `app/name`.
    pub(crate) volumes: Vec<String>,
    /// What is left to do by hand.
    pub(crate) next: String,
}

/// One table of it.
#[derive(Debug, Serialize)]
pub(crate) struct MovedTable {
    pub(crate) name: &'static str,
    pub(crate) rows: u64,
    pub(crate) sha256: String,
}

pub(super) type Migrate = fn(&MigrateArgs) -> Result<Migrated, NotUp>;

pub(super) fn run(args: &MigrateArgs, context: &Context, migrate: Migrate) -> Result<(), Problem> {
    let migrated = migrate(args).map_err(|why| why.tell_taken().problem("--from DIR, --to DIR"))?;
    context.output.result(&migrated, |migrated| {
        let (rows, blobs) = (count(migrated.rows, "row"), count(migrated.blobs, "object"));
        let repositories = count(migrated.repositories, "Git history");
        let repositories = repositories.replace("historys", "histories");
        format!(
            "moved {rows}, {blobs} ({}) and {repositories}; all compared by their SHA-256\n{}",
            bytes(migrated.bytes),
            migrated.next
        )
    })
}
