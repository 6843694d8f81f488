//! Headers that were read once for many: which sets of them there are, and which one a compiler may be given.
//!
//! ```text
//! not asked for ──▶ asked for ──▶ being made ──▶ there ──▶ removed, for others that are used more
//!                                      └──▶ cannot be made
//! ```
//!
//! A set is what the machine's compiler makes of a file that includes nothing but headers of its own, in a sandbox; the bytes of no
//! user are in it. It is given only where a source begins with exactly these, in this order, compiled in exactly this way.

mod leading;

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use skylift_durable as durable;
use skylift_model::run::Job;
use skylift_model::{Digest, FilePath};

/// Where compilers see the sets, and what the file is called that stands for one.
pub(crate) const SEEN_AT: &str = "/opt/headers";
pub(crate) const SET: &str = "set.h";
/// How much all sets may take, and how many are remembered that were asked for.
const BYTES_MAX: u64 = 768 << 20;
const ASKED_MAX: usize = 1024;
/// How often a list of several headers has to be asked for before it is made; single ones are made at once.
const ASKED_ENOUGH: u32 = 2;

/// Sets of headers in a folder.
#[derive(Debug)]
pub struct Headers {
    folder: PathBuf,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    sets: HashMap<Digest, Set>,
    bytes: u64,
    uses: u64,
}

#[derive(Debug)]
enum Set {
    /// So often.
    Asked(u32),
    Being,
    There {
        name: String,
        bytes: u64,
        used: u64,
    },
    Impossible,
}

/// What a source begins with: each first part of it, shortest first, by its digest.
#[derive(Debug)]
pub(crate) struct Beginning {
    names: Vec<String>,
    keys: Vec<Digest>,
}

impl Beginning {
    /// Of those sources of a job that are compiled, for a compiler that is told `words`.
    pub(crate) fn of(job: &Job, sources: &[FilePath], (known, words): (&BTreeSet<String>, &[String])) -> Self {
        let files = job.files.iter().filter(|file| sources.contains(&file.path));
        let names = leading::in_common(files.map(|file| leading::leading(&file.bytes, known)));
        let key = |count: usize| {
            let names = names.iter().take(count);
            let parts: Vec<String> = words.iter().chain(names).map(|part| format!("{}:{part}", part.len())).collect();
            Digest::of(format!("{} {}", words.len(), parts.concat()).as_bytes())
        };
        let keys = (1..=names.len()).map(key).collect();
        Self { names, keys }
    }

    /// A file that includes the first of them.
    pub(crate) fn text(&self, count: usize) -> String {
        self.names.iter().take(count).map(|name| format!("#include <{name}>\n")).collect()
    }
}

/// One that is being made. Dropped before it is there, it cannot be made.
pub(crate) struct Making {
    headers: Arc<Headers>,
    key: Digest,
    /// How many of the beginning's headers.
    pub(crate) count: usize,
}

impl Headers {
    /// In a folder of our own. Whatever an earlier process has left there is removed.
    ///
    /// # Errors
    /// When the folder cannot be emptied or opened to compilers.
    pub fn open(folder: &Path) -> io::Result<Self> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() { fs::remove_dir_all(path)? } else { fs::remove_file(path)? }
        }
        // Compilers may go through it and not look around: which sets there are is what others have asked for.
        fs::set_permissions(folder, fs::Permissions::from_mode(0o711))?;
        Ok(Self { folder: folder.to_owned(), kept: Mutex::default() })
    }

    /// What is shown to compilers.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file to be included first, of the longest part of a beginning that is there.
    pub(crate) fn find(&self, beginning: &Beginning) -> Option<String> {
        let mut kept = self.kept();
        kept.uses += 1;
        let now = kept.uses;
        beginning.keys.iter().rev().find_map(|key| match kept.sets.get_mut(key) {
            Some(Set::There { name, used, .. }) => {
                *used = now;
                Some(format!("{SEEN_AT}/{name}/{SET}"))
            }
            _ => None,
        })
    }

    /// Notes that a beginning was asked for, and says what is to be made then: its first header, and the whole where it comes again.
    pub(crate) fn ask(self: &Arc<Self>, beginning: &Beginning) -> Option<Making> {
        let mut kept = self.kept();
        if kept.sets.len() > ASKED_MAX {
            kept.sets.retain(|_, set| !matches!(set, Set::Asked(_) | Set::Impossible));
        }
        let (first, whole) = (beginning.keys.first()?, beginning.keys.last()?);
        for (key, count, enough) in [(first, 1, 1), (whole, beginning.keys.len(), ASKED_ENOUGH)] {
            let set = kept.sets.entry(*key).or_insert(Set::Asked(0));
            if let Set::Asked(times) = set {
                *times += 1;
                if *times >= enough {
                    *set = Set::Being;
                    return Some(Making { headers: Arc::clone(self), key: *key, count });
                }
            }
        }
        None
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets go of what was used longest ago while there is too much.
    fn make_room(&self, kept: &mut Kept) {
        while kept.bytes > BYTES_MAX {
            let used = |set: &Set| if let Set::There { used, .. } = set { Some(*used) } else { None };
            let oldest = kept.sets.iter().filter_map(|(key, set)| Some((used(set)?, *key))).min();
            let Some((_, key)) = oldest else { return };
            if let Some(Set::There { name, bytes, .. }) = kept.sets.remove(&key) {
                kept.bytes = kept.bytes.saturating_sub(bytes);
                remove(&self.folder.join(name));
            }
        }
    }
}

impl Making {
    /// Puts it there: the text, and what the compiler has made of it, up to `bytes_max`. Blocks.
    pub(crate) fn there(self, text: &str, made: File, bytes_max: u64) -> io::Result<()> {
        let name = unguessable()?;
        let folder = self.headers.folder.join(&name);
        let put = || -> io::Result<u64> {
            fs::DirBuilder::new().mode(0o755).create(&folder)?;
            let mut options = OpenOptions::new();
            options.write(true).create_new(true).mode(0o644);
            durable::write_all(&mut durable::create(&options, &folder.join(SET))?, text.as_bytes())?;
            let mut to = durable::create(&options, &folder.join(format!("{SET}.gch")))?;
            let bytes = durable::copy(&mut made.take(bytes_max.saturating_add(1)), &mut to)?;
            if bytes > bytes_max { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
        };
        let bytes = put().inspect_err(|_| remove(&folder))?;
        let mut kept = self.headers.kept();
        kept.uses += 1;
        let used = kept.uses;
        kept.bytes += bytes;
        kept.sets.insert(self.key, Set::There { name, bytes, used });
        self.headers.make_room(&mut kept);
        Ok(())
    }

    /// Has it asked for again: what stood in the way was not the headers.
    pub(crate) fn not_yet(self) {
        self.headers.kept().sets.insert(self.key, Set::Asked(0));
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        let mut kept = self.headers.kept();
        if matches!(kept.sets.get(&self.key), Some(Set::Being)) {
            kept.sets.insert(self.key, Set::Impossible);
        }
    }
}

/// Who could guess it could ask, by including it, whether it is there.
fn unguessable() -> io::Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn remove(folder: &Path) {
    if let Err(error) = fs::remove_dir_all(folder)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %folder.display(), %error, "cannot remove headers");
    }
}

#[cfg(test)]
pub(crate) use leading::leading as names_before_anything;

#[cfg(test)]
mod tests;
