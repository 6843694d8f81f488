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

/// What is proposed, then the project's own, then the owner's, then what is the platform's to say.
pub(crate) fn environment(
    program: &Program,
    secrets: &[(String, String)],
    tools: &[String],
    named: &Named<'_>,
) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    let mut set = |name: &str, value: &str| {
        env.insert(name.to_owned(), value.to_owned());
    };
    set("LANG", "C.UTF-8");
    set("NODE_ENV", "production");
    // What a program prints is to be seen at once, not when a buffer is full.
    set("PYTHONUNBUFFERED", "1");
    for (name, value) in program.env.iter().chain(secrets.iter().map(|(n, v)| (n, v))) {
        set(name, value);
    }
    let mut path: Vec<&str> = program.path.iter().chain(tools).map(String::as_str).collect();
    path.push(SYSTEM_PATH);
    set("PATH", &path.join(":"));
    set("HOME", HOME);
    set("PORT", &PORT.to_string());
    set("HOST", "0.0.0.0");
    set("SKYLIFT", "1");
    set("SKYLIFT_APP", named.app.as_str());
    set("SKYLIFT_DEPLOYMENT", named.deployment.as_str());
    set("SKYLIFT_INSTANCE", named.instance.as_str());
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
            path: vec!["/work/node_modules/.bin".to_owned()],
            env: [("A", "file"), ("B", "file")].map(|(n, v)| (n.to_owned(), v.to_owned())).into(),
            node: None,
            health_path: None,
        };
        let secrets = [("B", "owner"), ("NODE_ENV", "test"), ("PORT", "1")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        let now = Timestamp::from_millis(1);
        let named = Named {
            app: &"shop".parse().unwrap(),
            deployment: &DeploymentId::new(now, 1),
            instance: &InstanceId::new(now, 1),
        };
        let env = environment(&program, &secrets, &["/run/tools/node/bin".to_owned()], &named);
        let value = |name: &str| env.get(name).map(String::as_str);
        assert_eq!(
            [value("A"), value("B"), value("NODE_ENV"), value("PORT")],
            [Some("file"), Some("owner"), Some("test"), Some("8080")]
        );
        assert!(value("PATH").unwrap().starts_with("/work/node_modules/.bin:/run/tools/node/bin:/usr/local/sbin:"));
    }
}
