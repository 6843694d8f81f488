//! Which models may be asked.

/// What follows a model's name where nothing is said.
const LATEST: &str = ":latest";

/// The models that may be asked; without any, all that there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Models(Vec<String>);

impl Models {
    /// These, by their names. `name` is `name:latest`.
    pub fn new(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self(names.into_iter().map(|name| whole(&name.into())).collect())
    }

    /// Whether a model may be asked.
    pub fn allow(&self, name: &str) -> bool {
        self.0.is_empty() || self.0.contains(&whole(name))
    }

    /// Their whole names.
    pub fn names(&self) -> &[String] {
        &self.0
    }
}

/// A name with its tag.
pub(crate) fn whole(name: &str) -> String {
    // A host may have a port; a tag stands behind the last slash.
    let last = name.rsplit('/').next().unwrap_or(name);
    if last.contains(':') { name.to_owned() } else { format!("{name}{LATEST}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_tag_is_the_latest() {
        let models = Models::new(["llama3", "host:5000/own/model:7b"]);
        for name in ["llama3", "llama3:latest", "host:5000/own/model:7b"] {
            assert!(models.allow(name), "{name}");
        }
        for name in ["llama3:8b", "llama", "host:5000/own/model", ""] {
            assert!(!models.allow(name), "{name}");
        }
        assert!(Models::default().allow("anything"));
    }
}
