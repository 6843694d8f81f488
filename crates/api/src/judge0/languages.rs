//! Judge0's numbers for languages, and what of ours each of them means.

use serde_json::{Value, json};
use skylift_model::wire::Language;

/// A language of ours under one or more of Judge0's numbers: the first is told, the others are taken as well.
struct Numbered {
    ours: &'static str,
    /// As Judge0 calls it, in front of the version.
    theirs: &'static str,
    ids: &'static [u32],
}

/// Their numbers stand for versions; here each runs what is there, and its name says which.
const ALL: [Numbered; 8] = [
    Numbered { ours: "bash", theirs: "Bash", ids: &[46] },
    Numbered { ours: "c", theirs: "C (GCC", ids: &[50, 48, 49, 103] },
    Numbered { ours: "c++", theirs: "C++ (GCC", ids: &[54, 52, 53, 105] },
    Numbered { ours: "go", theirs: "Go", ids: &[60, 95, 106, 107] },
    Numbered { ours: "java", theirs: "Java (OpenJDK", ids: &[62, 91] },
    Numbered { ours: "node", theirs: "JavaScript (Node.js", ids: &[63, 93, 97, 102] },
    Numbered { ours: "python", theirs: "Python", ids: &[71, 92, 100, 109] },
    Numbered { ours: "rust", theirs: "Rust", ids: &[73, 108] },
];

/// A language that is here, by one of its numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) id: u32,
    pub(super) name: String,
    pub(super) file_name: String,
}

/// Our name for a number of theirs.
pub(super) fn ours(id: u32) -> Option<&'static str> {
    ALL.iter().find(|one| one.ids.contains(&id)).map(|one| one.ours)
}

/// What is told of a number, as `{"id", "name"}`; with the version that ran, once it has.
pub(super) fn told(id: u32, version: Option<&str>) -> Value {
    let numbered = ALL.iter().find(|one| one.ids.contains(&id));
    json!({ "id": id, "name": numbered.map(|one| named(one.theirs, version)) })
}

/// As in `Python (3.11.2)` and `C++ (GCC 12.2.0)`.
fn named(theirs: &str, version: Option<&str>) -> String {
    match (theirs.split_once(" ("), version) {
        (Some(_), Some(version)) => format!("{theirs} {version})"),
        (Some((name, _)), None) => name.to_owned(),
        (None, Some(version)) => format!("{theirs} ({version})"),
        (None, None) => theirs.to_owned(),
    }
}

/// Those that are here, by name: under one number each, or under all of them.
pub(super) fn known(here: &[Language], all: bool) -> Vec<Known> {
    let mut known = Vec::new();
    for Numbered { ours, theirs, ids } in &ALL {
        let Some(language) = here.iter().find(|one| one.name == *ours) else { continue };
        let name = named(theirs, Some(&language.version));
        let ids = if all { ids } else { ids.get(..1).unwrap_or_default() };
        known.extend(ids.iter().map(|id| Known { id: *id, name: name.clone(), file_name: language.file_name.clone() }));
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    fn language(name: &str, version: &str) -> Language {
        Language {
            name: name.to_owned(),
            aliases: Vec::new(),
            version: version.to_owned(),
            file_name: "main".to_owned(),
            compiled: false,
            compile_options: Vec::new(),
            package_sets: Vec::new(),
            start: None,
        }
    }

    #[test]
    fn a_number_means_what_is_here_and_its_name_says_so() {
        let here = [language("python", "3.11.2"), language("c++", "12.2.0")];
        let names: Vec<_> = known(&here, false).into_iter().map(|one| (one.id, one.name)).collect();
        assert_eq!(names, [(54, "C++ (GCC 12.2.0)".to_owned()), (71, "Python (3.11.2)".to_owned())]);
        assert_eq!(known(&here, true).len(), 8);
        assert_eq!(told(92, Some("3.11.2"))["name"], "Python (3.11.2)");
        assert_eq!((&told(54, None)["name"], &told(71, None)["name"]), (&json!("C++"), &json!("Python")));
        assert_eq!((ours(71), ours(70), ours(89)), (Some("python"), None, None));
    }

    /// Those of the languages here, of Judge0's releases (to 89) and of its hosted CE, whose numbers go on from 90.
    const THEIRS: [(u32, &str); 27] = [
        (46, "Bash (5.0.0)"),
        (48, "C (GCC 7.4.0)"),
        (49, "C (GCC 8.3.0)"),
        (50, "C (GCC 9.2.0)"),
        (52, "C++ (GCC 7.4.0)"),
        (53, "C++ (GCC 8.3.0)"),
        (54, "C++ (GCC 9.2.0)"),
        (60, "Go (1.13.5)"),
        (62, "Java (OpenJDK 13.0.1)"),
        (63, "JavaScript (Node.js 12.14.0)"),
        (71, "Python (3.8.1)"),
        (73, "Rust (1.40.0)"),
        (91, "Java (JDK 17.0.6)"),
        (92, "Python (3.11.2)"),
        (93, "JavaScript (Node.js 18.15.0)"),
        (95, "Go (1.18.5)"),
        (97, "JavaScript (Node.js 20.17.0)"),
        (100, "Python (3.12.5)"),
        (102, "JavaScript (Node.js 22.08.0)"),
        (103, "C (GCC 14.1.0)"),
        (105, "C++ (GCC 14.1.0)"),
        (106, "Go (1.22.0)"),
        (107, "Go (1.23.5)"),
        (108, "Rust (1.85.0)"),
        (109, "Python (3.13.2)"),
        // Other compilers, another Python: not here.
        (70, "Python (2.7.17)"),
        (110, "C (Clang 19.1.7)"),
    ];

    #[test]
    fn numbers_are_theirs() {
        let taken: Vec<u32> = ALL.iter().flat_map(|one| one.ids).copied().collect();
        let (here, others) = THEIRS.split_at(taken.len());
        for (id, name) in here {
            let numbered = ALL.iter().find(|one| one.ids.contains(id)).unwrap_or_else(|| panic!("{id} is {name}"));
            // Of Java the maker's name has changed.
            let family = numbered.theirs.split_once(" (Open").map_or(numbered.theirs, |(name, _)| name);
            let after = name.strip_prefix(family).unwrap_or_else(|| panic!("{id} is {name}, not {family}"));
            assert!(after.starts_with(" "), "{id} is {name}, not {family}");
        }
        assert!(others.iter().all(|(id, _)| ours(*id).is_none()));
    }

    #[test]
    fn no_number_means_two_languages() {
        let mut ids: Vec<u32> = ALL.iter().flat_map(|one| one.ids).copied().collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all);
    }
}
