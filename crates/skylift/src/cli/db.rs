//! `skylift db`: the databases of an app.

use clap::{Args, Subcommand, ValueEnum};
use skylift_client::Client;
use skylift_model::volume::{DatabaseKind, MountPath};
use skylift_model::wire::{CreateDatabase, Database, DatabaseList};
use skylift_model::{AppName, VolumeName};

use super::Context;
use super::clean::clean;
use super::kept::{RmArgs, rm, say_who_has_it};
use super::output::say;
use super::problem::Problem;
use super::quantity::{ago, now};
use super::table::table;

/// Create, list and delete databases of an app, which finds them by DATABASE_URL
#[derive(Args)]
pub(crate) struct DbArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Create a database; the app's instances are replaced by some that have it
    Create {
        /// Its name
        name: VolumeName,
        /// The app
        #[arg(long)]
        app: AppName,
        /// What it is; left out, PostgreSQL where the platform's owner has a server for it, else SQLite
        #[arg(long)]
        kind: Option<Kind>,
        /// Of SQLite: the folder that the app sees its file in
        #[arg(long, value_name = "PATH")]
        path: Option<MountPath>,
    },
    /// List the databases of an app
    Ls {
        /// The app
        #[arg(long)]
        app: AppName,
    },
    /// Delete a database with everything in it
    Rm(RmArgs),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// A file on a volume, for one instance
    Sqlite,
    /// A database and a role of its own on the owner's server
    Postgres,
}

pub(super) async fn run(args: DbArgs, context: &Context) -> Result<(), Problem> {
    let client = context.client()?;
    match args.verb {
        Verb::Create { name, app, kind, path } => {
            let kind = kind.map(|kind| match kind {
                Kind::Sqlite => DatabaseKind::Sqlite,
                Kind::Postgres => DatabaseKind::Postgres,
            });
            let made = client.create_database(&app, &CreateDatabase { name, kind, path }).await?;
            say(&format!("{app} finds it by {}", made.variables.join(", ")));
            let one_writes = (made.kind == DatabaseKind::Sqlite).then_some("writes to it");
            say_who_has_it(&client, &app, "the database", one_writes).await;
            say_when_released(&client, &app).await;
            let own = client.env(&app).await?;
            if let Some(set) =
                own.variables.iter().find(|own| made.variables.iter().any(|name| name == own.name.as_str()))
            {
                say(&format!(
                    "{0} of `skylift env` wins over it; `skylift env unset {app} {0}` lets it count",
                    set.name
                ));
            }
            context.output.result(&made, |made| made.name.to_string())
        }
        Verb::Ls { app } => {
            let list = client.databases(&app).await?;
            if list.databases.is_empty() {
                say(&format!("{app} has no database; `skylift db create NAME --app {app}` makes one"));
            }
            context.output.result(&list, whole)
        }
        Verb::Rm(args) => {
            rm(args, context, "database", async |app, name| client.delete_database(app, name).await).await
        }
    }
}

/// What is live ran its release command without the database: whoever makes tables there waits for the next deploy. That this cannot be
/// had is no failure.
async fn say_when_released(client: &Client, app: &AppName) {
    let Some(live) = client.app(app).await.ok().and_then(|app| app.live) else { return };
    let plan = client.deployment(&live).await.ok().and_then(|live| live.plan);
    if let Some(release) = plan.and_then(|plan| plan.release) {
        say(&when_released(app, &release));
    }
}

fn when_released(app: &AppName, release: &str) -> String {
    let release = clean(release);
    format!("the release command of {app}, `{release}`, runs with it at the next deploy; until then it is empty")
}

fn whole(list: &DatabaseList) -> String {
    let kind = |database: &Database| match database.kind {
        DatabaseKind::Sqlite => "SQLite",
        DatabaseKind::Postgres => "PostgreSQL",
    };
    let row = |database: &Database| {
        let made = ago(database.created_at, now());
        [database.name.to_string(), kind(database).to_owned(), database.variables.join(" "), made]
    };
    table(["NAME", "KIND", "VARIABLES", "CREATED"], list.databases.iter().map(row))
}
