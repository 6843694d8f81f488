//! Lists the files of a folder that are to be sent. Reads names and ignore files, no contents.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use skylift_model::manifest::{FILES_MAX, InvalidManifest};
use skylift_model::{FileMode, FilePath};

use super::FolderError;
use super::ignored::{Ignored, REMEMBERED_MAX};
use super::never::is_never_sent;
use super::rules::{Cause, Rules, Verdict};

/// What a folder holds, before anything of it was read.
#[derive(Clone, Debug)]
pub struct Walked {
    /// The folder's absolute path.
    pub root: PathBuf,
    /// Every file and link to send, in no order.
    pub files: Vec<FilePath>,
    /// What is left out.
    pub skipped: Skipped,
    /// Of what is left out, that which ignore files name; at most the first few hundred, in no order.
    pub ignored: Vec<Ignored>,
}

/// How many entries were left out. What lies in a folder that was left out is not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Files, links, and what is neither, such as sockets.
    pub files: u64,
    /// Folders.
    pub folders: u64,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count| if count == 1 { "" } else { "s" };
        match (self.files, self.folders) {
            (0, 0) => f.write_str("nothing is skipped"),
            (files, 0) => write!(f, "{files} file{} skipped", plural(files)),
            (0, folders) => write!(f, "{folders} folder{} skipped", plural(folders)),
            (files, folders) => {
                write!(f, "{files} file{} and {folders} folder{} skipped", plural(files), plural(folders))
            }
        }
    }
}

/// Lists the files to send: all but what is never sent and what the ignore files inside the folder leave out.
pub fn walk(root: &Path) -> Result<Walked, FolderError> {
    let unreadable = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => FolderError::Missing(root.to_owned()),
        io::ErrorKind::NotADirectory => FolderError::NotAFolder(root.to_owned()),
        _ => FolderError::Read { path: root.to_owned(), source },
    };
    let absolute = fs::canonicalize(root).map_err(unreadable)?;
    if !fs::metadata(&absolute).map_err(unreadable)?.is_dir() {
        return Err(FolderError::NotAFolder(root.to_owned()));
    }
    let nothing = Skipped::default();
    let mut walk =
        Walk { walked: Walked { root: absolute.clone(), files: Vec::new(), skipped: nothing, ignored: Vec::new() } };
    let entries = list(&absolute)?;
    let rules = Rules::of_root(&absolute, &names(&entries))?;
    walk.folder(&absolute, "", &rules, entries, Counted::Yes)?;
    let walked = walk.walked;
    match walked.skipped {
        _ if !walked.files.is_empty() => Ok(walked),
        Skipped { files: 0, folders: 0 } => Err(FolderError::Empty(root.to_owned())),
        skipped => Err(FolderError::AllSkipped { root: root.to_owned(), skipped, ignored: walked.ignored }),
    }
}

/// One entry of a folder. Its type is the directory's word for it, without a look at the file itself.
struct Entry {
    name: std::ffi::OsString,
    kind: fs::FileType,
}

struct Walk {
    walked: Walked,
}

/// Whether folders that are left out are counted. In one that is left out, yet looked through, only files are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counted {
    Yes,
    No,
}

impl Walk {
    /// Lists what is in a folder.
    fn folder(
        &mut self,
        folder: &Path,
        path: &str,
        rules: &Rules,
        entries: Vec<Entry>,
        counted: Counted,
    ) -> Result<(), FolderError> {
        for entry in entries {
            let absolute = folder.join(&entry.name);
            let is_folder = entry.kind.is_dir();
            let name = entry.name.to_string_lossy();
            let below = if path.is_empty() { name.to_string() } else { format!("{path}/{name}") };
            let is_special = !is_folder && !entry.kind.is_file() && !entry.kind.is_symlink();
            if is_special || is_never_sent(&name) {
                self.skip(is_folder, counted);
                continue;
            }
            let inside = match rules.verdict(&absolute, &below, is_folder) {
                Verdict::Skip(cause) => {
                    self.skip(is_folder, counted);
                    self.note(below, is_folder, cause);
                    continue;
                }
                Verdict::Send => Counted::Yes,
                Verdict::SkipButEnter => Counted::No,
            };
            if entry.name.to_str().is_none() {
                return Err(FolderError::NotUtf8(absolute));
            }
            if is_folder {
                let entries = list(&absolute)?;
                let rules = rules.of_folder(&absolute, &below, &names(&entries))?;
                self.folder(&absolute, &below, &rules, entries, inside)?;
            } else {
                self.file(&absolute, &below, entry.kind)?;
            }
        }
        Ok(())
    }

    fn skip(&mut self, is_folder: bool, counted: Counted) {
        let skipped = &mut self.walked.skipped;
        match (is_folder, counted) {
            (true, Counted::Yes) => skipped.folders += 1,
            (true, Counted::No) => {}
            (false, _) => skipped.files += 1,
        }
    }

    fn note(&mut self, path: String, is_folder: bool, cause: Cause) {
        let ignored = &mut self.walked.ignored;
        if ignored.len() < REMEMBERED_MAX {
            let file = cause.file.strip_prefix(&self.walked.root).unwrap_or(&cause.file);
            ignored.push(Ignored { path, is_folder, file: file.display().to_string(), line: cause.line });
        }
    }

    fn file(&mut self, absolute: &Path, path: &str, kind: fs::FileType) -> Result<(), FolderError> {
        if self.walked.files.len() >= FILES_MAX {
            return Err(InvalidManifest::TooMany(FILES_MAX + 1).into());
        }
        let file: FilePath = path.parse().map_err(|source| FolderError::Name { path: absolute.to_owned(), source })?;
        if kind.is_symlink() {
            check_link(absolute, &file)?;
        }
        self.walked.files.push(file);
        Ok(())
    }
}

/// Refuses a link that leads out of the folder: on the server it would lead to something else, or to nothing.
fn check_link(absolute: &Path, file: &FilePath) -> Result<(), FolderError> {
    let target = fs::read_link(absolute).map_err(|source| read_failed(absolute, source))?;
    let outside = |why| FolderError::LinkOutside { path: absolute.to_owned(), target: target.clone(), why };
    if target.as_os_str().as_bytes().is_empty() || target.to_str().is_none() {
        return Err(FolderError::NotUtf8(absolute.to_owned()));
    }
    let mut depth = file.parts().count() - 1;
    for part in target.components() {
        match part {
            Component::RootDir | Component::Prefix(_) => return Err(outside("an absolute path")),
            Component::ParentDir => depth = depth.checked_sub(1).ok_or_else(|| outside("outside the folder"))?,
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
        }
    }
    Ok(())
}

fn list(folder: &Path) -> Result<Vec<Entry>, FolderError> {
    let failed = |source| read_failed(folder, source);
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        entries.push(Entry { kind: entry.file_type().map_err(failed)?, name: entry.file_name() });
    }
    Ok(entries)
}

/// The names that may be ignore files: all that is asked of them.
fn names(entries: &[Entry]) -> Vec<String> {
    let is_candidate = |name: &&str| name.starts_with('.') && name.ends_with("ignore");
    entries.iter().filter_map(|entry| entry.name.to_str()).filter(is_candidate).map(str::to_owned).collect()
}

pub(super) fn read_failed(path: &Path, source: io::Error) -> FolderError {
    FolderError::Read { path: path.to_owned(), source }
}

/// What is sent of a file's metadata.
pub(super) fn mode_of(metadata: &fs::Metadata) -> Option<FileMode> {
    FileMode::from_bits(metadata.mode())
}

#[cfg(test)]
mod tests;
