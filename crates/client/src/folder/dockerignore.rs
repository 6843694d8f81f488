//! `.dockerignore`: like `.gitignore` only at first sight.
//!
//! Patterns are anchored at the root, `*` stays within one part of a path, a pattern covers everything below what it
//! matches, and the last pattern that covers a path decides, so that `*` followed by `!src` leaves all of `src`.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// The patterns of the root's `.dockerignore`.
#[derive(Debug)]
pub(super) struct Dockerignore {
    globs: GlobSet,
    /// For each pattern, whether it brings back (`!`) rather than leaves out.
    brings_back: Vec<bool>,
}

/// The last pattern that covers a folder; what lies in it starts from there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Covering(Option<usize>);

impl Dockerignore {
    /// Reads the text of a `.dockerignore`.
    pub(super) fn parse(text: &str) -> Result<Self, globset::Error> {
        let mut globs = GlobSetBuilder::new();
        let mut brings_back = Vec::new();
        for line in text.trim_start_matches('\u{feff}').lines().map(str::trim) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (pattern, is_exception) = match line.strip_prefix('!') {
                Some(pattern) => (pattern.trim(), true),
                None => (line, false),
            };
            let pattern = clean(pattern);
            if pattern.is_empty() {
                continue;
            }
            globs.add(GlobBuilder::new(&pattern).literal_separator(true).backslash_escape(true).build()?);
            brings_back.push(is_exception);
        }
        Ok(Self { globs: globs.build()?, brings_back })
    }

    /// The last pattern that covers `path`, which lies in a folder covered by `above`.
    pub(super) fn cover(&self, path: &str, above: Covering) -> Covering {
        let own = self.globs.matches(path).into_iter().max();
        Covering(own.max(above.0))
    }

    /// Whether what is so covered is left out.
    pub(super) fn leaves_out(&self, covering: Covering) -> bool {
        covering.0.is_some_and(|last| self.brings_back.get(last) == Some(&false))
    }

    /// Whether something in a folder that is left out may be brought back by a later pattern.
    pub(super) fn may_bring_back_below(&self, covering: Covering) -> bool {
        let later = covering.0.map_or(0, |last| last + 1);
        self.brings_back.iter().skip(later).any(|brings_back| *brings_back)
    }
}

/// The pattern without leading and trailing slashes and `.` parts, as Go's `filepath.Clean` leaves it.
fn clean(pattern: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in pattern.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(patterns: &str, path: &str, is_left_out: bool) {
        let rules = Dockerignore::parse(patterns).unwrap();
        let mut covering = Covering::default();
        for (end, _) in path.match_indices('/').chain([(path.len(), "")]) {
            covering = rules.cover(&path[..end], covering);
        }
        assert_eq!(rules.leaves_out(covering), is_left_out, "{patterns:?} on {path}");
    }

    #[test]
    fn patterns_mean_what_they_mean_to_docker() {
        check("*.md", "a.md", true);
        check("*.md", "docs/a.md", false);
        check("**/*.md", "docs/a.md", true);
        check("**/*.md", "a.md", true);
        check("docs", "docs/deep/a.md", true);
        check("/docs/", "docs/a.md", true);
        check("docs", "src/docs/a.md", false);
        check("*\n!src\n!package.json", "src/deep/a.js", false);
        check("*\n!src\n!package.json", "package.json", false);
        check("*\n!src\n!package.json", "secret.txt", true);
        check("*\n!src\nsrc/*.log", "src/x.log", true);
        check("docs\n!docs/README.md", "docs/README.md", false);
        check("docs\n!docs/README.md", "docs/other.md", true);
        check("# comment\n\n  a?c  ", "abc", true);
        check("./a/../b", "b", true);
        check("", "a", false);
    }

    #[test]
    fn a_folder_is_only_entered_where_something_in_it_may_come_back() {
        let rules = Dockerignore::parse("a\n!a/b\nc").unwrap();
        let a = rules.cover("a", Covering::default());
        let c = rules.cover("c", Covering::default());
        assert!(rules.may_bring_back_below(a) && !rules.may_bring_back_below(c));
    }
}
