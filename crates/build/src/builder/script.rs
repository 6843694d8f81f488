//! Running a package script without starting the package manager for it.
//!
//! `npm run build` costs a third of a second before the script's first line. Where the script has no `pre` and `post`
//! hooks, and the package manager would do nothing but put `node_modules/.bin` on the `PATH` and name a few
//! variables, we do that ourselves, as `node --run` does.

use serde_json::Value;
use skylift_model::plan::{PackageManager, Plan};

/// A script and what a package manager would tell it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Script {
    /// The script's own text.
    pub(super) command: String,
    /// Variables that scripts read.
    pub(super) env: Vec<(String, String)>,
}

/// The script that a command runs, where it can be run directly; `package` is the package.json beside it.
pub(super) fn direct(command: &str, plan: &Plan, package: &Value) -> Option<Script> {
    let manager = plan.package_manager?;
    let name = command.strip_prefix(manager.as_str())?.strip_prefix(" run ")?;
    let scripts = package.get("scripts")?;
    let has_hook = ["pre", "post"].iter().any(|hook| scripts.get(format!("{hook}{name}")).is_some());
    if has_hook || !is_plain(manager, plan) {
        return None;
    }
    let script = scripts.get(name)?.as_str()?;
    let text = |key: &str| package.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let env = vec![
        ("npm_lifecycle_event".to_owned(), name.to_owned()),
        ("npm_lifecycle_script".to_owned(), script.to_owned()),
        ("npm_command".to_owned(), "run-script".to_owned()),
        ("npm_package_name".to_owned(), text("name")),
        ("npm_package_version".to_owned(), text("version")),
    ];
    Some(Script { command: script.to_owned(), env })
}

/// Whether scripts of this manager see ordinary `node_modules`. Yarn from version 2 on may resolve packages itself, and bun
/// may be what the script is meant to run with.
fn is_plain(manager: PackageManager, plan: &Plan) -> bool {
    match manager {
        PackageManager::Npm | PackageManager::Pnpm => true,
        PackageManager::Yarn => {
            plan.package_manager_version.as_deref().is_none_or(|version| version == "1" || version.starts_with("1."))
                && plan.install.as_deref().is_none_or(|install| !install.contains("immutable"))
        }
        PackageManager::Bun => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use skylift_model::plan::ProjectKind;
    use skylift_model::site::SiteSettings;

    use super::*;

    fn plan(manager: PackageManager) -> Plan {
        Plan {
            kind: ProjectKind::NodeStatic,
            framework: None,
            root: String::new(),
            install_root: String::new(),
            package_manager: Some(manager),
            package_manager_version: None,
            node: None,
            install: None,
            build: None,
            test: None,
            start: None,
            release: None,
            others: std::collections::BTreeMap::new(),
            health_path: None,
            health: skylift_model::health::HealthChecks::default(),
            instance_type: None,
            scale: None,
            protocol: skylift_model::program::Protocol::Http1,
            sticky: false,
            rollout: skylift_model::rollout::RolloutSettings::default(),
            links: Vec::new(),
            net: skylift_model::net::NetRules::default(),
            output: "dist".to_owned(),
            site: SiteSettings::default(),
            env: std::collections::BTreeMap::new(),
            app_json: skylift_model::app_json::AppJson::default(),
            decisions: Vec::new(),
        }
    }

    fn check(command: &str, manager: PackageManager, package: &Value) -> Option<String> {
        direct(command, &plan(manager), package).map(|script| script.command)
    }

    #[test]
    fn a_plain_script_is_run_directly_and_anything_else_by_its_manager() {
        let package = json!({ "name": "x", "scripts": { "build": "vite build", "prelint": "a", "lint": "b" } });
        assert_eq!(check("npm run build", PackageManager::Npm, &package).as_deref(), Some("vite build"));
        assert_eq!(check("pnpm run build", PackageManager::Pnpm, &package).as_deref(), Some("vite build"));
        assert_eq!(check("npm run lint", PackageManager::Npm, &package), None, "it has a hook");
        assert_eq!(check("npm run other", PackageManager::Npm, &package), None, "there is no such script");
        assert_eq!(check("npm run build -- --x", PackageManager::Npm, &package), None);
        assert_eq!(check("bun run build", PackageManager::Bun, &package), None);
        assert_eq!(check("npx vite build", PackageManager::Npm, &package), None);
    }
}
