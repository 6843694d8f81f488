//! The files that a run left, put into a folder of this machine.
//!
//! Their names are the program's, which may be anybody's: nothing is written outside the folder, through a link, or to what is no ordinary
//! file, whatever the server says. Each part of a name is opened beneath the one before it, so that nobody can put a link in between.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
use rustix::io::Errno;
use skylift_model::FilePath;
use skylift_model::wire::RunOutput;

use crate::cli::problem::Problem;

const FILE_MODE: u32 = 0o666;
const FOLDER_MODE: u32 = 0o777;

/// Puts them below a folder, which is made where it is not there. Returns how many bytes each has, in their order.
pub(super) fn put(files: &[RunOutput], folder: &Path) -> Result<Vec<u64>, Problem> {
    let unwritten = |path: &Path, source| Problem::WriteFile { path: path.to_owned(), source };
    fs::create_dir_all(folder).map_err(|error| unwritten(folder, error))?;
    let top = openat(CWD, folder, OFlags::DIRECTORY | OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| unwritten(folder, error.into()))?;
    let one = |file: &RunOutput| put_one(file, &top).map_err(|error| unwritten(&folder.join(&file.name), error));
    files.iter().map(one).collect()
}

fn put_one(file: &RunOutput, top: &OwnedFd) -> io::Result<u64> {
    let wrong = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
    let path: FilePath = file.name.parse().map_err(|error| wrong(format!("the server named it so: {error}")))?;
    let bytes = file.encoding.decode(file.content.clone());
    let bytes = bytes.ok_or_else(|| wrong("what the server sent is not in its encoding".to_owned()))?;
    let mut folder = top.try_clone()?;
    for part in path.folders_above().filter_map(|above| above.rsplit('/').next()) {
        match mkdirat(&folder, part, Mode::from_raw_mode(FOLDER_MODE)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlags::DIRECTORY | OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        folder = openat(&folder, part, flags, Mode::empty())?;
    }
    // Not cut off before it is known to be an ordinary file, and no pipe is waited for.
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = openat(&folder, path.file_name(), flags, Mode::from_raw_mode(FILE_MODE));
    let mut into = File::from(opened.map_err(|error| match error {
        Errno::LOOP => wrong("a link is there".to_owned()),
        error => error.into(),
    })?);
    if !into.metadata()?.is_file() {
        return Err(wrong("something that is no ordinary file is there".to_owned()));
    }
    into.set_len(0)?;
    into.write_all(&bytes)?;
    Ok(bytes.len() as u64)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use skylift_model::run::Encoding;

    use super::*;

    fn output(name: &str, content: &str) -> RunOutput {
        RunOutput { name: name.to_owned(), content: content.to_owned(), encoding: Encoding::Utf8, run: 0 }
    }

    #[test]
    fn files_are_put_where_they_lay_and_take_the_place_of_older_ones() {
        let home = tempfile::tempdir().unwrap();
        let into = home.path().join("new/folder");
        let image = RunOutput { encoding: Encoding::Base64, ..output("a/b/plot.png", "/wA=") };
        assert_eq!(put(&[output("log", "long before"), image], &into).unwrap(), [11, 2]);
        assert_eq!(put(&[output("log", "short")], &into).unwrap(), [5]);
        assert_eq!(fs::read(into.join("a/b/plot.png")).unwrap(), [0xff, 0]);
        assert_eq!(fs::read(into.join("log")).unwrap(), b"short");
    }

    #[test]
    fn nothing_is_put_outside_or_through_a_link_or_into_what_is_no_file() {
        let home = tempfile::tempdir().unwrap();
        let (into, outside) = (home.path().join("into"), home.path().join("outside"));
        fs::create_dir_all(into.join("folder")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("kept"), "as it was").unwrap();
        symlink(&outside, into.join("away")).unwrap();
        symlink(outside.join("kept"), into.join("link")).unwrap();
        symlink(outside.join("new"), into.join("dangling")).unwrap();
        rustix::fs::mknodat(CWD, into.join("pipe"), rustix::fs::FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        let absolute = outside.join("kept");
        for name in [
            "../outside/kept",
            "folder/../../outside/kept",
            absolute.to_str().unwrap(),
            "away/kept",
            "away/new",
            "link",
            "dangling",
            "pipe",
            "folder",
            "",
            ".",
        ] {
            assert!(put(&[output(name, "broken")], &into).is_err(), "{name}");
        }
        assert_eq!(fs::read(outside.join("kept")).unwrap(), b"as it was");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
        // Who names a link as the folder means what it leads to.
        put(&[output("new", "x")], &into.join("away")).unwrap();
        assert!(outside.join("new").exists(), "control: the same way is open where no link is in it");
    }
}
