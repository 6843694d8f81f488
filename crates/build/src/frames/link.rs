//! Which symbolic links a source may hold: relative ones that cannot lead outside, whatever other links do.

use skylift_model::FilePath;
use skylift_model::manifest::LINK_BYTES_MAX;

/// Why a symbolic link is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLink {
    #[error("the link's target is empty")]
    Empty,
    #[error("the link's target is longer than {LINK_BYTES_MAX} bytes")]
    TooLong,
    #[error("the link's target is absolute")]
    Absolute,
    #[error("the link leads outside")]
    Outside,
    #[error("the link's target has `..` after a name, which another link could turn into a way outside")]
    UpAfterName,
    #[error("the link's target is not UTF-8 or has a control character or a backslash")]
    Character,
}

/// Which links a stream may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkRule {
    /// Those that cannot lead outside: of a source, which others lay out and read.
    Inside,
    /// All: of a program, whose links nobody follows but its own instances, in a root of their own.
    Any,
}

impl LinkRule {
    /// Checks the target of a link at `path`.
    pub fn check(self, path: &FilePath, target: &[u8]) -> Result<(), InvalidLink> {
        match self {
            Self::Inside => check_link(path, target),
            Self::Any => check_text(target).map(|_| ()),
        }
    }
}

/// Checks the target of a link at `path`. A target may climb with `..` only at its start and never above the root:
/// the folder a link lies in is a real one (nothing lies below a link), so that climb is exact, and the names after it
/// meet only real folders and links that obey the same rule.
pub fn check_link(path: &FilePath, target: &[u8]) -> Result<(), InvalidLink> {
    let target = check_text(target)?;
    if target.starts_with('/') {
        return Err(InvalidLink::Absolute);
    }
    let mut height = path.parts().count() - 1;
    let mut named = false;
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." if named => return Err(InvalidLink::UpAfterName),
            ".." => height = height.checked_sub(1).ok_or(InvalidLink::Outside)?,
            _ => named = true,
        }
    }
    Ok(())
}

fn check_text(target: &[u8]) -> Result<&str, InvalidLink> {
    if target.is_empty() {
        return Err(InvalidLink::Empty);
    }
    if target.len() as u64 > LINK_BYTES_MAX {
        return Err(InvalidLink::TooLong);
    }
    let target = std::str::from_utf8(target).map_err(|_| InvalidLink::Character)?;
    if target.chars().any(|c| c.is_control() || c == '\\') {
        return Err(InvalidLink::Character);
    }
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, target: &str) -> Result<(), InvalidLink> {
        check_link(&path.parse().unwrap(), target.as_bytes())
    }

    #[test]
    fn links_inside_are_taken() {
        for (path, target) in [("a", "b"), ("a/b", "../c"), ("a/b/c", "../../d/e"), ("a", "./b/c"), ("a/b", "..")] {
            assert_eq!(check(path, target), Ok(()), "{path} -> {target}");
        }
    }

    #[test]
    fn links_that_could_lead_outside_are_refused() {
        let cases = [
            ("a", "", InvalidLink::Empty),
            ("a", "/etc/passwd", InvalidLink::Absolute),
            ("a", "..", InvalidLink::Outside),
            ("a/b", "../../c", InvalidLink::Outside),
            ("a/b", "./../../c", InvalidLink::Outside),
            ("a/y", "x/../etc", InvalidLink::UpAfterName),
            ("a", "b\0c", InvalidLink::Character),
            ("a", "..\\c", InvalidLink::Character),
        ];
        for (path, target, reason) in cases {
            assert_eq!(check(path, target), Err(reason), "{path} -> {target}");
        }
        assert_eq!(check("a", &"x".repeat(1025)), Err(InvalidLink::TooLong));
        assert_eq!(check_link(&"a".parse().unwrap(), b"\xff"), Err(InvalidLink::Character));
    }

    #[test]
    fn the_links_of_a_program_may_lead_anywhere_and_must_still_be_text() {
        let any = |target: &[u8]| LinkRule::Any.check(&".venv/bin/python3".parse().unwrap(), target);
        assert_eq!(any(b"/usr/bin/python3"), Ok(()));
        assert_eq!(any(b"../../../../etc"), Ok(()));
        assert_eq!(any(b""), Err(InvalidLink::Empty));
        assert_eq!(any(b"a\n"), Err(InvalidLink::Character));
        assert_eq!(any(&[b'x'; 1025]), Err(InvalidLink::TooLong));
        let inside = LinkRule::Inside.check(&"a".parse().unwrap(), b"/usr/bin/python3");
        assert_eq!(inside, Err(InvalidLink::Absolute));
    }

    #[test]
    fn without_the_rule_about_names_two_links_lead_outside() {
        // `a/x -> ..` is the root; `a/y -> x/../secret` counts as inside by letters, and is outside on a disk.
        let root = tempfile::tempdir().unwrap();
        let inside = root.path().join("root");
        std::fs::create_dir_all(inside.join("a")).unwrap();
        std::fs::write(root.path().join("secret"), "canary").unwrap();
        std::os::unix::fs::symlink("..", inside.join("a/x")).unwrap();
        std::os::unix::fs::symlink("x/../secret", inside.join("a/y")).unwrap();
        assert_eq!(check("a/x", ".."), Ok(()));
        assert_eq!(std::fs::read_to_string(inside.join("a/y")).unwrap(), "canary");
        assert_eq!(check("a/y", "x/../secret"), Err(InvalidLink::UpAfterName));
    }
}
