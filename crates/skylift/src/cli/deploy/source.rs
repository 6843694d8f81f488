//! What the one word after `deploy` means: a folder, an archive or a Git repository.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use skylift_client::ArchiveKind;

use crate::cli::problem::Problem;

/// Where the code is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Folder(PathBuf),
    Archive { path: PathBuf, kind: ArchiveKind, stem: String },
    Git(String),
}

impl Source {
    /// What makes it the same source as one deployed before: its place, or its address.
    pub(super) fn identity(&self) -> String {
        let place = |path: &PathBuf| fs::canonicalize(path).unwrap_or_else(|_| path.clone()).display().to_string();
        match self {
            Self::Folder(path) => place(path),
            Self::Archive { path, .. } => place(path),
            Self::Git(url) => url.clone(),
        }
    }

    /// What an app made of it might be called.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Folder(path) => fs::canonicalize(path)
                .ok()
                .and_then(|path| path.file_name().map(|name| name.to_string_lossy().into_owned()))
                .unwrap_or_default(),
            Self::Archive { stem, .. } => stem.clone(),
            Self::Git(url) => {
                let last = url.trim_end_matches('/').rsplit(['/', ':']).next().unwrap_or_default();
                last.strip_suffix(".git").unwrap_or(last).to_owned()
            }
        }
    }
}

/// Sees what a source is. Addresses are told by their form; the server checks them again.
pub(super) fn parse(text: &str) -> Result<Source, Problem> {
    if let Some((scheme, rest)) = text.split_once("://") {
        return address(text, scheme, rest);
    }
    if is_scp_like(text) {
        return Ok(Source::Git(text.to_owned()));
    }
    let path = Path::new(text);
    let metadata = fs::metadata(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Problem::NotFound {
            message: format!("{text} does not exist"),
            hint: "the source is a folder, an archive or the address of a Git repository".to_owned(),
        },
        _ => Problem::read(path, error),
    })?;
    if metadata.is_dir() {
        return Ok(Source::Folder(path.to_owned()));
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    match ArchiveKind::of_name(&name) {
        Some((kind, stem)) => Ok(Source::Archive { path: path.to_owned(), kind, stem: stem.to_owned() }),
        None => Err(Problem::refused(
            format!("{text} is a file, but no archive"),
            "archives end in .tar, .tar.gz, .tar.zst or .zip; for a single page, deploy the folder it is in",
        )),
    }
}

fn address(text: &str, scheme: &str, rest: &str) -> Result<Source, Problem> {
    if !matches!(scheme, "https" | "http" | "ssh" | "git" | "file") {
        let hint = "https, ssh, http, git and file are taken";
        return Err(Problem::refused(format!("{scheme}:// is no way to fetch a Git repository"), hint));
    }
    let user = rest.split('/').next().and_then(|authority| authority.rsplit_once('@')).map(|(user, _)| user);
    // Not quoting the address: it may hold a password.
    if user.is_some_and(|user| user.contains(':') || scheme.starts_with("http")) {
        let hint = "leave the user name and password out; --git-token-file and --deploy-key open private repositories";
        return Err(Problem::refused("the address contains a user name or a password", hint));
    }
    Ok(Source::Git(text.to_owned()))
}

/// `user@host:path`, as ssh and Git write it.
fn is_scp_like(text: &str) -> bool {
    let Some((host, path)) = text.split_once(':') else { return false };
    host.contains('@') && !host.contains('/') && !path.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(text: &str, name: &str) {
        let source = parse(text).unwrap();
        assert_eq!(source, Source::Git(text.to_owned()));
        assert_eq!(source.name(), name, "{text}");
    }

    #[test]
    fn addresses_of_git_repositories_are_told_by_their_form() {
        git("https://example.com/a/site.git", "site");
        git("http://127.0.0.1:3000/a/site/", "site");
        git("ssh://git@example.com:22/a/site.git", "site");
        git("git@example.com:site.git", "site");
        git("git@example.com:a/site.git", "site");
        git("file:///srv/git/site.git", "site");
    }

    #[test]
    fn passwords_and_other_schemes_are_refused_without_being_repeated() {
        for text in ["https://user:hunter2@example.com/x", "https://hunter2@example.com/x", "ssh://git:hunter2@h/x"] {
            let problem = parse(text).unwrap_err().to_string();
            assert!(problem.contains("password") && !problem.contains("hunter2"), "{problem}");
        }
        for text in ["ext::sh://x", "ftp://example.com/x"] {
            assert!(matches!(parse(text), Err(Problem::Refused { .. })), "{text}");
        }
    }

    #[test]
    fn paths_are_folders_or_archives() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        for name in ["site-1.tar.gz", "page.html"] {
            fs::write(at(name), "").unwrap();
        }
        fs::create_dir(at("My Site")).unwrap();
        assert_eq!(parse(&at("My Site")).unwrap().name(), "My Site");
        let archive = parse(&at("site-1.tar.gz")).unwrap();
        assert!(matches!(&archive, Source::Archive { kind: ArchiveKind::TarGzip, .. }));
        assert_eq!(archive.name(), "site-1");
        assert!(matches!(parse(&at("page.html")), Err(Problem::Refused { .. })));
        assert!(matches!(parse(&at("nothing")), Err(Problem::NotFound { .. })));
    }
}
