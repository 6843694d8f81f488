//! The files that a run is sent, and where they lie there: where they lie below the current folder, so that a program finds its neighbours
//! and its data by the paths that it has here.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use skylift_model::run::Encoding;
use skylift_model::wire::RunFile;

use crate::cli::problem::Problem;

/// What stands for standard input in place of a file.
pub(super) const STDIN: &str = "-";
/// The most that all files may have together.
const BYTES_MAX: u64 = 4 << 20;
/// How many files a run may have.
const FILES_MAX: usize = 256;

/// Refuses a folder in place of a file of code.
pub(super) fn no_folder(what: &str) -> Result<(), Problem> {
    if what == STDIN || !Path::new(what).is_dir() {
        return Ok(());
    }
    let hint =
        format!("name the file in it that is to be run, and send the others with it: `skylift run --with {what} FILE`");
    Err(Problem::refused(format!("`{what}` is a folder"), hint))
}

/// The code first, then all others.
pub(super) fn files(what: &str, with: &[PathBuf]) -> Result<Vec<RunFile>, Problem> {
    let here = std::env::current_dir().map_err(|error| Problem::read(".", error))?;
    let mut others = Vec::new();
    for path in with {
        gather(path, true, &mut others)?;
    }
    let mut left = BYTES_MAX;
    let (mut files, base) = if what == STDIN {
        let content = read(Path::new("standard input"), io::stdin().lock(), &mut left)?;
        (vec![RunFile { name: None, content, encoding: Encoding::Base64 }], here.clone())
    } else {
        let code = Path::new(what);
        // A folder that is sent may hold the code, and others that were named.
        let mut there = HashSet::from([plain(code, &here)]);
        others.retain(|path| there.insert(plain(path, &here)));
        let base = base(code, &others, &here)?;
        (vec![sent(code, &base, &here, &mut left)?], base)
    };
    for path in &others {
        files.push(sent(path, &base, &here, &mut left)?);
    }
    Ok(files)
}

/// All files at a path: itself, or what lies below it. Links and what is hidden in a folder is left out.
fn gather(path: &Path, is_named: bool, files: &mut Vec<PathBuf>) -> Result<(), Problem> {
    let unread = |error| Problem::read(path, error);
    let data = if is_named { fs::metadata(path) } else { fs::symlink_metadata(path) }.map_err(unread)?;
    if !data.is_dir() {
        if is_named || data.is_file() {
            files.push(path.to_owned());
        }
        if files.len() >= FILES_MAX {
            let message = format!("`{}`: more than {FILES_MAX} files", path.display());
            return Err(Problem::refused(message, "a run has no more; name those that it needs"));
        }
        return Ok(());
    }
    let entries: io::Result<Vec<_>> = fs::read_dir(path).map_err(unread)?.collect();
    let mut names: Vec<_> = entries.map_err(unread)?.iter().map(fs::DirEntry::file_name).collect();
    names.sort();
    for name in names.iter().filter(|name| !name.as_encoded_bytes().starts_with(b".")) {
        gather(&path.join(name), false, files)?;
    }
    Ok(())
}

/// What their names are cut off at: the current folder, or that of the code where not all lie below it. Alone, the code lies on top.
fn base(code: &Path, others: &[PathBuf], here: &Path) -> Result<PathBuf, Problem> {
    let code = plain(code, here);
    let beside = code.parent().unwrap_or(here).to_owned();
    if others.is_empty() {
        return Ok(beside);
    }
    let all: Vec<PathBuf> = others.iter().map(|path| plain(path, here)).chain([code]).collect();
    let holds_all = |base: &Path| all.iter().all(|path| path.starts_with(base));
    if holds_all(here) {
        return Ok(here.to_owned());
    }
    if holds_all(&beside) {
        return Ok(beside);
    }
    let stray = all.iter().find(|path| !path.starts_with(&beside)).unwrap_or(&beside);
    let message = format!("`{}` lies neither below the current folder nor below {}", stray.display(), beside.display());
    Err(Problem::refused(message, "go to the folder that has all of them and run it there"))
}

