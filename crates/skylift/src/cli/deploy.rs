//! `skylift deploy`: from a folder, an archive or a Git repository to a live address.
//!
//! 1. See what the source is and which app it belongs to, before anything is sent. 2. Create the app where there is none, and where the
//!    source holds something to deploy. 3. Send the source. 4. Wait, showing what happens. 5. Say how it ended.

mod ended;
mod link;
mod order;
mod progress;
mod source;
mod too_large;
mod watch;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use clap::Args;
use skylift_client::folder::{Walked, walk};
use skylift_client::{Client, ClientError, Folder, upload};
use skylift_model::AppName;
use skylift_model::wire::{Code, Deployment, GitSource};

use super::Context;
use super::detect::{Detect, require_dir};
use super::left_out::LeftOut;
use super::output::say;
use super::problem::Problem;
use super::quantity::{bytes, count};
use crate::data_dir::cache_dir;
use link::Link;
use progress::Progress;
use source::Source;

/// Deploy a folder, an archive or a Git repository
#[derive(Args)]
pub(crate) struct DeployArgs {
    /// A folder, an archive (.tar, .tar.gz, .tar.zst, .zip) or the address of a Git repository
    #[arg(default_value = ".")]
    source: String,
    /// The app to deploy to, created where it does not exist [default: as before, else named after the source]
    #[arg(long, value_name = "NAME")]
    app: Option<AppName>,
    /// The branch or tag of the Git repository [default: the repository's own]
    #[arg(long, value_name = "B")]
    branch: Option<String>,
    /// The folder of the source that holds the project
    #[arg(long, value_name = "SUB")]
    dir: Option<String>,
    /// A file with the token for a private repository over https
    #[arg(long, value_name = "FILE", conflicts_with = "deploy_key")]
    git_token_file: Option<PathBuf>,
    /// A file with the private key for a private repository over ssh
    #[arg(long, value_name = "FILE")]
    deploy_key: Option<PathBuf>,
    /// Do not wait until it is live; print the deployment's id
    #[arg(long)]
    no_wait: bool,
}

pub(super) async fn run(args: DeployArgs, context: &Context, detect: Detect) -> Result<(), Problem> {
    let source = source::parse(&args.source)?;
    if let Source::Folder(path) = &source {
        require_dir(path, args.dir.as_deref())?;
    }
    let git = git_source(&args, &source)?;
    let client = context.client()?;
    let link = Link::of(&client, &source, args.dir.as_deref());
    let app = link::choose(&client, &source, args.app.as_ref(), &link).await?;
    let progress = Arc::new(Progress::new());
    let is_there = is_there(&client, &app).await?;
    // Before the app is made: a folder that cannot be sent, or holds nothing to deploy, needs none.
    let folder = match &source {
        Source::Folder(path) => {
            let first = (!is_there).then_some((detect, args.dir.as_deref()));
            Some(read_folder(&client, path, first, Arc::clone(&progress)).await?)
        }
        Source::Archive { .. } | Source::Git(_) => None,
    };
    let left_out = folder.as_ref().map(LeftOut::of_folder).unwrap_or_default();
    let made = if is_there { Made::Before } else { make_app(&client, &app).await? };
    let deployment = match accept(&client, &app, source, folder, git, args.dir.as_deref(), &progress).await {
        Ok(accepted) => accepted,
        Err(problem) => {
            // An app made for a source that was refused would only be in the way. Where only the answer was lost, the
            // deployment may have been accepted all the same: then the app stays.
            let is_empty = made == Made::Now && client.deployments(&app).await.is_ok_and(|made| made.is_empty());
            if is_empty && client.delete_app(&app).await.is_ok() {
                say(&format!("removed the app {app} again"));
            }
            return Err(problem);
        }
    };
    progress.clear();
    link.remember(&app);
    if args.no_wait {
        return accepted(&deployment, context);
    }
    let (deployment, shown) = watch::watch(&client, &deployment).await?;
    ended::report(&client, &deployment, shown, &left_out, context.output).await
}

/// Sends the source; what comes back is a deployment that the server has accepted.
async fn accept(
    client: &Client,
    app: &AppName,
    source: Source,
    folder: Option<Folder>,
    git: Option<GitSource>,
    dir: Option<&str>,
    progress: &Arc<Progress>,
) -> Result<Deployment, Problem> {
    if let Some(folder) = folder {
        let upload = upload::send(client, app, &folder, &**progress).await?;
        return Ok(client.deploy_upload(app, &upload, dir).await?);
    }
    match (source, git) {
        (_, Some(git)) => Ok(client.deploy_git(app, git, dir).await?),
        (Source::Archive { path, kind, .. }, None) => {
            let size = tokio::fs::metadata(&path).await.map_err(|source| Problem::read(&path, source))?.len();
            let on_sent = progress.archive(size);
            Ok(client.deploy_archive(app, &path, kind, dir, on_sent).await?)
        }
        (Source::Git(_) | Source::Folder(_), None) => {
            Err(Problem::usage("the source is a Git repository without an address"))
        }
    }
}

