//! Which of the app's own variables an install sees. Pure.
//!
//! An install runs what others wrote, and what it makes is kept until something changes that it has seen. So it is shown what
//! package managers read, and what the project's own files name; a change of any other variable keeps what was installed.
//! Where the project itself runs something during the install, nobody knows what that reads: it is shown everything.

use serde_json::Value;
use skylift_model::Manifest;
use skylift_model::plan::Plan;

use crate::detect::INSTALL_READS;

/// Files that say how to install, by name. Lock files name no variables.
const NAMES: &[&str] = &[
    "package.json",
    "pnpm-workspace.yaml",
    ".pnpmfile.cjs",
    ".yarnrc",
    ".yarnrc.yml",
    "bunfig.toml",
    ".npmrc",
    "pyproject.toml",
    "setup.py",
    "setup.cfg",
    "pip.conf",
    "Pipfile",
    "constraints.txt",
    "Cargo.toml",
];
const FOLDERS: &[&str] = &["prisma", "requirements"];
/// Larger ones are not read.
pub(crate) const FILE_BYTES_MAX: u64 = 256 << 10;
/// Nor more of them.
const FILES_MAX: usize = 100;

/// What variables begin with that package managers and compilers read themselves; in either case.
const OF_TOOLS: &[&str] = &[
    "npm_",
    "node_",
    "pnpm_",
    "yarn_",
    "bun_",
    "corepack_",
    "pip_",
    "uv_",
    "poetry_",
    "python",
    "cargo_",
    "rust",
    "cgo_",
    "goflags",
    "goproxy",
    "goprivate",
    "gonosumdb",
    "gonoproxy",
    "gosumdb",
    "goinsecure",
];
/// What is in the names of those that packages read while they are installed, such as `PUPPETEER_SKIP_DOWNLOAD`.
const OF_PACKAGES: &[&str] = &["SKIP", "DOWNLOAD", "INSTALL", "MIRROR", "BINARY", "PRISMA"];
/// What a package manager runs of the project's own when it installs.
const OWN_SCRIPTS: &[&str] = &["preinstall", "install", "postinstall", "prepare"];

/// Whether nobody knows what of the source an install reads.
pub(crate) fn reads_everything(plan: &Plan) -> bool {
    plan.decisions.iter().any(|decision| {
        decision.what == INSTALL_READS || decision.what == "install" && decision.from.contains("skylift.toml")
    })
}

/// The files in whose text variables are looked for.
pub(crate) fn telling_files(manifest: &Manifest) -> impl Iterator<Item = &skylift_model::FileEntry> {
    let tells = |file: &&skylift_model::FileEntry| {
        let name = file.path.file_name();
        let is_list = name.starts_with("requirements") && name.ends_with(".txt");
        file.size <= FILE_BYTES_MAX
            && (is_list || NAMES.contains(&name) || file.path.parts().any(|part| FOLDERS.contains(&part)))
    };
    manifest.files().iter().filter(tells).take(FILES_MAX)
}

/// Those of `env` that an install sees. `package` is the package.json where it runs, `texts` are those of the files that tell.
pub(crate) fn seen(plan: &Plan, package: &Value, texts: &[String], env: &[(String, String)]) -> Vec<(String, String)> {
    if reads_everything(plan) || has_own_scripts(package) {
        return env.to_vec();
    }
    let command = plan.install.as_deref().unwrap_or_default();
    let is_seen = |name: &str| is_for_tools(name) || names(command, name) || texts.iter().any(|text| names(text, name));
    env.iter().filter(|(name, _)| is_seen(name)).cloned().collect()
}

/// Git hooks, which nearly everybody sets up that way, read nothing.
fn has_own_scripts(package: &Value) -> bool {
    let scripts = OWN_SCRIPTS.iter().filter_map(|name| package.pointer(&format!("/scripts/{name}"))?.as_str());
    scripts.map(str::trim).any(|script| !(script == "husky" || script == "husky install"))
}

fn is_for_tools(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    OF_TOOLS.iter().any(|start| lower.starts_with(start)) || OF_PACKAGES.iter().any(|part| name.contains(part))
}

/// Whether a text has this name as a word.
fn names(text: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices(name).any(|(at, _)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let after = text.get(at + name.len()..).and_then(|after| after.chars().next());
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use skylift_model::site::SiteSettings;

    use super::*;

    fn plan(install_from: &str) -> Plan {
        serde_json::from_value(json!({
            "kind": "node-server", "root": "", "install_root": "", "output": "", "site": SiteSettings::default(),
            "install": "npm ci",
            "decisions": [{ "what": "install", "value": "npm ci", "from": install_from }]
        }))
        .unwrap()
    }

    fn told(plan: &Plan, package: &Value, texts: &[&str]) -> Vec<String> {
        let names = ["DATABASE_URL", "NPM_TOKEN", "PRIVATE", "PRIVATE_KEY", "PUPPETEER_SKIP_DOWNLOAD", "npm_config_x"];
        let env: Vec<_> = names.iter().map(|name| ((*name).to_owned(), "value".to_owned())).collect();
        let texts: Vec<String> = texts.iter().map(|&text| text.to_owned()).collect();
        seen(plan, package, &texts, &env).into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn an_install_sees_what_tools_read_and_what_the_projects_files_name() {
        let plan = plan("package-lock.json");
        let usual = ["NPM_TOKEN", "PUPPETEER_SKIP_DOWNLOAD", "npm_config_x"];
        assert_eq!(told(&plan, &Value::Null, &[]), usual);
        let named = told(&plan, &Value::Null, &["//registry.example/:_authToken=${PRIVATE}"]);
        assert_eq!(named, ["NPM_TOKEN", "PRIVATE", "PUPPETEER_SKIP_DOWNLOAD", "npm_config_x"]);
    }

    #[test]
    fn what_the_project_runs_itself_sees_everything() {
        assert_eq!(told(&plan("skylift.toml build.install"), &Value::Null, &[]).len(), 6);
        let own = plan("package-lock.json");
        assert_eq!(told(&own, &json!({ "scripts": { "postinstall": "node set-up.js" } }), &[]).len(), 6);
        assert_eq!(told(&own, &json!({ "scripts": { "prepare": "husky", "build": "vite" } }), &[]).len(), 3);
    }
}
