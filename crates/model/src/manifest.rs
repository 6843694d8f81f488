//! What an upload or a deployment's source consists of: a list of files by digest.

use std::collections::HashMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use unicode_normalization::UnicodeNormalization;

use crate::{Digest, FilePath};

/// How large a manifest or a site's table may be as JSON, in bytes.
pub const DOCUMENT_BYTES_MAX: u64 = 64 << 20;
/// The most files one source may have.
pub const FILES_MAX: usize = 100_000;
/// The longest target of a symbolic link, in bytes.
pub const LINK_BYTES_MAX: u64 = 1024;

/// What kind of file an entry is. On the wire it is Git's octal mode: `100644`, `100755` or `120000`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FileMode {
    /// A plain file.
    #[default]
    File,
    /// A file that may be executed.
    Executable,
    /// A symbolic link; its bytes are its target.
    Symlink,
}

impl FileMode {
    /// Git's octal mode.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::File => "100644",
            Self::Executable => "100755",
            Self::Symlink => "120000",
        }
    }

    /// From the `st_mode` of a file, or only its permission bits; `None` for what is neither file nor link.
    pub const fn from_bits(bits: u32) -> Option<Self> {
        match bits & 0o170_000 {
            0o120_000 => Some(Self::Symlink),
            0 | 0o100_000 if bits & 0o100 != 0 => Some(Self::Executable),
            0 | 0o100_000 => Some(Self::File),
            _ => None,
        }
    }
}

impl Serialize for FileMode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for FileMode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Mode {
            Octal(String),
            Bits(u32),
        }
        let bits = match Mode::deserialize(deserializer)? {
            Mode::Octal(text) => u32::from_str_radix(&text, 8).map_err(de::Error::custom)?,
            Mode::Bits(bits) => bits,
        };
        Self::from_bits(bits)
            .ok_or_else(|| de::Error::custom("mode is that of a file (100644, 100755) or a symbolic link (120000)"))
    }
}

/// One file of a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FileEntry {
    /// Where it lies, relative to the source's root.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "src/index.html"))]
    pub path: FilePath,
    /// The SHA-256 of its bytes.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub sha256: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// Git's octal mode; `100644` where it is left out.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "100644"))]
    pub mode: FileMode,
}

/// Files of a source, sorted by path, no path twice and none below another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Manifest {
    files: Vec<FileEntry>,
}

/// Why a list of files is not a source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidManifest {
    #[error("a source may have {FILES_MAX} files at most; this one has {0}")]
    TooMany(usize),
    #[error("`{0}` is listed twice")]
    Twice(FilePath),
    #[error("`{0}` and `{1}` are the same name on some systems; rename one of them")]
    Clash(FilePath, FilePath),
    #[error("`{0}` is a file, yet `{1}` lies below it")]
    FileAboveFile(FilePath, FilePath),
    #[error("`{0}` is a symbolic link with a target longer than {LINK_BYTES_MAX} bytes")]
    LinkTooLong(FilePath),
}

impl Manifest {
    /// Checks and sorts a list of files.
    pub fn new(mut files: Vec<FileEntry>) -> Result<Self, InvalidManifest> {
        if files.len() > FILES_MAX {
            return Err(InvalidManifest::TooMany(files.len()));
        }
        files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        let mut seen: HashMap<String, &FileEntry> = HashMap::with_capacity(files.len());
        for file in &files {
            if file.mode == FileMode::Symlink && file.size > LINK_BYTES_MAX {
                return Err(InvalidManifest::LinkTooLong(file.path.clone()));
            }
            if let Some(other) = seen.insert(folded(file.path.as_str()), file) {
                return Err(if other.path == file.path {
                    InvalidManifest::Twice(file.path.clone())
                } else {
                    InvalidManifest::Clash(other.path.clone(), file.path.clone())
                });
            }
        }
        for file in &files {
            for above in file.path.folders_above() {
                if let Some(above) = seen.get(&folded(above)) {
                    return Err(InvalidManifest::FileAboveFile(above.path.clone(), file.path.clone()));
                }
            }
        }
        Ok(Self { files })
    }

