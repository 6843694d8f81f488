//! What `skylift login` remembers: one server and a token for it, readable by its owner alone.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use skylift_client::BaseUrl;

use super::problem::Problem;
use super::server::parse_url;
use crate::data_dir::config_dir;

/// A server and the token for it.
pub(super) struct Login {
    pub(super) url: BaseUrl,
    pub(super) token: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    url: String,
    token: String,
}

/// What is remembered, if anything is.
pub(super) fn read() -> Result<Option<Login>, Problem> {
    let Some(path) = path() else { return Ok(None) };
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(source) => return Err(Problem::read(path, source)),
    };
    let again = "`skylift login URL` writes it anew";
    // The parser's own message would quote the line, and the line may be the token's.
    let file: File = toml::from_str(&text)
        .map_err(|_| Problem::refused(format!("{} is not what `skylift login` writes", path.display()), again))?;
    Ok(Some(Login { url: parse_url(&file.url)?, token: file.token }))
}

/// Remembers a login in the place of any earlier one; returns where.
pub(super) fn write(login: &Login) -> Result<PathBuf, Problem> {
    let path = path().ok_or_else(|| {
        Problem::refused("no home folder is known to remember the login in", "set HOME or XDG_CONFIG_HOME")
    })?;
    let file = File { url: login.url.to_string(), token: login.token.clone() };
    let text = toml::to_string(&file)
        .map_err(|error| Problem::Internal { what: "write TOML".to_owned(), source: Some(error.into()) })?;
    replace(&path, text.as_bytes()).map_err(|source| Problem::WriteFile { path: path.clone(), source })?;
    Ok(path)
}

fn path() -> Option<PathBuf> {
    config_dir().map(|folder| folder.join("login.toml"))
}

/// Writes a new file, 0600 from its first byte, and puts it in the place of the old one, whatever mode that had.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or(ErrorKind::NotFound)?;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let beside = path.with_extension(format!("toml.{}", std::process::id()));
    let opened = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside);
    #[expect(clippy::disallowed_methods, reason = "a file of the command line, which no platform depends on")]
    let written = opened.and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
    written.and_then(|()| fs::rename(&beside, path)).inspect_err(|_| {
        let _ = fs::remove_file(&beside);
    })
}
