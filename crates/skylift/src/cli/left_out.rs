//! Which ignored files a person may miss: asked where a project was not recognised, or was taken for something else.

use std::path::PathBuf;

use skylift_client::folder::{Folder, Ignored, Walked};
use skylift_model::plan::{Plan, ProjectKind};

/// Folders in which sites are commonly kept or built.
const SITES: &[&str] = &["public", "dist", "build", "out", "_site", "www"];
/// Files that tell what a project is.
const MARKS: &[&str] = &["index.html", "package.json", "skylift.toml"];
/// How many are named at once.
const NAMED_MAX: usize = 3;

/// What ignore files left out of a folder that was sent or looked at.
#[derive(Clone, Debug, Default)]
pub(super) struct LeftOut {
    root: PathBuf,
    ignored: Vec<Ignored>,
}

impl LeftOut {
    pub(super) fn of_walked(walked: &Walked) -> Self {
        Self { root: walked.root.clone(), ignored: walked.ignored.clone() }
    }

    pub(super) fn of_folder(folder: &Folder) -> Self {
        Self { root: folder.root().to_owned(), ignored: folder.ignored().to_vec() }
    }

    /// What may explain that detection of the project in `dir` failed with `message`, a line each.
    pub(super) fn explains_failure(&self, dir: Option<&str>, message: &str) -> Vec<String> {
        self.name(|ignored| is_named(ignored, message) || is_telling(ignored, dir.unwrap_or_default()))
    }

    /// Sites beside the one that was chosen, which are not sent: whoever built one may have meant that.
    pub(super) fn overlooked(&self, plan: &Plan) -> Vec<String> {
        if plan.kind != ProjectKind::Static || plan.build.is_some() {
            return Vec::new();
        }
        let is_site = |ignored: &Ignored| self.root.join(&ignored.path).join("index.html").is_file();
        self.name(|ignored| ignored.is_folder && is_telling(ignored, &plan.root) && is_site(ignored))
    }

    fn name(&self, is_meant: impl Fn(&Ignored) -> bool) -> Vec<String> {
        let mut meant: Vec<&Ignored> = self.ignored.iter().filter(|ignored| is_meant(ignored)).collect();
        meant.sort_by(|a, b| a.path.cmp(&b.path));
        meant.into_iter().take(NAMED_MAX).map(Ignored::to_string).collect()
    }
}

/// Whether something of that name in the project's folder tells what the project is.
fn is_telling(ignored: &Ignored, project: &str) -> bool {
    let (folder, name) = ignored.path.rsplit_once('/').unwrap_or(("", &ignored.path));
    let names = if ignored.is_folder { SITES } else { MARKS };
    // The project's folder may be left out itself, or a folder above it.
    (folder == project && names.contains(&name)) || is_at_or_above(&ignored.path, project)
}

/// Whether a message quotes the path, or one below it.
fn is_named(ignored: &Ignored, message: &str) -> bool {
    message.split('`').skip(1).step_by(2).any(|quoted| is_at_or_above(&ignored.path, quoted.trim_end_matches('/')))
}

fn is_at_or_above(path: &str, other: &str) -> bool {
    other.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left_out(paths: &[&str]) -> LeftOut {
        let ignored = |path: &&str| Ignored {
            path: path.trim_end_matches('/').to_owned(),
            is_folder: path.ends_with('/'),
            file: ".gitignore".to_owned(),
            line: 3,
        };
        LeftOut { root: PathBuf::new(), ignored: paths.iter().map(ignored).collect() }
    }

    fn check(paths: &[&str], dir: Option<&str>, message: &str, named: &[&str]) {
        let told = left_out(paths).explains_failure(dir, message);
        let starts: Vec<_> = named.iter().map(|name| format!("`{name}` is ignored by .gitignore:3")).collect();
        assert_eq!(told.len(), starts.len(), "{told:?}");
        assert!(told.iter().zip(&starts).all(|(line, start)| line.starts_with(start)), "{told:?}");
    }

    #[test]
    fn what_may_hold_the_site_or_is_quoted_is_named_and_nothing_else() {
        check(&["dist/", "logs/", "a.log"], None, "no kind of project was recognised", &["dist/"]);
        check(&["index.html", "x/index.html"], None, "nothing", &["index.html"]);
        check(&["web/dist/", "dist/"], Some("web"), "nothing", &["web/dist/"]);
        check(&["apps/"], Some("apps/web"), "the source has no folder `apps/web`", &["apps/"]);
        check(&["site/"], None, "there is no output folder `site/html`", &["site/"]);
        check(&["sit/", "html/"], None, "there is no output folder `site/html`", &[]);
        check(&["dist/", "build/", "out/", "www/"], None, "nothing", &["build/", "dist/", "out/"]);
    }
}