    /// Checks and sorts the files of a program. They are laid out where case counts, and packages are not ours to
    /// rename, so names may differ in it alone.
    pub fn of_program(mut files: Vec<FileEntry>) -> Result<Self, InvalidManifest> {
        if files.len() > FILES_MAX {
            return Err(InvalidManifest::TooMany(files.len()));
        }
        files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        let manifest = Self { files };
        let mut before: Option<&FileEntry> = None;
        for file in &manifest.files {
            if file.mode == FileMode::Symlink && file.size > LINK_BYTES_MAX {
                return Err(InvalidManifest::LinkTooLong(file.path.clone()));
            }
            if before.is_some_and(|other| other.path == file.path) {
                return Err(InvalidManifest::Twice(file.path.clone()));
            }
            for above in file.path.folders_above() {
                if let Some(above) = manifest.get(above) {
                    return Err(InvalidManifest::FileAboveFile(above.path.clone(), file.path.clone()));
                }
            }
            before = Some(file);
        }
        Ok(manifest)
    }

    /// The files, sorted by path.
    pub fn files(&self) -> &[FileEntry] {
        &self.files
    }

    /// The file at `path`.
    pub fn get(&self, path: &str) -> Option<&FileEntry> {
        self.files.binary_search_by(|file| file.path.as_str().cmp(path)).ok().and_then(|at| self.files.get(at))
    }

    /// The sum of all sizes, in bytes.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).fold(0, u64::saturating_add)
    }
}

impl<'de> Deserialize<'de> for Manifest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Raw {
            files: Vec<FileEntry>,
        }
        // A list that was stored was checked before, by the rule of what it is of.
        Self::of_program(Raw::deserialize(deserializer)?.files).map_err(de::Error::custom)
    }
}

/// The spelling under which case-blind and normalising file systems would find a path.
fn folded(path: &str) -> String {
    if path.is_ascii() { path.to_ascii_lowercase() } else { path.nfc().flat_map(char::to_lowercase).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str) -> FileEntry {
        FileEntry { path: path.parse().unwrap(), sha256: Digest::of(b""), size: 0, mode: FileMode::File }
    }

    fn manifest(paths: &[&str]) -> Result<Manifest, InvalidManifest> {
        Manifest::new(paths.iter().map(|path| entry(path)).collect())
    }

    #[test]
    fn files_are_sorted_and_found() {
        let manifest = manifest(&["b", "a/c", "a-b"]).unwrap();
        assert_eq!(manifest.files().iter().map(|f| f.path.as_str()).collect::<Vec<_>>(), ["a-b", "a/c", "b"]);
        assert!(manifest.get("a/c").is_some() && manifest.get("a").is_none());
    }

    #[test]
    fn ambiguous_lists_are_refused() {
        assert!(matches!(manifest(&["a", "a"]), Err(InvalidManifest::Twice(_))));
        assert!(matches!(manifest(&["a", "A"]), Err(InvalidManifest::Clash(..))));
        assert!(matches!(manifest(&["\u{e9}", "e\u{301}"]), Err(InvalidManifest::Clash(..))));
        assert!(matches!(manifest(&["a", "a/b"]), Err(InvalidManifest::FileAboveFile(..))));
        assert!(matches!(manifest(&["a", "a-b", "A/b/c"]), Err(InvalidManifest::FileAboveFile(..))));
    }

    #[test]
    fn the_files_of_a_program_may_differ_in_case_alone() {
        let program = |paths: &[&str]| Manifest::of_program(paths.iter().map(|path| entry(path)).collect());
        let made = program(&["node_modules/x/readme.md", "node_modules/x/README.md", "A/b", "a"]).unwrap();
        let read: Manifest = serde_json::from_slice(&serde_json::to_vec(&made).unwrap()).unwrap();
        assert_eq!(read, made);
        assert!(matches!(program(&["a", "a"]), Err(InvalidManifest::Twice(_))));
        assert!(matches!(program(&["a", "a-b", "a/b"]), Err(InvalidManifest::FileAboveFile(..))));
    }

    #[test]
    fn modes_are_read_as_octal_text_or_bits() {
        let read = |json: &str| serde_json::from_str::<FileMode>(json);
        assert_eq!(read("\"100755\"").unwrap(), FileMode::Executable);
        assert_eq!(read("\"0644\"").unwrap(), FileMode::File);
        assert_eq!(read("33261").unwrap(), FileMode::Executable);
        assert_eq!(read("\"120000\"").unwrap(), FileMode::Symlink);
        assert!(read("\"060000\"").is_err(), "a block device is no file");
    }
}
