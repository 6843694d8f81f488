//! Where a Node project's dependencies are installed: in its own folder, or in the workspace above it.

use super::error::DetectError;
use super::manager::LOCKFILES;
use super::package_json::PackageJson;
use super::view::{View, join, parent};

/// Where to install, and what says so.
pub(crate) struct InstallRoot {
    pub(crate) folder: String,
    pub(crate) from: String,
    /// The `package.json` there, where it is not the project's own.
    pub(crate) package: Option<PackageJson>,
    /// Whether it is a workspace, whose members have dependencies of their own.
    pub(crate) is_workspace: bool,
}

/// Finds the install root of the project in `root`.
///
/// A workspace counts where the project is a member of it; a lockfile further up without a workspace only where the
/// `package.json` beside it names all that the project needs, for else the project's dependencies would be missing.
pub(crate) fn find(view: &View<'_>, root: &str, project: &PackageJson) -> Result<InstallRoot, DetectError> {
    if let Some(patterns) = patterns(view, root, Some(project)) {
        return Ok(InstallRoot { folder: root.to_owned(), from: patterns.from, package: None, is_workspace: true });
    }
    let mut shared_lockfile = None;
    let mut folder = parent(root);
    while let Some(current) = folder {
        let package = PackageJson::load(view, current)?;
        if let Some(patterns) = patterns(view, current, package.as_ref()) {
            let member = if current.is_empty() { Some(root) } else { root.get(current.len() + 1..) };
            if patterns.include(member.unwrap_or(root)) {
                let folder = current.to_owned();
                return Ok(InstallRoot { folder, from: patterns.from, package, is_workspace: true });
            }
        }
        let lockfile = view.first_of(current, LOCKFILES);
        if let (None, Some(from), Some(package)) = (&shared_lockfile, lockfile, package)
            && project.package_names().all(|name| package.has(name))
        {
            let folder = current.to_owned();
            shared_lockfile = Some(InstallRoot { folder, from, package: Some(package), is_workspace: false });
        }
        folder = parent(current);
    }
    let own = view.first_of(root, LOCKFILES).or_else(|| shared_lockfile.is_none().then(|| project.file.clone()));
    match (own, shared_lockfile) {
        (None, Some(shared)) => Ok(shared),
        (own, _) => {
            let from = own.unwrap_or_default();
            Ok(InstallRoot { folder: root.to_owned(), from, package: None, is_workspace: false })
        }
    }
}

struct Patterns {
    patterns: Vec<String>,
    from: String,
}

impl Patterns {
    /// Whether a folder is a member: the last pattern that matches decides, `!` excludes.
    fn include(&self, folder: &str) -> bool {
        let mut included = false;
        for pattern in &self.patterns {
            let (excludes, pattern) = match pattern.strip_prefix('!') {
                Some(rest) => (true, rest),
                None => (false, pattern.as_str()),
            };
            let pattern = pattern.trim_start_matches("./").trim_end_matches('/');
            let pattern: Vec<&str> = pattern.split('/').collect();
            let folder: Vec<&str> = folder.split('/').collect();
            if matches(&pattern, &folder) {
                included = !excludes;
            }
        }
        included
    }
}

fn patterns(view: &View<'_>, folder: &str, package: Option<&PackageJson>) -> Option<Patterns> {
    let file = join(folder, "pnpm-workspace.yaml");
    let patterns = yaml_packages(&view.glance(&file));
    if !patterns.is_empty() {
        return Some(Patterns { patterns, from: format!("{file} packages") });
    }
    let package = package?;
    let patterns = package.workspaces.clone().filter(|patterns| !patterns.is_empty())?;
    Some(Patterns { patterns, from: package.field("workspaces") })
}

/// The list `packages:` of a `pnpm-workspace.yaml`, in block or flow style. Not a YAML parser: what it does not
/// understand it leaves out.
fn yaml_packages(text: &str) -> Vec<String> {
    let mut lines = text.lines().map(|line| line.split(" #").next().unwrap_or_default().trim_end());
    let Some(first) = lines.find_map(|line| line.strip_prefix("packages:")) else { return Vec::new() };
    if let Some(flow) = first.trim().strip_prefix('[') {
        return flow.trim_end_matches(']').split(',').map(unquoted).filter(|item| !item.is_empty()).collect();
    }
    let below = lines.take_while(|line| line.is_empty() || line.starts_with([' ', '-', '#', '\t']));
    below
        .filter_map(|line| line.trim_start().strip_prefix("- ").map(unquoted))
        .filter(|item| !item.is_empty())
        .collect()
}

fn unquoted(text: &str) -> String {
    text.trim().trim_matches(['\'', '"']).to_owned()
}

/// `*` stands for one part or a piece of one, `**` for any number of parts. Linear in the parts for each `**`.
fn matches(pattern: &[&str], parts: &[&str]) -> bool {
    let mut starts: Vec<usize> = vec![0];
    for (index, piece) in pattern.iter().enumerate() {
        let mut next = Vec::new();
        for at in starts {
            if *piece == "**" {
                next.extend(at..=parts.len());
            } else if parts.get(at).is_some_and(|part| part_matches(piece, part)) {
                next.push(at + 1);
            }
        }
        next.sort_unstable();
        next.dedup();
        if next.is_empty() || index > skylift_model::path::PARTS_MAX {
            return false;
        }
        starts = next;
    }
    starts.contains(&parts.len())
}

fn part_matches(pattern: &str, part: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = part.strip_prefix(first) else { return false };
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    for piece in pieces {
        match rest.find(piece) {
            Some(at) => rest = rest.get(at + piece.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn include(patterns: &[&str], folder: &str) -> bool {
        let patterns = patterns.iter().map(|text| (*text).to_owned()).collect();
        Patterns { patterns, from: String::new() }.include(folder)
    }

    #[test]
    fn members_are_those_the_patterns_name() {
        assert!(include(&["apps/*"], "apps/web"));
        assert!(!include(&["apps/*"], "apps/web/sub"));
        assert!(include(&["apps/**"], "apps/web/sub"));
        assert!(include(&["**"], "a/b/c"));
        assert!(include(&["./packages/site-*/"], "packages/site-one"));
        assert!(!include(&["packages/site-*"], "packages/other"));
        assert!(!include(&["apps/*", "!apps/old"], "apps/old"));
        assert!(include(&["site"], "site"));
        assert!(!include(&[], "site"));
    }

    #[test]
    fn hostile_patterns_end_quickly() {
        let pattern = vec!["**"; 60].join("/");
        let folder = vec!["a"; 60].join("/");
        assert!(include(&[&pattern], &folder));
        assert!(!include(&[&format!("{pattern}/b")], &folder));
        assert!(!include(&[&"*a".repeat(200)], &"a".repeat(100)));
    }

    #[test]
    fn the_packages_of_a_pnpm_workspace_are_read_in_both_styles() {
        let block = "# ours\npackages:\n  # apps\n  - 'apps/*' # all\n  - \"packages/*\"\n\ncatalog:\n  - x\n";
        assert_eq!(yaml_packages(block), ["apps/*", "packages/*"]);
        assert_eq!(yaml_packages("packages:\n- a\n- b\nother: 1\n"), ["a", "b"]);
        assert_eq!(yaml_packages("packages: ['a/*', \"b\"]\n"), ["a/*", "b"]);
        assert_eq!(yaml_packages("onlyBuiltDependencies:\n  - esbuild\n"), [""; 0]);
    }
}
