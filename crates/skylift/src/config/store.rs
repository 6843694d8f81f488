//! Where the rows are, `[store]`.

use serde::{Deserialize, Serialize, Serializer};

/// Where the rows are, `[store]`.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StoreSettings {
    /// A PostgreSQL database, `postgres://user:password@host:port/database`; left out, a file in the data folder.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "without_password")]
    url: Option<String>,
}

impl StoreSettings {
    /// With the address from the environment, where it is there: a password need not stand in a file.
    pub(crate) fn with_environment(mut self, variable: impl Fn(&str) -> Option<String>) -> Self {
        if let Some(url) = variable("SKYLIFT_STORE_URL") {
            self.url = Some(url);
        }
        self
    }

    /// The address, where there is one.
    pub(crate) fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }

    /// What is wrong with it.
    pub(crate) fn mistakes(&self) -> Vec<String> {
        let mistake = self.url().and_then(|url| skylift_store::Store::check_url(url).err());
        mistake.map(|error| format!("[store] url: {error}")).into_iter().collect()
    }
}

impl std::fmt::Debug for StoreSettings {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("StoreSettings").field("url", &self.url.as_deref().map(shown)).finish()
    }
}

pub(super) fn without_password<S: Serializer>(url: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    match url {
        Some(url) => serializer.serialize_str(&shown(url)),
        None => serializer.serialize_none(),
    }
}

/// An address as it may be shown: whatever could be a secret in it is left out.
fn shown(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", ""));
    let end = rest.find('?').unwrap_or(rest.len());
    let (place, _) = rest.split_at(end);
    match place.rsplit_once('@') {
        Some((who, place)) => format!("{scheme}://{}@{place}", who.split(':').next().unwrap_or("")),
        None => format!("{scheme}://{place}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_of_an_address_holds_no_password() {
        let settings = StoreSettings { url: Some("postgres://me:hunter2@db:5433/rows?password=hunter2".to_owned()) };
        let text = toml::to_string(&settings).unwrap();
        assert_eq!(text, "url = \"postgres://me@db:5433/rows\"\n");
        assert!(!format!("{settings:?}").contains("hunter2"));
        for odd in ["postgres://me:hunt@er2@db/x", "me:hunter2@db", "hunter2"] {
            let shown = shown(odd);
            assert!(!shown.contains("hunt") && !shown.contains("er2"), "{shown}");
        }
    }
}
