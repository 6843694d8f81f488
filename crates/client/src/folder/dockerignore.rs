//! `.dockerignore`: like `.gitignore` only at first sight.
//!
//! Patterns are anchored at the root, `*` stays within one part of a path, a pattern covers everything below what it
//! matches, and the last pattern that covers a path decides, so that `*` followed by `!src` leaves all of `src`.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// The patterns of the root's `.dockerignore`.
#[derive(Debug)]
pub(super) struct Dockerignore {
    globs: GlobSet,
    /// What is known of each pattern.
    patterns: Vec<Pattern>,
}

#[derive(Debug)]
struct Pattern {
    /// Whether it brings back (`!`) rather than leaves out.
    brings_back: bool,
    /// Its line, counted from 1.
    line: usize,
}

/// The last pattern that covers a folder; what lies in it starts from there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Covering(Option<usize>);

impl Dockerignore {
    /// Reads the text of a `.dockerignore`.
    pub(super) fn parse(text: &str) -> Result<Self, globset::Error> {
        let mut globs = GlobSetBuilder::new();
        let mut patterns = Vec::new();
        for (before, line) in text.trim_start_matches('\u{feff}').lines().map(str::trim).enumerate() {
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
            patterns.push(Pattern { brings_back: is_exception, line: before + 1 });
        }
        Ok(Self { globs: globs.build()?, patterns })
    }

    /// The last pattern that covers `path`, which lies in a folder covered by `above`.
    pub(super) fn cover(&self, path: &str, above: Covering) -> Covering {
        let own = self.globs.matches(path).into_iter().max();
        Covering(own.max(above.0))
    }

    /// The line that leaves out what is so covered, counted from 1.
    pub(super) fn left_out_by_line(&self, covering: Covering) -> Option<usize> {
        let last = self.patterns.get(covering.0?)?;
        (!last.brings_back).then_some(last.line)
    }

    /// Whether something in a folder that is left out may be brought back by a later pattern.
    pub(super) fn may_bring_back_below(&self, covering: Covering) -> bool {
        let later = covering.0.map_or(0, |last| last + 1);
        self.patterns.iter().skip(later).any(|pattern| pattern.brings_back)
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
        assert_eq!(rules.left_out_by_line(covering).is_some(), is_left_out, "{patterns:?} on {path}");
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
