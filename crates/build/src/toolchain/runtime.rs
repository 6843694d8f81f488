//! What an instance sees of the tools that its program was built with.

use skylift_model::Program;

use super::{NODE_INSIDE, Package, ToolError, Toolchains, Tools, node_package, read_only};

impl Toolchains {
    /// The mounts and the first folders of `PATH` that a program's processes need. Its own folders
    /// ([`Program::path`]) belong behind them. Python and what lies in `/usr` are seen anyway.
    ///
    /// Node is the version of the build; where this node's own has moved on within its major version since, that.
    ///
    /// # Errors
    /// [`ToolError::Unavailable`] where neither is here.
    pub fn runtime(&self, program: &Program) -> Result<Tools, ToolError> {
        let mut tools = Tools::default();
        let Some(wanted) = &program.node else { return Ok(tools) };
        let own = self.node_version.as_deref().zip(self.node_prefix.as_ref());
        let package = Package { name: node_package(), range: wanted.clone() };
        if own.is_some_and(|(version, _)| version == wanted) {
            self.own_node(&mut tools)?;
        } else if let Some((version, path)) = self.cached(&package) {
            tools.mounts.push(read_only(path.join("node_modules").join(&package.name), NODE_INSIDE));
            tools.path.push(format!("{NODE_INSIDE}/bin"));
            tools.node = Some(version);
        } else if own.is_some_and(|(version, _)| major(version) == major(wanted)) {
            self.own_node(&mut tools)?;
        } else {
            return Err(ToolError::Unavailable {
                message: format!("Node {wanted}, which the program was built with, is not on this server any more"),
                hint: "deploy it again, or install that version".to_owned(),
            });
        }
        Ok(tools)
    }
}

fn major(version: &str) -> &str {
    version.split('.').next().unwrap_or(version)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use skylift_model::Digest;
    use tokio::sync::Mutex;

    use super::super::OWN_INSIDE;
    use super::*;

    fn toolchains(folder: &Path) -> Toolchains {
        Toolchains {
            folder: folder.to_owned(),
            node_version: Some("20.20.2".to_owned()),
            node_prefix: Some("/opt/node".into()),
            fetching: Mutex::new(()),
        }
    }

    fn check(toolchains: &Toolchains, node: Option<&str>) -> String {
        let program = Program {
            files: Digest::of(b""),
            folder: String::new(),
            web: "node a.js".to_owned(),
            release: None,
            others: BTreeMap::new(),
            path: Vec::new(),
            defaults: BTreeMap::new(),
            env: BTreeMap::new(),
            node: node.map(str::to_owned),
            image: None,
            health_path: None,
            protocol: skylift_model::program::Protocol::Http1,
            links: Vec::new(),
            net: skylift_model::net::NetRules::default(),
        };
        match toolchains.runtime(&program) {
            Ok(tools) => format!("{} {:?}", tools.path.join(":"), tools.node),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_program_gets_the_node_that_it_was_built_with() {
        let folder = tempfile::tempdir().unwrap();
        let toolchains = toolchains(folder.path());
        let own = format!("{OWN_INSIDE}/bin Some(\"20.20.2\")");
        assert_eq!(check(&toolchains, None), " None");
        assert_eq!(check(&toolchains, Some("20.20.2")), own);
        assert_eq!(check(&toolchains, Some("20.1.0")), own, "the same line of Node, upgraded since");
        assert!(check(&toolchains, Some("22.1.0")).contains("not on this server"));
        std::fs::create_dir(folder.path().join(format!("{}@22.1.0", node_package()))).unwrap();
        assert_eq!(check(&toolchains, Some("22.1.0")), format!("{NODE_INSIDE}/bin Some(\"22.1.0\")"));
        assert!(check(&toolchains, Some("22.1.1")).contains("not on this server"), "another version is another");
    }
}
