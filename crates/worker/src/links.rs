//! What the links of a program give its instances: variables, and passages out of their network.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use skylift_egress::host::InvalidHost;
use skylift_egress::{HostName, Leads, Passage, Take, Taking, Target};
use skylift_model::endpoint::{Endpoint, usual_port};
use skylift_model::service::{NotGranted, ServiceKind, Services};
use skylift_model::volume::prefix;
use skylift_model::{AppName, Link, ServiceName, VolumeName};
use tokio::net::TcpStream;

/// Passages begin at this port of an instance's own network.
const PORTS_FROM: u16 = 29_001;

/// The way to other apps: the edge of this process, which leads a connection to one of them.
pub trait Apps: Send + Sync {
    /// Hands over a connection of the app `from` that is for `app`, and waits until it has ended; `false` where nobody takes it.
    fn hand_over<'a>(
        &'a self,
        guest: TcpStream,
        from: &'a AppName,
        app: AppName,
    ) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>>;
}

/// Where links lead.
pub(crate) struct Places<'p> {
    pub(crate) services: &'p Services,
    /// The domain that apps have their names below.
    pub(crate) domain: &'p str,
    /// The way to them, where this process has one.
    pub(crate) apps: Option<&'p Arc<dyn Apps>>,
}

/// A database of the app's own on the owner's server.
pub(crate) struct OwnDatabase {
    pub(crate) name: VolumeName,
    /// With its role and password; `None` where the owner names no server.
    pub(crate) at: Option<Endpoint>,
}

/// What an instance is given for its links.
#[derive(Default)]
pub(crate) struct Linked {
    pub(crate) env: BTreeMap<String, String>,
    /// Each with the port that it is reached at, inside.
    pub(crate) passages: Vec<(u16, Passage)>,
}

impl Linked {
    /// Adds the variables that lead to its app's own data, the first winning: they come before what links give.
    pub(crate) fn lead_to(&mut self, environments: Vec<BTreeMap<String, String>>) {
        for environment in environments.into_iter().rev() {
            self.env.extend(environment);
        }
    }
}

/// Why an instance is not given what its program links.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LinkError {
    #[error("{refused}; {}", .refused.hint())]
    NotGranted { refused: NotGranted },
    #[error("its database `{name}` is on the owner's PostgreSQL server, and config.toml names none: [database] url")]
    NoServer { name: VolumeName },
    #[error("it links the app {app}, and this process has no edge: give it the role `edge`")]
    NoEdge { app: AppName },
    #[error("the place that {what} leads to is no host")]
    NoHost {
        what: String,
        #[source]
        source: InvalidHost,
    },
}

/// What `links`, and then its own databases, give an instance of `app` that itself listens on `own`. Where two links name a variable,
/// the first has it. The variables of its databases are given apart.
pub(crate) fn linked(
    places: &Places<'_>,
    app: &AppName,
    (links, databases): (&[Link], &[OwnDatabase]),
    own: u16,
) -> Result<(Linked, Vec<BTreeMap<String, String>>), LinkError> {
    let mut linked = Linked::default();
    let mut ports = (PORTS_FROM..).filter(|port| *port != own);
    for (link, port) in links.iter().zip(ports.by_ref()) {
        let (env, asked_as, leads) = match link {
            Link::Service(name) => to_service(places, app, link, name, port)?,
            Link::App(other) => to_app(places, app, link, other, port)?,
        };
        for (name, value) in env {
            linked.env.entry(name).or_insert(value);
        }
        linked.passages.push((port, Passage { name: link.to_string(), asked_as, leads }));
    }
    let mut environments = Vec::new();
    for (database, port) in databases.iter().zip(ports) {
        let name = format!("database {}", database.name);
        let (env, asked_as, leads) = to_database(database, &name, port)?;
        environments.push(env);
        linked.passages.push((port, Passage { name, asked_as, leads }));
    }
    Ok((linked, environments))
}

fn to_database(database: &OwnDatabase, what: &str, port: u16) -> Result<Given, LinkError> {
    let OwnDatabase { name, at } = database;
    let at = at.as_ref().ok_or_else(|| LinkError::NoServer { name: name.clone() })?;
    let scheme = ServiceKind::Postgres.scheme();
    let target = target(what, at.host())?;
    let theirs = at.port().or_else(|| usual_port(scheme)).unwrap_or(port);
    let address = at.at_port(port, scheme);
    let env = [("DATABASE_URL".to_owned(), address.clone()), (format!("{}_URL", prefix(name)), address)].into();
    Ok((env, name_of(target.clone()), Leads::To(target, theirs)))
}

type Given = (BTreeMap<String, String>, Option<HostName>, Leads);

fn to_service(
    places: &Places<'_>,
    app: &AppName,
    link: &Link,
    name: &ServiceName,
    port: u16,
) -> Result<Given, LinkError> {
    let service = places.services.granted(app, name).map_err(|refused| LinkError::NotGranted { refused })?;
    let target = target(&link.to_string(), service.endpoint.host())?;
    let leads = Leads::To(target.clone(), service.port().unwrap_or(port));
    Ok((service.environment(&link.variable_prefix(), port), name_of(target), leads))
}

