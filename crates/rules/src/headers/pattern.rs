//! The paths that a block of `_headers` is for, as Netlify matches them: case does not matter, nor does a slash at the end.

use crate::regex::{Budget, Case, InvalidRegex, Regex, escape};
use crate::text::trim;

/// Compiled paths.
#[derive(Clone, Debug)]
pub(crate) enum Pattern {
    /// `/*`
    All,
    /// Exactly this path in lower case, one slash at its end aside.
    Exact(String),
    /// This path in lower case, and whatever follows.
    Prefix(String),
    /// Anything else, in lower case.
    Regex(Box<Regex>),
}

impl Pattern {
    /// Reads the path of a block.
    pub(crate) fn new(path: &str) -> Result<Self, InvalidRegex> {
        let path = lower(path);
        let parts: Vec<&str> = path.split('/').map(trim).filter(|part| !part.is_empty()).collect();
        let is_plain = |parts: &[&str]| parts.iter().all(|part| !part.starts_with(':') && !part.contains('*'));
        Ok(match parts.as_slice() {
            ["*"] => Self::All,
            parts if is_plain(parts) => Self::Exact(format!("/{}", parts.join("/"))),
            // The slash before the last `*` is optional, so `/a/*` is also for `/ab`.
            [before @ .., "*"] if is_plain(before) => Self::Prefix(format!("/{}", before.join("/"))),
            parts => Self::Regex(Box::new(Regex::new(&expression(parts), Case::Matters)?)),
        })
    }

    /// Whether it is for a path, which is in lower case.
    pub(crate) fn matches(&self, path: &str, budget: &mut Budget) -> bool {
        match self {
            Self::All => true,
            Self::Exact(exact) => path == exact || path.strip_suffix('/').is_some_and(|path| path == exact),
            Self::Prefix(prefix) => path.starts_with(prefix.as_str()),
            Self::Regex(regex) => regex.is_match(path, budget),
        }
    }
}

fn expression(parts: &[&str]) -> String {
    let parts = parts.iter().map(|part| match *part {
        "*" => "?(.*)".to_owned(),
        part if part.starts_with(':') => "([^/]+)".to_owned(),
        part => part.split('*').map(escape).collect::<Vec<_>>().join("(.*)"),
    });
    format!("^/{}/?$", parts.collect::<Vec<_>>().join("/"))
}

/// A path in lower case.
pub(crate) fn lower(path: &str) -> String {
    path.chars().map(crate::regex::folded).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_for_the_paths_the_conventions_name() {
        for (pattern, path, expected) in [
            ("/*", "/anything", true),
            ("/a/*", "/a", true),
            ("/a/*", "/a/b/c", true),
            ("/a/:x", "/a/b", true),
            ("/a/:x", "/a/b/c", false),
            ("/*.css", "/x/y.css", true),
            ("/*.css", "/x/y_css", false),
            ("/About", "/aBOUT/", true),
            ("/about", "/about/x", false),
            ("/", "/", true),
            ("/a/*/c", "/a/b/c/", true),
            ("/fonts/*.woff2", "/fonts/x.woff", false),
        ] {
            let matches = Pattern::new(pattern).unwrap().matches(&lower(path), &mut Budget::default());
            assert_eq!(matches, expected, "{pattern} {path}");
        }
    }
}
