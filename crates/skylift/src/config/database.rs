//! A PostgreSQL server for databases of apps, `[database]`.

use serde::{Deserialize, Serialize};
use skylift_egress::Target;
use skylift_model::endpoint::Endpoint;
use skylift_store::TenantServer;

/// Where databases of apps are made.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DatabaseSettings {
    /// The address of a user that may make roles and databases, `postgres://user:password@host:port/postgres`; left out, apps have SQLite.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "super::store::without_password")]
    url: Option<String>,
    /// Where instances are led, where that is not the host and port of `url`: `127.0.0.1:5432` beside a socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<String>,
}

impl DatabaseSettings {
    /// With the address from the environment, where it is there: a password need not stand in a file.
    pub(crate) fn with_environment(mut self, variable: impl Fn(&str) -> Option<String>) -> Self {
        if let Some(url) = variable("SKYLIFT_DATABASE_URL") {
            self.url = Some(url);
        }
        self
    }

    /// The server, where there is one.
    pub(crate) fn server(&self) -> Option<TenantServer> {
        TenantServer::parse(self.url.as_deref()?).ok()
    }

    /// Where instances are led.
    pub(crate) fn endpoint(&self) -> Option<Endpoint> {
        self.url.as_ref()?;
        self.read_endpoint().ok()
    }

    /// Every mistake, in words.
    pub(super) fn mistakes(&self) -> Vec<String> {
        let Some(url) = &self.url else {
            let alone = self.endpoint.as_ref().map(|_| "[database] endpoint: there is no url".to_owned());
            return alone.into_iter().collect();
        };
        let wrong = TenantServer::parse(url).err().map(|error| format!("[database] url: {error}"));
        let nowhere = self.read_endpoint().err();
        wrong.into_iter().chain(nowhere).collect()
    }

    fn read_endpoint(&self) -> Result<Endpoint, String> {
        let text = self.endpoint.as_ref().or(self.url.as_ref()).map_or("", String::as_str);
        let in_words = |error: &dyn std::fmt::Display| {
            format!("[database] endpoint: {error}; say where instances reach the server, such as 127.0.0.1:5432")
        };
        let endpoint: Endpoint = text.parse().map_err(|error| in_words(&error))?;
        Target::parse(endpoint.host()).map_err(|error| in_words(&error))?;
        Ok(endpoint)
    }
}

impl std::fmt::Debug for DatabaseSettings {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("DatabaseSettings").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    fn told(text: &str) -> String {
        match toml::from_str::<Config>(&format!("[database]\n{text}")) {
            Ok(config) => config.check().map_or_else(|error| error.to_string(), |()| config.render().unwrap()),
            Err(error) => error.message().to_owned(),
        }
    }

    #[test]
    fn mistakes_are_told_and_passwords_are_not() {
        for (text, expected) in [
            ("url = 'postgres://me:hunter2@db.lan/postgres'", "url = \"postgres://me@db.lan/postgres\""),
            ("url = 'postgres://me@%2Frun%2Fpg/x'\nendpoint = '127.0.0.1:5433'", "endpoint = \"127.0.0.1:5433\""),
            ("url = 'postgres://me:hunter2@%2Frun%2Fpg/x'", "[database] endpoint: "),
            ("url = 'hunter2'", "[database] url: "),
            ("endpoint = '127.0.0.1:5432'", "[database] endpoint: there is no url"),
            ("foo = 1", "unknown field `foo`"),
        ] {
            let told = told(text);
            assert!(told.contains(expected), "{text}: {told}");
            assert!(!told.contains("hunter2"), "{told}");
        }
    }
}
