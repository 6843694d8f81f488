//! The kinds of archive a deployment can be made from.

/// An archive that can be streamed as the body of a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveKind {
    /// `.tar`
    Tar,
    /// `.tar.gz`, `.tgz`
    TarGzip,
    /// `.tar.zst`, `.tzst`
    TarZstd,
    /// `.zip`
    Zip,
}

const ENDINGS: [(&str, ArchiveKind); 6] = [
    (".tar.gz", ArchiveKind::TarGzip),
    (".tgz", ArchiveKind::TarGzip),
    (".tar.zst", ArchiveKind::TarZstd),
    (".tzst", ArchiveKind::TarZstd),
    (".tar", ArchiveKind::Tar),
    (".zip", ArchiveKind::Zip),
];

impl ArchiveKind {
    /// The kind that a file's name tells, and the name without that ending.
    pub fn of_name(name: &str) -> Option<(Self, &str)> {
        let lower = name.to_ascii_lowercase();
        let (ending, kind) = ENDINGS.iter().find(|(ending, _)| lower.ends_with(ending))?;
        Some((*kind, name.get(..name.len() - ending.len())?))
    }

    /// The body's `Content-Type`.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Tar => "application/x-tar",
            Self::TarGzip => "application/gzip",
            Self::TarZstd => "application/zstd",
            Self::Zip => "application/zip",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_tells_the_kind_and_the_rest_names_the_app() {
        assert_eq!(ArchiveKind::of_name("site-1.2.TAR.GZ"), Some((ArchiveKind::TarGzip, "site-1.2")));
        assert_eq!(ArchiveKind::of_name("a.tgz"), Some((ArchiveKind::TarGzip, "a")));
        assert_eq!(ArchiveKind::of_name("a.tar.zst"), Some((ArchiveKind::TarZstd, "a")));
        assert_eq!(ArchiveKind::of_name("a.tar"), Some((ArchiveKind::Tar, "a")));
        assert_eq!(ArchiveKind::of_name("a.zip"), Some((ArchiveKind::Zip, "a")));
        assert_eq!(ArchiveKind::of_name("a.rar"), None);
    }
}