/// The Git repository to deploy, with what opens it; `None` where the source is none.
fn git_source(args: &DeployArgs, source: &Source) -> Result<Option<GitSource>, Problem> {
    let Source::Git(url) = source else {
        let is_git_asked = args.branch.is_some() || args.git_token_file.is_some() || args.deploy_key.is_some();
        if is_git_asked {
            let message = "--branch, --git-token-file and --deploy-key go with the address of a Git repository";
            return Err(Problem::usage(message));
        }
        return Ok(None);
    };
    let token = args.git_token_file.as_deref().map(read_secret).transpose()?.map(|token| token.trim().to_owned());
    let deploy_key = args.deploy_key.as_deref().map(read_secret).transpose()?;
    Ok(Some(GitSource { url: url.clone(), branch: args.branch.clone(), token, deploy_key }))
}

fn read_secret(path: &Path) -> Result<String, Problem> {
    let text = std::fs::read_to_string(path).map_err(|source| Problem::read(path, source))?;
    if text.trim().is_empty() {
        return Err(Problem::refused(
            format!("{} is empty", path.display()),
            "it should hold a token or a private key",
        ));
    }
    Ok(text)
}

/// Whether the app was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Made {
    Now,
    Before,
}

async fn is_there(client: &Client, app: &AppName) -> Result<bool, Problem> {
    match client.app(app).await {
        Ok(_) => Ok(true),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error.into()),
    }
}

async fn make_app(client: &Client, app: &AppName) -> Result<Made, Problem> {
    match client.create_app(app).await {
        Ok(_) => {
            say(&format!("created the app {app}"));
            return Ok(Made::Now);
        }
        // Somebody else created it in between, which is as good.
        Err(ClientError::Api { body, .. }) if body.code == Code::Conflict && client.app(app).await.is_ok() => {}
        Err(error) => return Err(error.into()),
    }
    Ok(Made::Before)
}

/// Lists and hashes a folder. Of an app's `first` deployment it is seen before whether there is anything to deploy; of later ones, the
/// deployment says so and is kept.
async fn read_folder(
    client: &Client,
    path: &Path,
    first: Option<(Detect, Option<&str>)>,
    progress: Arc<Progress>,
) -> Result<Folder, Problem> {
    let (path, hashing) = (path.to_owned(), Arc::clone(&progress));
    let first = first.map(|(detect, dir)| (detect, dir.map(str::to_owned)));
    let list = move || {
        let walked = walk(&path)?;
        if let Some((detect, dir)) = first {
            require_project(&walked, &path, dir.as_deref(), detect)?;
        }
        Ok(walked)
    };
    let walked = too_large::refuse(client, blocking(list).await?).await?;
    let read = move || {
        let cache = cache_dir().map(|cache| cache.join("hashes"));
        Ok(Folder::hash(walked, cache.as_deref(), SystemTime::now(), &*hashing)?)
    };
    let folder = blocking(read).await?;
    progress.clear();
    let files = count(folder.files().len() as u64, "file");
    say(&format!("{files}, {}; {}", bytes(folder.bytes()), folder.skipped()));
    Ok(folder)
}

/// What reads a folder would keep others waiting.
async fn blocking<T: Send + 'static>(read: impl FnOnce() -> Result<T, Problem> + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(read)
        .await
        .map_err(|panic| Problem::Internal { what: "read the folder".to_owned(), source: Some(panic.into()) })?
}

/// What cannot be seen here is left to the server.
fn require_project(walked: &Walked, path: &Path, dir: Option<&str>, detect: Detect) -> Result<(), Problem> {
    match detect(walked, dir) {
        Ok(Err(not)) => Err(not.problem(path, dir, &LeftOut::of_walked(walked))),
        Ok(Ok(_)) | Err(_) => Ok(()),
    }
}

fn accepted(deployment: &Deployment, context: &Context) -> Result<(), Problem> {
    say(&format!("{} is {}; `skylift logs {} -f` follows it", deployment.id, deployment.state, deployment.app));
    context.output.result(deployment, |deployment| deployment.id.to_string())
}
