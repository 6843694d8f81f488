//! Services that the platform's owner opens to apps: databases, tables, caches, other servers. Pure.
//!
//! An app reaches one only where it asks for it (`[[link]]`) and the owner lists it. Nothing else of the service's host is
//! opened by that.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::endpoint::{Endpoint, usual_port};
use crate::{AppName, EnvName, ServiceName};

/// What speaks at a service's endpoint. It decides which variables an app is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServiceKind {
    Dynamodb,
    Postgres,
    Redis,
    Http,
}

/// One service.
#[derive(Clone, PartialEq, Eq)]
pub struct Service {
    pub name: ServiceName,
    pub kind: ServiceKind,
    /// Where it is, as this node reaches it.
    pub endpoint: Endpoint,
    /// The table that apps use there.
    pub table: Option<String>,
    pub apps: LinkedApps,
    /// Further variables for apps. They may be secrets.
    pub variables: BTreeMap<EnvName, String>,
}

/// Which apps may link a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkedApps {
    Every,
    These(Vec<AppName>),
}

/// Every service of a platform.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Services(pub Vec<Service>);

/// Why an app may not link a service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotGranted {
    #[error("no service `{service}` is there: the platform's owner names none in config.toml")]
    Unknown { app: AppName, service: ServiceName },
    #[error("the app `{app}` may not use the service `{service}`")]
    NotListed { app: AppName, service: ServiceName, listed: Vec<AppName> },
}

impl ServiceKind {
    /// What its address begins with where the owner leaves that out.
    pub const fn scheme(self) -> &'static str {
        match self {
            Self::Dynamodb | Self::Http => "http",
            Self::Postgres => "postgres",
            Self::Redis => "redis",
        }
    }
}

impl Service {
    /// The port of its endpoint; `None` where nothing says it.
    pub fn port(&self) -> Option<u16> {
        match self.endpoint.scheme() {
            Some(_) => self.endpoint.port(),
            None => self.endpoint.port().or_else(|| usual_port(self.kind.scheme())),
        }
    }

    /// The variables of an app that reaches it at `port` of its own network, `prefix` beginning the names that are the
    /// link's own. The owner's further ones win.
    pub fn environment(&self, prefix: &str, port: u16) -> BTreeMap<String, String> {
        let address = self.endpoint.at_port(port, self.kind.scheme());
        let usual = match self.kind {
            ServiceKind::Dynamodb => Some("AWS_ENDPOINT_URL_DYNAMODB"),
            ServiceKind::Postgres => Some("DATABASE_URL"),
            ServiceKind::Redis => Some("REDIS_URL"),
            ServiceKind::Http => None,
        };
        let mut env: BTreeMap<_, _> = usual.map(|name| (name.to_owned(), address.clone())).into_iter().collect();
        env.insert(format!("{prefix}_URL"), address);
        env.extend(self.table.iter().map(|table| (format!("{prefix}_TABLE"), table.clone())));
        env.extend(self.variables.iter().map(|(name, value)| (name.to_string(), value.clone())));
        env
    }

    /// What of it may not be seen in a log.
    pub fn secrets(&self) -> Vec<String> {
        let is_secret = |name: &EnvName| {
            let name = name.as_str().to_ascii_uppercase();
            ["SECRET", "PASSWORD", "TOKEN", "KEY", "CREDENTIAL"].iter().any(|word| name.contains(word))
        };
        let variables = self.variables.iter().filter(|(name, _)| is_secret(name)).map(|(_, value)| value.clone());
        variables.chain(self.endpoint.passwords()).collect()
    }
}

impl Services {
    /// The service that `app` asks for by name.
    ///
    /// # Errors
    /// Where the owner names none, or not this app.
    pub fn granted(&self, app: &AppName, service: &ServiceName) -> Result<&Service, NotGranted> {
        let Some(found) = self.0.iter().find(|found| found.name == *service) else {
            return Err(NotGranted::Unknown { app: app.clone(), service: service.clone() });
        };
        match &found.apps {
            LinkedApps::These(apps) if !apps.contains(app) => {
                Err(NotGranted::NotListed { app: app.clone(), service: service.clone(), listed: apps.clone() })
            }
            LinkedApps::Every | LinkedApps::These(_) => Ok(found),
        }
    }

