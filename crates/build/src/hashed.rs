//! Which files of a built site have names that change with their bytes, so that browsers may keep them for ever.
//!
//! The framework that made the site says where it puts such files and how it names them. A wrong "for ever" cannot be taken
//! back, so a file that the source brought along is none, wherever it lies. What is not said here may still be told by
//! its name (`edge/site/cache_class.rs`).

use skylift_model::plan::Plan;
use skylift_model::{FilePath, Manifest};

/// Folders of a project whose files are copied into the site as they are.
const COPIED: &[&str] = &["public", "static"];

/// Where a framework puts hashed files, and how it names them.
#[derive(Clone, Copy, Debug)]
struct Rule {
    /// Below the site's root.
    folder: &'static str,
    name: Name,
}

#[derive(Clone, Copy, Debug)]
enum Name {
    /// The folder holds nothing else.
    Any,
    /// `index-BfTk3x9Q.js`, `page.BfTk3x9Q.js`: eight characters of base 64 (Rollup).
    Base64,
    /// `main.3f2a1b4c.js`: hexadecimal digits between dots or dashes (webpack).
    Hex,
    /// `main-QX7YJ2VR.js`: eight capitals and digits (esbuild), in the folder itself.
    Base32,
}

fn rules(framework: &str) -> &'static [Rule] {
    match framework {
        "vite" | "vitepress" | "react-router" | "remix" => &[Rule { folder: "assets", name: Name::Base64 }],
        "astro" => &[Rule { folder: "_astro", name: Name::Any }],
        "sveltekit" => &[Rule { folder: "_app/immutable", name: Name::Any }],
        "next" => &[Rule { folder: "_next/static", name: Name::Any }],
        // `_nuxt/builds` tells which build is the newest, so not all of the folder.
        "nuxt" => &[Rule { folder: "_nuxt", name: Name::Base64 }],
        "create-react-app" => &[Rule { folder: "static", name: Name::Hex }],
        "docusaurus" => &[Rule { folder: "assets", name: Name::Hex }],
        "vue-cli" => &[
            Rule { folder: "js", name: Name::Hex },
            Rule { folder: "css", name: Name::Hex },
            Rule { folder: "img", name: Name::Hex },
            Rule { folder: "fonts", name: Name::Hex },
        ],
        "angular" => &[Rule { folder: "", name: Name::Base32 }, Rule { folder: "media", name: Name::Base32 }],
        _ => &[],
    }
}

/// Tells of each file of one site.
pub(crate) struct HashedNames<'a> {
    rules: &'static [Rule],
    root: &'a str,
    source: &'a Manifest,
}

impl<'a> HashedNames<'a> {
    /// For what this plan makes of this source.
    pub(crate) fn of(plan: &'a Plan, source: &'a Manifest) -> Self {
        let framework = plan.framework.as_deref().filter(|_| plan.build.is_some()).unwrap_or_default();
        Self { rules: rules(framework), root: &plan.root, source }
    }

    /// Whether the name of the file at a path of the site changes with its bytes; `None` where that is not known.
    pub(crate) fn tell(&self, path: &FilePath) -> Option<bool> {
        if self.rules.is_empty() {
            None
        } else if self.is_copied(path) {
            Some(false)
        } else {
            self.rules.iter().any(|rule| rule.fits(path)).then_some(true)
        }
    }

    fn is_copied(&self, path: &FilePath) -> bool {
        COPIED.iter().any(|folder| {
            let folder = super::builder::joined(self.root, folder);
            self.source.get(&format!("{folder}/{path}")).is_some()
        })
    }
}

impl Rule {
    fn fits(&self, path: &FilePath) -> bool {
        let Some(below) = path.below(self.folder) else { return false };
        let name = path.file_name();
        let Some((stem, extension)) = name.rsplit_once('.') else { return false };
        // Pages are asked for by name, and manifests are asked for to learn names.
        if matches!(extension, "html" | "htm" | "json" | "webmanifest") && !matches!(self.name, Name::Any) {
            return false;
        }
        match self.name {
            Name::Any => !matches!(extension, "html" | "htm"),
            Name::Base64 => stem.split('.').any(ends_in_base64),
            Name::Hex => stem.split(['.', '-']).skip(1).any(is_hex),
            Name::Base32 => !below.contains('/') && stem.rsplit_once('-').is_some_and(|(_, last)| is_base32(last)),
        }
    }
}

