//! What an owner says of sets of packages, `[runs.packages.NAME]`.

use serde::{Deserialize, Serialize};

/// One set, as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackageSettings {
    /// Whose packages they are.
    pub language: PackageLanguage,
    /// What its package manager is asked for: names, with versions as it writes them.
    pub packages: Vec<String>,
    /// Whether what the packages bring for being built is run, inside the sandbox: sources for Python, scripts for Node.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub from_source: bool,
    /// Modules that are imported before a run begins (Python); left out, those of packages that are known to bear it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preload: Option<Vec<String>>,
}

/// Languages that can have sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PackageLanguage {
    Python,
    Node,
}

const NAME_BYTES_MAX: usize = 40;
const PACKAGES_MAX: usize = 200;

impl PackageLanguage {
    /// The language's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Node => "node",
        }
    }
}

impl PackageSettings {
    /// Every mistake of the set with this name, in words.
    pub fn mistakes(&self, name: &str) -> Vec<String> {
        let told = |what: String| format!("[runs.packages.{name}] {what}");
        let mut mistakes = Vec::new();
        if !is_name(name) {
            mistakes
                .push(told(format!("a name has up to {NAME_BYTES_MAX} letters, digits and hyphens, in lower case")));
        }
        if self.packages.is_empty() || self.packages.len() > PACKAGES_MAX {
            mistakes.push(told(format!("packages: 1 to {PACKAGES_MAX}")));
        }
        for package in self.packages.iter().filter(|package| !self.is_package(package)) {
            let example = match self.language {
                PackageLanguage::Python => "numpy==2.4.6",
                PackageLanguage::Node => "lodash@4.17.21",
            };
            mistakes.push(told(format!("packages: `{package}` is no package of a registry, as in `{example}`")));
        }
        if self.language == PackageLanguage::Node && self.preload.is_some() {
            mistakes.push(told("preload: only for Python".to_owned()));
        }
        for module in self.preload.iter().flatten().filter(|module| !is_module(module)) {
            mistakes.push(told(format!("preload: `{module}` is no module's name")));
        }
        mistakes
    }

    /// Neither an option, nor a path, nor an address: packages come from the registry that builds use.
    fn is_package(&self, text: &str) -> bool {
        match self.language {
            PackageLanguage::Python => {
                text.starts_with(|c: char| c.is_ascii_alphanumeric())
                    && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-[],=<>!~*+".contains(c))
            }
            PackageLanguage::Node => {
                let name = text.strip_prefix('@').map_or(Some(text), |scoped| {
                    let (scope, name) = scoped.split_once('/')?;
                    is_npm_name(scope).then_some(name)
                });
                let (name, version) = name.map(|name| name.split_once('@').unwrap_or((name, "*"))).unwrap_or_default();
                is_npm_name(name) && version.chars().all(|c| c.is_ascii_alphanumeric() || ".-^~<>=*+|".contains(c))
            }
        }
    }
}

fn is_name(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    text.starts_with(|c: char| c != '-') && text.len() <= NAME_BYTES_MAX && text.chars().all(is_part)
}

fn is_npm_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

fn is_module(text: &str) -> bool {
    let is_part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    text.split('.').all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(language: PackageLanguage, name: &str, packages: &[&str]) -> usize {
        let packages = packages.iter().map(|&package| package.to_owned()).collect();
        PackageSettings { language, packages, from_source: false, preload: None }.mistakes(name).len()
    }

    #[test]
    fn packages_of_a_registry_are_taken_and_options_paths_and_addresses_are_not() {
        let python = ["numpy", "numpy==2.4.6", "requests[socks]>=2,<3", "ruamel.yaml~=0.18", "a!=1.*"];
        assert_eq!(mistakes(PackageLanguage::Python, "data-1", &python), 0);
        for wrong in
            ["--index-url=x", "-rx", "./here", "/etc", "x @ https://e.example/x.whl", "git+https://e", "", "a;b", "a b"]
        {
            assert_eq!(mistakes(PackageLanguage::Python, "data", &[wrong]), 1, "{wrong}");
        }
        let node = ["lodash", "lodash@4.17.21", "@types/node@^20", "left-pad@~1.3.0", "x@>=1||2"];
        assert_eq!(mistakes(PackageLanguage::Node, "web", &node), 0);
        for wrong in [
            "--prefix=/",
            "user/repo",
            "git+ssh://x",
            "x@npm:y",
            "x@file:../y",
            "@scope",
            "@/x",
            "../x",
            "",
            "x@http://e",
        ] {
            assert_eq!(mistakes(PackageLanguage::Node, "web", &[wrong]), 1, "{wrong}");
        }
    }

    #[test]
    fn names_are_plain() {
        for wrong in ["", "-a", "Data", "a/b", "a.b", &"a".repeat(41)] {
            assert_eq!(mistakes(PackageLanguage::Python, wrong, &["numpy"]), 1, "{wrong}");
        }
        assert_eq!(mistakes(PackageLanguage::Python, "data", &[]), 1);
        assert!(is_module("numpy.random") && !is_module("os;x") && !is_module("a..b") && !is_module("1a"));
    }
}