    /// What an app's log may not show of the services that it may use.
    pub fn secrets(&self, app: &AppName) -> Vec<String> {
        let used = self.0.iter().filter(|service| self.granted(app, &service.name).is_ok());
        used.flat_map(Service::secrets).collect()
    }
}

impl NotGranted {
    /// What the owner may add to config.toml.
    pub fn hint(&self) -> String {
        match self {
            Self::Unknown { app, service } => format!(
                "add to config.toml, and restart: [[service]] name = \"{service}\", kind = \"http\", \
                 endpoint = \"http://HOST:PORT\", apps = [\"{app}\"]; or take the [[link]] out of skylift.toml"
            ),
            Self::NotListed { app, service, listed } => {
                let apps = listed.iter().chain([app]).map(|app| format!("\"{app}\"")).collect::<Vec<_>>().join(", ");
                format!("in config.toml, below [[service]] with name = \"{service}\", say apps = [{apps}], and restart")
            }
        }
    }
}

/// Without what may be secret.
impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, kind, endpoint, apps, .. } = self;
        let service = (name, kind, endpoint, apps);
        f.debug_tuple("Service").field(&service).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(kind: ServiceKind, endpoint: &str) -> Service {
        Service {
            name: "messages".parse().unwrap(),
            kind,
            endpoint: endpoint.parse().unwrap(),
            table: Some("board".to_owned()),
            apps: LinkedApps::These(vec!["board".parse().unwrap()]),
            variables: [("AWS_REGION".parse().unwrap(), "eu-1".to_owned())].into(),
        }
    }

    fn shown(service: &Service) -> String {
        let env = service.environment("MESSAGES", 29001);
        env.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn each_kind_has_the_variables_that_its_clients_read() {
        assert_eq!(
            shown(&service(ServiceKind::Dynamodb, "127.0.0.1:8000")),
            "AWS_ENDPOINT_URL_DYNAMODB=http://127.0.0.1:29001 AWS_REGION=eu-1 MESSAGES_TABLE=board \
             MESSAGES_URL=http://127.0.0.1:29001"
        );
        let sql = shown(&service(ServiceKind::Postgres, "postgres://u:p@db.lan/shop"));
        assert!(sql.contains("DATABASE_URL=postgres://u:p@db.lan:29001/shop "), "{sql}");
        let cache = shown(&service(ServiceKind::Redis, "cache.lan"));
        assert!(cache.contains("REDIS_URL=redis://cache.lan:29001"), "{cache}");
        assert!(!shown(&service(ServiceKind::Http, "http://a.lan/v1")).contains("REDIS"));
        assert_eq!(service(ServiceKind::Redis, "cache.lan").port(), Some(6379));
    }

    #[test]
    fn only_a_listed_app_is_granted_a_service_and_others_are_told_what_to_add() {
        let mut services = Services(vec![service(ServiceKind::Redis, "cache.lan")]);
        let granted = |services: &Services, app: &str, name: &str| {
            services.granted(&app.parse().unwrap(), &name.parse().unwrap()).map(drop).map_err(|refused| refused.hint())
        };
        assert_eq!(granted(&services, "board", "messages"), Ok(()));
        let refused = granted(&services, "shop", "messages").unwrap_err();
        assert!(refused.contains(r#"apps = ["board", "shop"]"#), "{refused}");
        let refused = granted(&services, "shop", "cache").unwrap_err();
        assert!(refused.contains(r#"[[service]] name = "cache""#), "{refused}");
        services.0[0].apps = LinkedApps::Every;
        assert_eq!(granted(&services, "shop", "messages"), Ok(()));
    }

    #[test]
    fn passwords_are_secrets_and_regions_are_not() {
        let mut one = service(ServiceKind::Postgres, "postgres://u:hidden@db.lan");
        one.variables.insert("AWS_SECRET_ACCESS_KEY".parse().unwrap(), "also-hidden".to_owned());
        assert_eq!(one.secrets(), ["also-hidden", "hidden"]);
        assert!(!format!("{one:?}").contains("hidden"));
        let services = Services(vec![one]);
        assert_eq!(services.secrets(&"board".parse().unwrap()).len(), 2);
        assert_eq!(services.secrets(&"shop".parse().unwrap()).len(), 0);
    }
}