/// The whole part, or what follows its last dash but eight characters from its end: a hash may hold dashes itself.
fn ends_in_base64(part: &str) -> bool {
    let Some(at) = part.len().checked_sub(8) else { return false };
    let Some((before, hash)) = part.split_at_checked(at) else { return false };
    let is_alphabet = hash.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    let rest = hash.get(1..).unwrap_or_default();
    // One hash in two thousand looks like a word; it is asked for again, which is harmless.
    let is_word = hash.bytes().all(|b| b.is_ascii_alphabetic()) && rest.bytes().all(|b| b.is_ascii_lowercase());
    is_alphabet && !is_word && (before.is_empty() || before.ends_with('-'))
}

fn is_hex(part: &str) -> bool {
    let is_alphabet = part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    matches!(part.len(), 8..=64) && is_alphabet && part.bytes().any(|b| b.is_ascii_digit())
}

fn is_base32(part: &str) -> bool {
    part.len() == 8 && part.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(framework: &str, path: &str) -> bool {
        let path: FilePath = path.parse().unwrap();
        rules(framework).iter().any(|rule| rule.fits(&path))
    }

    #[test]
    fn each_framework_says_which_names_hold_a_hash() {
        for (framework, path) in [
            ("vite", "assets/index-D-x_9aQz.js"),
            ("vite", "assets/index-abCdefgh.css"),
            ("vite", "assets/logo-12345678.svg"),
            ("vitepress", "assets/guide_start.md.BfTk3x9Q.lean.js"),
            ("vitepress", "assets/chunks/theme.DzVZ9qV3.js"),
            ("astro", "_astro/photo.BfTk3x9Q_Z1abc.webp"),
            ("sveltekit", "_app/immutable/entry/start.js"),
            ("next", "_next/static/abc/_buildManifest.js"),
            ("nuxt", "_nuxt/BfTk3x9Q.js"),
            ("nuxt", "_nuxt/entry.Dz-Z9qV3.css"),
            ("create-react-app", "static/js/787.1a2b3c4d.chunk.js"),
            ("create-react-app", "static/media/logo.6ce24c58023cc2f8fd88.svg"),
            ("docusaurus", "assets/images/docs-1a2b3c4d5e6f7a8b9c0d1a2b3c4d5e6f.png"),
            ("vue-cli", "js/chunk-vendors.1a2b3c4d.js"),
            ("angular", "main-QX7YJ2VR.js"),
            ("angular", "chunk-ABCDEFGH.js"),
            ("angular", "media/font-QX7YJ2VR.woff2"),
        ] {
            assert!(check(framework, path), "{framework} {path}");
        }
    }

    #[test]
    fn everything_else_is_asked_for_again() {
        for (framework, path) in [
            ("vite", "index.html"),
            ("vite", "assets/index-BfTk3x9Q.html"),
            ("vite", "assets/app.js"),
            ("vite", "assets/app-datepick.css"),
            ("vite", "assets/app-Datepick.css"),
            ("vite", "app-BfTk3x9Q.js"),
            ("nuxt", "_nuxt/builds/latest.json"),
            ("nuxt", "_nuxt/builds/meta/3f2a1b4c-1a2b-4c3d-8e9f-0a1b2c3d4e5f.json"),
            ("sveltekit", "_app/version.json"),
            ("create-react-app", "static/js/main.js"),
            ("create-react-app", "asset-manifest.json"),
            ("docusaurus", "assets/photo-facebook.png"),
            ("angular", "assets/main-QX7YJ2VR.js"),
            ("angular", "main.js"),
            ("eleventy", "assets/index-BfTk3x9Q.js"),
            ("", "assets/index-BfTk3x9Q.js"),
        ] {
            assert!(!check(framework, path), "{framework} {path}");
        }
    }
}
