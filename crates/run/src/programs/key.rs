//! What a compiled program was compiled of, as one digest: pure, but that it looks when the compiler was last changed.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use skylift_model::run::Job;
use skylift_model::{Digest, FilePath};

use skylift_model::digest::Hasher;

/// To be raised whenever the same would be compiled to something else.
const FORMAT: &str = "skylift compiled 1";

/// What compiles, besides what the job says.
pub(crate) struct Made<'a> {
    pub(crate) version: &'a str,
    pub(crate) argv: &'a [String],
    pub(crate) env: &'a BTreeMap<String, String>,
    /// Globs of what belongs to the compiler: programs, headers, libraries.
    pub(crate) of: &'a [String],
    /// What, where a source holds it, may have it come out otherwise each time.
    pub(crate) unlike: &'a [String],
}

/// Nothing where what is compiled is to be kept for nobody.
pub(crate) fn key(job: &Job, made: &Made<'_>) -> Option<Digest> {
    let sender = job.sender.as_ref()?;
    let holds = |bytes: &[u8], word: &str| bytes.windows(word.len()).any(|part| part == word.as_bytes());
    if job.files.iter().any(|file| made.unlike.iter().any(|word| !word.is_empty() && holds(&file.bytes, word))) {
        return None;
    }
    let mut parts = Parts(Hasher::new());
    for part in [FORMAT, sender.as_str(), &job.language, made.version, job.entry.as_str()] {
        parts.add(part.as_bytes());
    }
    parts.all(made.argv.iter().map(String::as_bytes));
    parts.all(made.env.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]));
    let stamps = stamps_of(made.of);
    parts.all(stamps.iter().map(String::as_bytes));
    let path = |path: &FilePath| path.as_str().as_bytes().to_vec();
    let files: Vec<_> = job.files.iter().map(|file| (path(&file.path), &file.bytes)).collect();
    parts.all(files.iter().flat_map(|(path, bytes)| [path.as_slice(), bytes.as_slice()]));
    Some(parts.0.finish())
}

/// Each with its length first, and each list with its own, so that no two lists of parts are the same bytes.
struct Parts(Hasher);

impl Parts {
    fn add(&mut self, part: &[u8]) {
        self.0.update(&(part.len() as u64).to_be_bytes());
        self.0.update(part);
    }

    fn all<'a>(&mut self, parts: impl Iterator<Item = &'a [u8]>) {
        let parts: Vec<_> = parts.collect();
        self.0.update(&(parts.len() as u64).to_be_bytes());
        parts.into_iter().for_each(|part| self.add(part));
    }
}

/// What changes when anything is replaced that these globs name.
pub(crate) fn stamps_of(globs: &[String]) -> Vec<String> {
    globs.iter().flat_map(|glob| stamps(glob)).collect()
}

/// What is there of a glob whose last parts may be patterns, with what changes when it is replaced: a file by another of its name,
/// a folder by a file that is moved into it.
fn stamps(glob: &str) -> Vec<String> {
    let mut paths = vec![PathBuf::from("/")];
    for part in glob.split('/').filter(|part| !part.is_empty()) {
        paths = if part.contains('*') {
            paths.iter().flat_map(|folder| matching(folder, part)).collect()
        } else {
            paths.into_iter().map(|folder| folder.join(part)).collect()
        };
    }
    paths.iter().map(|path| stamp(path)).collect()
}

