//! What is never sent, whatever ignore files say: other tools' folders, installed dependencies, secrets.

/// Version control, caches and rubbish of desktops and editors, by exact name.
const NAMES: &[&str] = &[
    ".git",
    ".hg",
    ".svn",
    ".bzr",
    ".jj",
    "CVS",
    "_darcs",
    "node_modules",
    ".DS_Store",
    ".AppleDouble",
    "Thumbs.db",
    "desktop.ini",
    "__MACOSX",
    "__pycache__",
    ".venv",
    ".vercel",
    ".netlify",
    ".skylift",
];

/// Whether an entry of that name is never sent. No ignore file can bring it back.
pub(super) fn is_never_sent(name: &str) -> bool {
    // `.env*` without an exception for `.env.example`: a rule with exceptions is one that leaks a secret some day.
    let is_environment = name.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(".env"));
    let is_editor_swap = name.starts_with('.') && (name.ends_with(".swp") || name.ends_with(".swo"));
    is_environment || is_editor_swap || NAMES.contains(&name) || name.eq_ignore_ascii_case(".git")
}

#[cfg(test)]
mod tests {
    use super::is_never_sent;

    #[test]
    fn secrets_and_other_tools_folders_are_never_sent() {
        for name in [".env", ".env.local", ".env.example", ".ENV", ".envrc", ".git", ".GIT", "node_modules", ".a.swp"] {
            assert!(is_never_sent(name), "{name}");
        }
        for name in ["env", ".en", "x.env", ".gitignore", ".github", "node_modules.md", "a.swp", "é.env", ".é"] {
            assert!(!is_never_sent(name), "{name}");
        }
    }
}
