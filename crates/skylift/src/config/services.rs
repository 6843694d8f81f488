//! The services that apps may link, `[[service]]`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};
use skylift_egress::Target;
use skylift_model::endpoint::Endpoint;
use skylift_model::service::{LinkedApps, Service, ServiceKind, Services};
use skylift_model::{AppName, EnvName, ServiceName};

/// One service, as it is written.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServiceSettings {
    /// What `[[link]] service` says.
    name: String,
    kind: ServiceKind,
    /// Where this node reaches it, also where that is private or this node itself.
    #[serde(serialize_with = "without_password")]
    endpoint: String,
    /// The table that apps use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    table: Option<String>,
    /// The apps that may link it; `*` for every one.
    #[serde(default)]
    apps: Vec<String>,
    /// Further variables for those apps, perhaps secret.
    #[serde(default, skip_serializing)]
    variables: BTreeMap<String, String>,
}

fn without_password<S: Serializer>(endpoint: &str, serializer: S) -> Result<S::Ok, S::Error> {
    match endpoint.parse::<Endpoint>() {
        Ok(endpoint) => serializer.collect_str(&endpoint),
        Err(_) => serializer.serialize_str("…"),
    }
}

/// The services that are written without mistakes.
pub(super) fn services(settings: &[ServiceSettings]) -> Services {
    Services(settings.iter().filter_map(|settings| settings.read().ok()).collect())
}

/// Every mistake, in words.
pub(super) fn mistakes(settings: &[ServiceSettings]) -> Vec<String> {
    let mut mistakes = Vec::new();
    for (index, service) in settings.iter().enumerate() {
        let place = format!("[[service]] {}", service.name);
        mistakes.extend(service.read().err().map(|mistake| format!("{place}: {mistake}")));
        if settings.iter().take(index).any(|other| other.name == service.name) {
            mistakes.push(format!("{place}: this name is there twice"));
        }
    }
    mistakes
}

impl ServiceSettings {
    fn read(&self) -> Result<Service, String> {
        let in_field = |field: &str, error: &dyn std::fmt::Display| format!("{field}: {error}");
        let name: ServiceName = self.name.parse().map_err(|error| in_field("name", &error))?;
        let endpoint: Endpoint = self.endpoint.parse().map_err(|error| in_field("endpoint", &error))?;
        Target::parse(endpoint.host()).map_err(|error| in_field("endpoint", &error))?;
        let apps = if self.apps.iter().any(|app| app == "*") {
            LinkedApps::Every
        } else {
            let apps = self.apps.iter().map(|app| app.parse::<AppName>().map_err(|error| in_field("apps", &error)));
            LinkedApps::These(apps.collect::<Result<_, _>>()?)
        };
        let variable = |(name, value): (&String, &String)| {
            let name: EnvName = name.parse().map_err(|error| in_field("variables", &error))?;
            match name.is_platforms() || name.is_of_the_contract() {
                true => Err(format!("variables: `{name}` is set by the platform itself")),
                false => Ok((name, value.clone())),
            }
        };
        let variables = self.variables.iter().map(variable).collect::<Result<_, _>>()?;
        let service = Service { name, kind: self.kind, endpoint, table: self.table.clone(), apps, variables };
        match service.port() {
            Some(_) => Ok(service),
            None => Err("endpoint: it says no port".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    fn told(text: &str) -> String {
        match toml::from_str::<Config>(text) {
            Ok(config) => config.check().map_or_else(|error| error.to_string(), |()| config.render().unwrap()),
            Err(error) => error.message().to_owned(),
        }
    }

    fn service(rest: &str) -> String {
        told(&format!("[[service]]\nname = 'messages'\nkind = 'dynamodb'\n{rest}"))
    }

    #[test]
    fn mistakes_in_a_service_are_told() {
        for (rest, expected) in [
            ("endpoint = 'http://127.0.0.1:8000'", "name = \"messages\""),
            ("endpoint = 'http://0x7f.1'", "[[service]] messages: endpoint: this is an unusual spelling"),
            ("endpoint = 'tcp://x'", "endpoint: it says no port"),
            ("endpoint = 'x:1'\napps = ['D-1']", "apps: app names"),
            ("endpoint = 'x:1'\nvariables = { PATH = '/' }", "`PATH` is set by the platform itself"),
            ("endpoint = 'x:1'\n[[service]]\nname = 'messages'\nkind = 'http'\nendpoint = 'y:1'", "twice"),
            ("endpoint = 'x:1'\nfoo = 1", "unknown field `foo`"),
        ] {
            let told = service(rest);
            assert!(told.contains(expected), "{rest}: {told}");
        }
    }

    #[test]
    fn what_is_shown_has_no_secret_and_can_be_read_again() {
        let shown = service("endpoint = 'http://u:hidden@x:1'\nvariables = { TOKEN = 'hidden' }");
        assert!(!shown.contains("hidden"), "{shown}");
        toml::from_str::<Config>(&shown).unwrap().check().unwrap();
    }
}