/// What is looked at for every run, so that nothing is built for it: one `*` stands for any letters.
fn matching(folder: &Path, pattern: &str) -> Vec<PathBuf> {
    let (before, after) = pattern.split_once('*').unwrap_or((pattern, ""));
    let fits = |name: &[u8]| {
        name.len() >= before.len() + after.len()
            && name.starts_with(before.as_bytes())
            && name.ends_with(after.as_bytes())
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<_> =
        entries.filter(|entry| fits(entry.file_name().as_bytes())).map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn stamp(path: &Path) -> String {
    match path.metadata() {
        Ok(about) => {
            format!("{} {}:{} {} {}", path.display(), about.dev(), about.ino(), about.mtime(), about.mtime_nsec())
        }
        Err(_) => format!("{} is not there", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use skylift_model::run::File;
    use skylift_model::{RunId, Timestamp, TokenId};

    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.parse().unwrap(), bytes: text.into() }
    }

    fn sender(number: u64) -> Option<TokenId> {
        Some(TokenId::new(Timestamp::from_millis(0), number))
    }

    fn job(files: Vec<File>) -> Job {
        let job = Job::new(RunId::new(Timestamp::from_millis(0), 0), "c++", files[0].clone());
        Job { sender: sender(1), files, ..job }
    }

    fn key_with(job: &Job, version: &str, argv: &[&str], of: &[&str]) -> Option<Digest> {
        let (argv, of): (Vec<_>, Vec<_>) =
            (argv.iter().map(|w| (*w).to_owned()).collect(), of.iter().map(|w| (*w).to_owned()).collect());
        let unlike = ["__DATE__".to_owned()];
        key(job, &Made { version, argv: &argv, env: &BTreeMap::new(), of: &of, unlike: &unlike })
    }

    #[test]
    fn whatever_makes_another_program_makes_another_key() {
        let home = tempfile::tempdir().unwrap();
        let compiler = home.path().join("g++");
        std::fs::write(&compiler, "1").unwrap();
        let of = [compiler.to_str().unwrap()];
        let usual = || job(vec![file("a.cpp", "int x;"), file("b.h", "int y;")]);
        let of_usual = |argv: &[&str]| key_with(&usual(), "12.2", argv, &of);
        let first = of_usual(&["g++", "a.cpp"]).unwrap();
        assert_eq!(of_usual(&["g++", "a.cpp"]), Some(first), "the same is the same");
        let mut others = vec![
            of_usual(&["g++", "-O3", "a.cpp"]),
            of_usual(&["g++a.cpp"]),
            key_with(&usual(), "12.3", &["g++", "a.cpp"], &of),
        ];
        let with = |change: &dyn Fn(&mut Job)| {
            let mut job = usual();
            change(&mut job);
            key_with(&job, "12.2", &["g++", "a.cpp"], &of)
        };
        others.push(with(&|job| job.sender = sender(2)));
        others.push(with(&|job| job.language = "c".into()));
        others.push(with(&|job| job.entry = "b.h".parse().unwrap()));
        others.push(with(&|job| job.files[1].bytes = b"int z;".to_vec()));
        others.push(with(&|job| job.files[1] = file("c.h", "int y;")));
        others.push(with(&|job| job.files.truncate(1)));
        // What lies in the one moves to the other.
        others.push(with(&|job| job.files = vec![file("a.cpp", "int x;b.hint y;")]));
        std::fs::write(home.path().join("new"), "2").unwrap();
        std::fs::rename(home.path().join("new"), &compiler).unwrap();
        others.push(of_usual(&["g++", "a.cpp"]));
        let all: std::collections::BTreeSet<_> = others.iter().map(|key| key.unwrap()).chain([first]).collect();
        assert_eq!(all.len(), others.len() + 1, "{others:?}");
    }

    #[test]
    fn what_does_not_change_the_program_does_not_change_the_key() {
        let usual = job(vec![file("a.cpp", "int x;")]);
        let mut other = usual.clone();
        other.id = RunId::new(Timestamp::from_millis(9), 9);
        (other.args, other.stdins) = (vec!["x".into()], vec![b"y".to_vec()]);
        (other.outputs, other.limits.wall_ms) = (vec!["*".into()], 1);
        assert_eq!(key_with(&usual, "12.2", &[], &[]), key_with(&other, "12.2", &[], &[]));
    }

    #[test]
    fn what_is_nobodys_or_tells_the_time_has_no_key() {
        let mut of_nobody = job(vec![file("a.cpp", "int x;")]);
        of_nobody.sender = None;
        assert_eq!(key_with(&of_nobody, "12.2", &[], &[]), None);
        let of_today = job(vec![file("a.cpp", "#include \"b.h\""), file("b.h", "char *s = __DATE__;")]);
        assert_eq!(key_with(&of_today, "12.2", &[], &[]), None);
    }

    #[test]
    fn what_belongs_to_a_compiler_is_found_by_its_pattern() {
        let home = tempfile::tempdir().unwrap();
        for version in ["12", "13"] {
            std::fs::create_dir_all(home.path().join("x86_64").join(version)).unwrap();
        }
        let found = stamps(&format!("{}/*/1*", home.path().display()));
        assert_eq!(found.len(), 2, "{found:?}");
        let before = found[0].clone();
        std::fs::write(home.path().join("x86_64/12/header"), "").unwrap();
        assert_ne!(stamps(&format!("{}/*/1*", home.path().display()))[0], before);
        let of = |pattern: &str| matching(&home.path().join("x86_64"), pattern).len();
        assert_eq!([of("*"), of("12*"), of("*3"), of("1*2"), of("1*1"), of("12*2")], [2, 1, 1, 1, 0, 0]);
        assert!(stamps("/no/such/thing")[0].ends_with("is not there"));
    }
}
