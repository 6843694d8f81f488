//! The whole environment of an instance. Pure.

use std::collections::BTreeMap;

use skylift_model::{AppName, DeploymentId, InstanceId, Program};

/// The port that every instance listens on, in its own network.
pub(crate) const PORT: u16 = 8080;
pub(crate) const HOME: &str = "/home/app";
const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Who it is for.
pub(crate) struct Named<'n> {
    pub(crate) app: &'n AppName,
    pub(crate) deployment: &'n DeploymentId,
    pub(crate) instance: &'n InstanceId,
}

/// What is proposed, then the defaults of `app.json`, then what links give, then the project's own, then the owner's, then what is the platform's to say.
pub(crate) fn environment(
    program: &Program,
    linked: &BTreeMap<String, String>,
    secrets: &[(String, String)],
    tools: &[String],
    named: &Named<'_>,
) -> BTreeMap<String, String> {
    // What a program prints is to be seen at once, not when a buffer is full.
    let proposals = [("LANG", "C.UTF-8"), ("NODE_ENV", "production"), ("PYTHONUNBUFFERED", "1")];
    let mut env: BTreeMap<_, _> = proposals.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    env.extend(given(program, linked, secrets, PORT, named));
    let mut path: Vec<&str> = program.path.iter().chain(tools).map(String::as_str).collect();
    path.push(SYSTEM_PATH);
    env.insert("PATH".to_owned(), path.join(":"));
    env
}

/// The part that an image, which has proposals and a `PATH` of its own, is given as well.
pub(crate) fn given(
    program: &Program,
    linked: &BTreeMap<String, String>,
    secrets: &[(String, String)],
    port: u16,
    named: &Named<'_>,
) -> BTreeMap<String, String> {
    let mut env = program.defaults.clone();
    env.extend(linked.clone());
    env.extend(program.env.clone());
    env.extend(secrets.iter().cloned());
    for (name, value) in [
        ("HOME", HOME),
        ("PORT", port.to_string().as_str()),
        ("HOST", "0.0.0.0"),
        ("SKYLIFT", "1"),
        ("SKYLIFT_APP", named.app.as_str()),
        ("SKYLIFT_DEPLOYMENT", named.deployment.as_str()),
        ("SKYLIFT_INSTANCE", named.instance.as_str()),
    ] {
        env.insert(name.to_owned(), value.to_owned());
    }
    env
}

#[cfg(test)]
mod tests {
    use skylift_model::{Digest, Timestamp};

    use super::*;

    #[test]
    fn the_owners_variables_win_over_proposals_and_never_over_the_platforms() {
        let program = Program {
            files: Digest::of(b""),
            folder: String::new(),
            web: "node server.js".to_owned(),
            release: None,
            others: BTreeMap::new(),
            path: vec!["/app/node_modules/.bin".to_owned()],
            defaults: ["A", "C", "D"].map(|name| (name.to_owned(), "default".to_owned())).into(),
            env: [("A", "file"), ("B", "file")].map(|(n, v)| (n.to_owned(), v.to_owned())).into(),
            node: None,
            image: None,
            health_path: None,
            protocol: skylift_model::program::Protocol::Http1,
            links: Vec::new(),
            net: skylift_model::net::NetRules::default(),
        };
        let secrets = [("B", "owner"), ("NODE_ENV", "test"), ("PORT", "1")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        let now = Timestamp::from_millis(1);
        let named = Named {
            app: &"shop".parse().unwrap(),
            deployment: &DeploymentId::new(now, 1),
            instance: &InstanceId::new(now, 1),
        };
        let linked = [("A", "link"), ("B", "link"), ("C", "link")].map(|(n, v)| (n.to_owned(), v.to_owned())).into();
        let env = environment(&program, &linked, &secrets, &["/run/tools/node/bin".to_owned()], &named);
        let value = |name: &str| env.get(name).map(String::as_str);
        assert_eq!(
            [value("A"), value("B"), value("C"), value("D"), value("NODE_ENV"), value("PORT")],
            [Some("file"), Some("owner"), Some("link"), Some("default"), Some("test"), Some("8080")]
        );
        assert!(value("PATH").unwrap().starts_with("/app/node_modules/.bin:/run/tools/node/bin:/usr/local/sbin:"));
    }
}
