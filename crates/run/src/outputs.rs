//! Which of the files that a run left are wanted.

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};
use skylift_model::FilePath;

use crate::language::BUILT;

/// The globs of a job; those that are none match nothing.
pub(crate) fn wanted(globs: &[String]) -> impl Fn(&FilePath) -> bool + use<> {
    let set = compile(globs);
    // What we have built is no file of the run's.
    move |path| path.below(BUILT).is_none() && set.is_match(path.as_str())
}

/// Whether a text is a glob.
pub(crate) fn is_glob(text: &str) -> bool {
    glob(text).is_ok()
}

fn compile(globs: &[String]) -> GlobSet {
    let mut set = GlobSetBuilder::new();
    for glob in globs.iter().filter_map(|text| glob(text).ok()) {
        set.add(glob);
    }
    set.build().unwrap_or_default()
}

/// `*` stays within a folder, `**` does not.
fn glob(text: &str) -> Result<Glob, globset::Error> {
    GlobBuilder::new(text.trim_start_matches("./")).literal_separator(true).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_choose_and_what_was_compiled_is_never_chosen() {
        let wanted = wanted(&["*.png".into(), "./out/**".into(), "[".into(), "**".into()][..3]);
        for (path, is_wanted) in [
            ("plot.png", true),
            ("deep/plot.png", false),
            ("out/a/b", true),
            ("main.py", false),
            (".built/program", false),
        ] {
            assert_eq!(wanted(&path.parse().unwrap()), is_wanted, "{path}");
        }
        assert!(!super::wanted(&["**".into()])(&".built/program".parse().unwrap()));
        assert!(is_glob("a*") && !is_glob("["));
    }
}