/// By the edge and under the app's own name, as everybody reaches it.
fn to_app(places: &Places<'_>, from: &AppName, link: &Link, other: &AppName, port: u16) -> Result<Given, LinkError> {
    let Some(apps) = places.apps.cloned() else { return Err(LinkError::NoEdge { app: other.clone() }) };
    let host = format!("{other}.{}", places.domain);
    let name = name_of(target(&link.to_string(), &host)?);
    let env = [(format!("{}_URL", link.variable_prefix()), format!("http://{host}:{port}"))].into();
    Ok((env, name, Leads::Taken(Arc::new(ToApp { apps, from: from.clone(), app: other.clone() }))))
}

fn target(what: &str, host: &str) -> Result<Target, LinkError> {
    Target::parse(host).map_err(|source| LinkError::NoHost { what: what.to_owned(), source })
}

fn name_of(target: Target) -> Option<HostName> {
    if let Target::Name(name) = target { Some(name) } else { None }
}

/// Takes connections to one app.
struct ToApp {
    apps: Arc<dyn Apps>,
    from: AppName,
    app: AppName,
}

impl Take for ToApp {
    fn take(&self, guest: TcpStream) -> Taking<'_> {
        self.apps.hand_over(guest, &self.from, self.app.clone())
    }
}

#[cfg(test)]
mod tests {
    use skylift_model::service::{LinkedApps, Service};

    use super::*;

    struct Edge;

    impl Apps for Edge {
        fn hand_over<'a>(
            &'a self,
            _: TcpStream,
            _: &'a AppName,
            _: AppName,
        ) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
            Box::pin(std::future::ready(true))
        }
    }

    fn service(name: &str, kind: ServiceKind, endpoint: &str) -> Service {
        let apps = LinkedApps::These(vec!["board".parse().unwrap()]);
        let endpoint = endpoint.parse().unwrap();
        Service { name: name.parse().unwrap(), kind, endpoint, table: None, apps, variables: BTreeMap::new() }
    }

    fn database() -> OwnDatabase {
        let server: Endpoint = "db.lan".parse().unwrap();
        OwnDatabase { name: "main".parse().unwrap(), at: Some(server.for_tenant("sky_a", "p", "sky_a")) }
    }

    fn told(app: &str, links: &[&str], own: u16, edge: Option<Arc<dyn Apps>>) -> String {
        let services = Services(vec![
            service("one", ServiceKind::Redis, "127.0.0.1:7000"),
            service("two", ServiceKind::Redis, "cache.lan"),
        ]);
        let link = |text: &&str| match text.strip_prefix("app ") {
            Some(app) => Link::App(app.parse().unwrap()),
            None => Link::Service(text.parse().unwrap()),
        };
        let links: Vec<Link> = links.iter().map(link).collect();
        let places = Places { services: &services, domain: "example.org", apps: edge.as_ref() };
        let databases = if app == "keeper" { vec![database()] } else { Vec::new() };
        match linked(&places, &app.parse().unwrap(), (&links, &databases), own) {
            Ok((mut linked, environments)) => {
                linked.lead_to(environments);
                let Linked { env, passages } = linked;
                let env = env.iter().map(|(name, value)| format!("{name}={value}"));
                let passages = passages.iter().map(|(at, passage)| match &passage.leads {
                    Leads::To(target, port) => format!("{at}>{target}:{port}"),
                    Leads::Taken(_) => format!("{at}>{}", passage.name),
                });
                env.chain(passages).collect::<Vec<_>>().join(" ")
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn each_link_has_a_port_of_its_own_and_the_first_has_the_usual_variable() {
        assert_eq!(
            told("board", &["two", "one"], 8080, None),
            "ONE_URL=redis://127.0.0.1:29002 REDIS_URL=redis://cache.lan:29001 TWO_URL=redis://cache.lan:29001 \
             29001>cache.lan:6379 29002>127.0.0.1:7000"
        );
        let own = told("board", &["one"], 29_001, None);
        assert!(own.ends_with("29002>127.0.0.1:7000"), "not where the app itself listens");
        assert_eq!(told("board", &[], 8080, None), "");
    }

    #[test]
    fn databases_of_its_own_come_behind_links_and_at_the_servers_usual_port() {
        let url = "postgres://sky_a:p@db.lan:29001/sky_a";
        assert_eq!(told("keeper", &[], 8080, None), format!("DATABASE_URL={url} MAIN_URL={url} 29001>db.lan:5432"));
    }

    #[test]
    fn what_is_not_granted_is_not_given() {
        let refused = told("shop", &["one"], 8080, None);
        assert!(refused.starts_with("the app `shop` may not use the service `one`; in config.toml"), "{refused}");
        assert!(told("board", &["three"], 8080, None).starts_with("no service `three` is there"));
    }

    #[test]
    fn another_app_is_reached_under_its_own_name_by_the_edge() {
        let edge: Arc<dyn Apps> = Arc::new(Edge);
        assert_eq!(
            told("board", &["app pay-in"], 8080, Some(edge)),
            "PAY_IN_URL=http://pay-in.example.org:29001 29001>app pay-in"
        );
        assert!(told("board", &["app pay-in"], 8080, None).contains("has no edge"));
    }
}