/// A path from the root on, without `.` and `..`.
fn plain(path: &Path, here: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in here.join(path).components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

fn sent(path: &Path, base: &Path, here: &Path, left: &mut u64) -> Result<RunFile, Problem> {
    let file = File::open(path).map_err(|error| unreadable(path, &error.to_string()))?;
    let content = read(path, file, left)?;
    let whole = plain(path, here);
    let name = whole.strip_prefix(base).ok().and_then(Path::to_str);
    let name = name.ok_or_else(|| unreadable(path, "its name is no text, or lies outside"))?.to_owned();
    Ok(RunFile { name: Some(name), content, encoding: Encoding::Base64 })
}

/// All of it, where that is not more than is left.
fn read(path: &Path, from: impl Read, left: &mut u64) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    from.take(left.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| unreadable(path, &error.to_string()))?;
    match left.checked_sub(bytes.len() as u64) {
        Some(rest) => *left = rest,
        None => {
            let message = format!("`{}`: the files of a run have {BYTES_MAX} bytes in all", path.display());
            return Err(Problem::refused(message, "send less, or what is packed"));
        }
    }
    Ok(Encoding::Base64.encode(&bytes))
}

fn unreadable(path: &Path, why: &str) -> Problem {
    Problem::refused(format!("`{}`: {why}", path.display()), "name a file of code, such as `./hello.py`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn based(code: &str, others: &[&str]) -> Option<String> {
        let others: Vec<PathBuf> = others.iter().map(PathBuf::from).collect();
        base(Path::new(code), &others, Path::new("/home/me")).ok().map(|base| base.to_str().unwrap().to_owned())
    }

    #[test]
    fn files_lie_where_they_lie_below_the_current_folder_or_else_beside_the_code() {
        for (code, others, told) in [
            ("a/main.py", &[][..], Some("/home/me/a")),
            ("a/main.py", &["a/util.py", "data/in.csv"], Some("/home/me")),
            ("./main.py", &["../me/util.py"], Some("/home/me")),
            ("/srv/x/main.py", &["/srv/x/lib/util.py"], Some("/srv/x")),
            ("../main.py", &["a/util.py"], Some("/home")),
            ("a/main.py", &["../util.py"], None),
        ] {
            assert_eq!(based(code, others).as_deref(), told, "{code} {others:?}");
        }
    }

    #[test]
    fn a_folder_is_no_code_and_is_called_one() {
        let folder = tempfile::tempdir().unwrap();
        let what = folder.path().to_str().unwrap();
        let told = no_folder(what).unwrap_err().to_string();
        assert_eq!(told, format!("`{what}` is a folder"));
        let file = folder.path().join("main.py");
        fs::write(&file, "").unwrap();
        assert!(
            no_folder(file.to_str().unwrap()).is_ok() && no_folder(STDIN).is_ok() && no_folder("./nowhere").is_ok()
        );
    }

    #[test]
    fn a_folder_is_all_its_files_without_links_and_what_is_hidden() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("b/c")).unwrap();
        for name in ["z", "a", "b/c/x", ".env", "b/.git"] {
            fs::write(at(name), "x").unwrap();
        }
        std::os::unix::fs::symlink("/", at("b/root")).unwrap();
        std::os::unix::fs::symlink(at("z"), at("link")).unwrap();
        let found = |path: &Path| {
            let mut files = Vec::new();
            gather(path, true, &mut files).map(|()| files)
        };
        assert_eq!(found(folder.path()).unwrap(), ["a", "b/c/x", "z"].map(at));
        assert_eq!(found(&at("link")).unwrap(), [at("link")], "a link that is named is meant");
        assert!(found(&at("nowhere")).is_err());
        (0..FILES_MAX).for_each(|n| fs::write(at(&n.to_string()), "").unwrap());
        assert!(found(folder.path()).is_err(), "bounded");
    }
}
