//! `skylift volume`: the volumes of an app.

use clap::{Args, Subcommand};
use skylift_model::volume::{MountPath, Writers};
use skylift_model::wire::{CreateVolume, Volume, VolumeList};
use skylift_model::{AppName, VolumeName};

use super::Context;
use super::kept::{RmArgs, rm, say_who_has_it};
use super::output::say;
use super::problem::Problem;
use super::quantity::{ago, now};
use super::table::table;

/// Create, list and delete volumes of an app: folders that outlive its instances
#[derive(Args)]
pub(crate) struct VolumeArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Create a volume; the app's instances are replaced by some that have it
    Create {
        /// Its name
        name: VolumeName,
        /// The app
        #[arg(long)]
        app: AppName,
        /// Where the app sees it
        #[arg(long, value_name = "PATH", default_value = skylift_model::volume::USUAL_PATH)]
        path: MountPath,
        /// Any number of instances may have it at a time; without, one
        #[arg(long)]
        shared: bool,
    },
    /// List the volumes of an app
    Ls {
        /// The app
        #[arg(long)]
        app: AppName,
    },
    /// Delete a volume with everything in it
    Rm(RmArgs),
}

pub(super) async fn run(args: VolumeArgs, context: &Context) -> Result<(), Problem> {
    let client = context.client()?;
    match args.verb {
        Verb::Create { name, app, path, shared } => {
            let writers = if shared { Writers::Many } else { Writers::One };
            let made = client.create_volume(&app, &CreateVolume { name, path, writers }).await?;
            say(&format!("{app} sees it at {}", made.path));
            let one_has = (made.writers == Writers::One).then_some("has it");
            say_who_has_it(&client, &app, "the volume", one_has).await;
            context.output.result(&made, |made| made.name.to_string())
        }
        Verb::Ls { app } => {
            let list = client.volumes(&app).await?;
            if list.volumes.is_empty() {
                say(&format!("{app} has no volume; `skylift volume create NAME --app {app}` makes one"));
            }
            context.output.result(&list, whole)
        }
        Verb::Rm(args) => rm(args, context, "volume", async |app, name| client.delete_volume(app, name).await).await,
    }
}

fn whole(list: &VolumeList) -> String {
    let row = |volume: &Volume| {
        let of = if volume.database { "a database" } else { "files" };
        let made = ago(volume.created_at, now());
        [volume.name.to_string(), volume.path.to_string(), volume.writers.as_str().to_owned(), of.to_owned(), made]
    };
    table(["NAME", "PATH", "WRITERS", "HOLDS", "CREATED"], list.volumes.iter().map(row))
}
