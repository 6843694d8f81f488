//! Which app a source belongs to.
//!
//! ```text
//!  --app NAME ──────────────────────────────▶ NAME, remembered
//!  remembered from an earlier deploy ───────▶ that one
//!  named after the source ─┬─ no such app ──▶ a new one, remembered
//!                          └─ it exists ────▶ asked, or refused where nobody can be asked
//! ```
//!
//! Two folders may be named alike; neither must replace the other's site unasked. It is remembered beside the user's own
//! state, not in the folder: what a cloned folder brings along must not choose which app it replaces.

use std::fs;
use std::io::{self, BufRead, IsTerminal};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use skylift_client::Client;
use skylift_model::{AppName, Digest};

use super::source::Source;
use crate::cli::output::{ask, say, stderr_is_terminal};
use crate::cli::problem::Problem;
use crate::data_dir::state_dir;

/// A source as one server sees it: where it is remembered which app it belongs to.
pub(super) struct Link {
    file: Option<PathBuf>,
}

impl Link {
    pub(super) fn of(client: &Client, source: &Source, dir: Option<&str>) -> Self {
        let identity = format!("{}\n{}\n{}", client.base_url(), source.identity(), dir.unwrap_or_default());
        let name = Digest::of(identity.as_bytes()).to_string();
        Self { file: state_dir().map(|state| state.join("links").join(name)) }
    }

    fn read(&self) -> Option<AppName> {
        fs::read_to_string(self.file.as_ref()?).ok()?.trim().parse().ok()
    }

    /// Remembers the app. Failing to is no failure: the next deploy asks again.
    pub(super) fn remember(&self, app: &AppName) {
        let Some(file) = &self.file else { return };
        if self.read().as_ref() == Some(app) {
            return;
        }
        let folder = file.parent().map(PathBuf::from).unwrap_or_default();
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        let _ = made.and_then(|()| fs::write(file, format!("{app}\n")));
    }
}

/// The app to deploy to.
pub(super) async fn choose(
    client: &Client,
    source: &Source,
    named: Option<&AppName>,
    link: &Link,
) -> Result<AppName, Problem> {
    if let Some(app) = named {
        return Ok(app.clone());
    }
    if let Some(app) = link.read() {
        say(&format!("app: {app} (as before; --app chooses another)"));
        return Ok(app);
    }
    let app = AppName::suggest(&source.name());
    if is_in_use(client, &app).await? {
        confirm(&app)?;
    } else {
        say(&format!("app: {app} (named after the source; --app chooses another)"));
    }
    Ok(app)
}

/// Whether a deploy would take the place of another.
async fn is_in_use(client: &Client, app: &AppName) -> Result<bool, Problem> {
    match client.app(app).await {
        Ok(_) => Ok(!client.deployments(app).await?.is_empty()),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn confirm(app: &AppName) -> Result<(), Problem> {
    let hint = format!("`--app {app}` deploys to it all the same, `--app` with another name makes a new one");
    let stdin = io::stdin();
    if !stdin.is_terminal() || !stderr_is_terminal() {
        return Err(Problem::refused(format!("the app {app} exists already, and not from here"), hint));
    }
    ask(&format!("The app {app} exists already, and not from here. Deploy to it all the same? [y/N] "));
    let mut line = String::new();
    stdin.lock().read_line(&mut line).map_err(|source| Problem::read("standard input", source))?;
    if matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        return Ok(());
    }
    Err(Problem::refused(format!("nothing was sent: {app} is left as it is"), hint))
}
