//! Which entries are left out on purpose, by their names.

/// Which entries are left out of an archive or a folder. They are counted, never stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skip {
    /// `.git`, whatever it is.
    pub git: bool,
    /// `node_modules`.
    pub node_modules: bool,
    /// `.env` and everything that starts so: they hold secrets.
    pub env: bool,
    /// What macOS adds: `__MACOSX`, `._…`, `.DS_Store`.
    pub mac: bool,
    /// What build tools keep for their next run: `.next/cache`, `node_modules/.cache`, cargo's intermediate results…
    pub caches: bool,
}

/// Folders of caches, as the end of a path.
const CACHES: &[&str] = &[
    "node_modules/.cache",
    ".next/cache",
    ".parcel-cache",
    ".turbo",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    "target/debug",
    "target/release/deps",
    "target/release/build",
    "target/release/incremental",
    "target/release/examples",
    "target/release/.fingerprint",
];

impl Skip {
    /// For sources: all of them.
    pub const SOURCE: Self = Self { git: true, node_modules: true, env: true, mac: true, caches: false };
    /// For what a build made: a server's `node_modules` belongs to it.
    pub const OUTPUT: Self = Self { git: true, node_modules: false, env: true, mac: true, caches: false };
    /// For a program: it gets everything that it was built with.
    pub const PROGRAM: Self = Self { git: true, node_modules: false, env: false, mac: false, caches: true };

    /// Whether the entry at this path is a cache, and with it everything below.
    pub fn skips_cache(&self, path: &str) -> bool {
        let is_at = |cache: &&str| path.strip_suffix(*cache).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'));
        self.caches && CACHES.iter().any(is_at)
    }

    /// Whether an entry of this name, and with it everything below, is left out.
    pub fn skips(&self, part: &[u8]) -> bool {
        match part {
            b".git" => self.git,
            b"node_modules" => self.node_modules,
            b"__MACOSX" | b".DS_Store" => self.mac,
            _ => (self.env && part.starts_with(b".env")) || (self.mac && part.starts_with(b"._")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_leftovers_are_skipped_and_nothing_else() {
        for name in [".git", "node_modules", ".env", ".env.local", ".envrc", "__MACOSX", "._x", ".DS_Store"] {
            assert!(Skip::SOURCE.skips(name.as_bytes()), "{name}");
        }
        for name in [".gitignore", ".github", "env", "node_modules2", "x._y", ".e", ""] {
            assert!(!Skip::SOURCE.skips(name.as_bytes()), "{name}");
        }
        assert!(!Skip::OUTPUT.skips(b"node_modules"));
        assert!(!Skip::PROGRAM.skips(b".env") && Skip::PROGRAM.skips(b".git"));
        for cache in [".next/cache", "apps/web/.next/cache", "node_modules/.cache", "target/release/deps"] {
            assert!(Skip::PROGRAM.skips_cache(cache) && !Skip::OUTPUT.skips_cache(cache), "{cache}");
        }
        for kept in ["cache", "x.next/cache", "target/release", "target/release/app", "node_modules/cache"] {
            assert!(!Skip::PROGRAM.skips_cache(kept), "{kept}");
        }
    }
}
