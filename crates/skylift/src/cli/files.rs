//! `skylift files`: what was sent with a deployment, and what the build made of it.

use clap::Args;
use skylift_client::Client;
use skylift_client::client::Side;
use skylift_model::wire::FileList;
use skylift_model::{AppName, DeploymentId, FilePath};

use super::Context;
use super::clean::clean_lines;
use super::output::stdout_is_terminal;
use super::problem::Problem;
use super::quantity::bytes;
use super::table::table;
use super::target::Target;

/// List a deployment's files, or print one
#[derive(Args)]
pub(crate) struct FilesArgs {
    /// The deployment, or the app whose live one is meant
    #[arg(value_name = "DEPLOYMENT|APP")]
    of: Target,
    /// The file to print; the list of all where none is given
    path: Option<FilePath>,
    /// What was sent
    #[arg(long, conflicts_with = "built")]
    source: bool,
    /// What the build made of it (the default)
    #[arg(long)]
    built: bool,
}

pub(super) async fn run(args: FilesArgs, context: &Context) -> Result<(), Problem> {
    let client = context.client()?;
    let side = if args.source { Side::Source } else { Side::Built };
    let id = match args.of {
        Target::Deployment(id) => id,
        Target::App(app) => live(&client, &app).await?,
    };
    match &args.path {
        Some(path) => print(&client, &id, side, path, context).await,
        None => list(&client, &id, side, context).await,
    }
}

async fn live(client: &Client, app: &AppName) -> Result<DeploymentId, Problem> {
    client.app(app).await?.live.ok_or_else(|| Problem::NotFound {
        message: format!("{app} has nothing live"),
        hint: format!("name one of its deployments; `skylift deployments {app}` lists them"),
    })
}

async fn list(client: &Client, id: &DeploymentId, side: Side, context: &Context) -> Result<(), Problem> {
    let list = FileList { files: client.files(id, side).await? };
    context.output.result(&list, |list| {
        let rows = list.files.iter().map(|file| {
            let digest: String = file.sha256.to_string().chars().take(12).collect();
            [file.mode.as_str().to_owned(), digest, bytes(file.size), file.path.to_string()]
        });
        table(["MODE", "SHA-256", "SIZE", "PATH"], rows)
    })
}

/// Prints a file's bytes as they are, except on a terminal, which must not obey them.
async fn print(
    client: &Client,
    id: &DeploymentId,
    side: Side,
    path: &FilePath,
    context: &Context,
) -> Result<(), Problem> {
    let mut file = client.file(id, side, path).await?;
    let is_terminal = stdout_is_terminal();
    while let Some(bytes) = file.next().await? {
        if is_terminal {
            context.output.text(&clean_lines(&String::from_utf8_lossy(&bytes)))?;
        } else {
            context.output.bytes(&bytes)?;
        }
    }
    Ok(())
}
