//! Languages, as Piston calls them and picks among them.

use nodejs_semver::{Range, Version};
use serde::Serialize;
use serde_json::{Value, json};
use skylift_model::wire::Language;

/// A language, as Piston tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Runtime {
    pub(super) language: String,
    pub(super) version: String,
    pub(super) aliases: Vec<String>,
    /// The package that it comes from, where that is not called as the language.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) runtime: Option<&'static str>,
    /// What is ours.
    #[serde(skip)]
    pub(super) own: Language,
}

/// Our name and Piston's with its other names there, and the package where that is called otherwise.
const KNOWN: [(&str, Option<&str>); 8] = [
    ("python python py py3 python3", None),
    ("node javascript node-javascript node-js js", Some("node")),
    ("c++ c++ cpp g++", Some("gcc")),
    ("c c gcc", Some("gcc")),
    ("bash bash sh", None),
    ("rust rust rs", None),
    ("go go golang", None),
    ("java java", None),
];

impl Runtime {
    pub(super) fn of(own: &Language) -> Self {
        let known = KNOWN.iter().find(|(names, _)| names.split(' ').next() == Some(&own.name));
        let names = known.map(|(names, _)| names.split(' ').skip(1).map(str::to_owned));
        let mut names = names.into_iter().flatten();
        let (language, aliases) = match names.next() {
            Some(language) => (language, names.collect()),
            None => (own.name.clone(), own.aliases.clone()),
        };
        let runtime = known.and_then(|(_, package)| *package);
        Self { language, version: version(&own.version), aliases, runtime, own: own.clone() }
    }

    fn is_called(&self, name: &str) -> bool {
        self.language == name || self.aliases.iter().any(|alias| alias == name)
    }

    /// The package that it comes from.
    fn package(&self) -> &str {
        self.runtime.unwrap_or(&self.language)
    }
}

/// The latest that is called so and has such a version: a selector such as `3.x`, `*` or `>=3`.
pub(super) fn pick(runtimes: Vec<Runtime>, name: &str, selector: &str) -> Option<Runtime> {
    let range = Range::parse(selector).ok()?;
    let fitting = runtimes.into_iter().filter(|runtime| runtime.is_called(name)).filter_map(|runtime| {
        let version = Version::parse(&runtime.version).ok().filter(|version| range.satisfies(version))?;
        Some((version, runtime))
    });
    fitting.max_by(|(a, _), (b, _)| a.cmp(b)).map(|(_, runtime)| runtime)
}

/// The versions that are here of a language.
pub(super) fn versions(runtimes: &[Runtime], name: &str) -> Vec<String> {
    runtimes.iter().filter(|runtime| runtime.is_called(name)).map(|runtime| runtime.version.clone()).collect()
}

/// What is here, by packages.
pub(super) fn packages(runtimes: &[Runtime]) -> Vec<Value> {
    let mut packages: Vec<Value> = Vec::new();
    for runtime in runtimes {
        let package = json!({"language": runtime.package(), "language_version": runtime.version, "installed": true});
        if !packages.contains(&package) {
            packages.push(package);
        }
    }
    packages
}

/// Three numbers, whatever a compiler says of itself.
fn version(text: &str) -> String {
    let mut numbers = text.split('.').map(|part| {
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        // No leading zeros: they are not told in such a version.
        digits.parse::<u64>().unwrap_or_default()
    });
    let [major, minor, patch] = std::array::from_fn(|_| numbers.next().unwrap_or_default());
    format!("{major}.{minor}.{patch}")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn language(name: &str, version: &str, compiled: bool) -> Language {
        Language {
            name: name.to_owned(),
            aliases: vec!["another".to_owned()],
            version: version.to_owned(),
            file_name: format!("main.{name}"),
            compiled,
            compile_options: Vec::new(),
            package_sets: Vec::new(),
            start: None,
        }
    }

    #[test]
    fn languages_are_called_as_piston_calls_them_and_picked_as_npm_picks() {
        let runtimes =
            || vec![Runtime::of(&language("python", "3.11.2", false)), Runtime::of(&language("node", "18.19", false))];
        let picked = |name: &str, selector: &str| pick(runtimes(), name, selector).map(|runtime| runtime.own.name);
        for (name, selector) in [
            ("python", "3.11.2"),
            ("py", "3.x"),
            ("python3", "*"),
            ("py3", ">=3"),
            ("python", "^3.10.0"),
            ("python", "3"),
        ] {
            assert_eq!(picked(name, selector).as_deref(), Some("python"), "{name} {selector}");
        }
        for (name, selector) in [("javascript", "18.x"), ("js", "18.19.0"), ("node-js", "<16 || 18")] {
            assert_eq!(picked(name, selector).as_deref(), Some("node"), "{name} {selector}");
        }
        for (name, selector) in
            [("python", "2.x"), ("python", "3.1"), ("python", "x.y"), ("ruby", "*"), ("node", "*"), ("another", "*")]
        {
            assert_eq!(picked(name, selector), None, "{name} {selector}");
        }
        let told = serde_json::to_value(runtimes()).unwrap();
        assert_eq!(told[1]["runtime"], "node");
        assert_eq!((&told[0]["runtime"], &told[0]["aliases"][0]), (&Value::Null, &json!("py")));
        assert!(told[0].get("own").is_none() && told[0].get("runtime").is_none());
    }

    #[test]
    fn of_what_nobody_has_a_name_for_ours_is_told_and_a_package_is_told_once() {
        let lua = Runtime::of(&language("lua", "5.04.6-rc1", false));
        assert_eq!((lua.language.as_str(), lua.version.as_str(), lua.aliases.len()), ("lua", "5.4.6", 1));
        let both = [Runtime::of(&language("c", "12.2.0", true)), Runtime::of(&language("c++", "12.2.0", true)), lua];
        let told = packages(&both);
        assert_eq!(
            told,
            [
                json!({"language":"gcc","language_version":"12.2.0","installed":true}),
                json!({"language":"lua","language_version":"5.4.6","installed":true})
            ]
        );
    }
}
