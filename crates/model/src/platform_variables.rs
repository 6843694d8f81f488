//! Names of environment variables that are the platform's own: a build with others in their place finds no programs,
//! writes where it may not, or reaches nothing.

use crate::EnvName;

/// Taken as they are written.
const NAMES: &[&str] = &["PATH", "HOME", "PWD", "IFS", "SKYLIFT"];
/// Where tools write what the platform keeps for them, and the one way out. Tools take these in either case.
const NAMES_OF_TOOLS: &[&str] = &[
    "npm_config_cache",
    "npm_config_store_dir",
    "npm_config_proxy",
    "npm_config_https_proxy",
    "npm_config_prefix",
    "yarn_cache_folder",
    "yarn_http_proxy",
    "yarn_https_proxy",
    "bun_install_cache_dir",
    "corepack_home",
    "pip_cache_dir",
    "cargo_home",
    "cargo_http_proxy",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
];
/// Where an instance listens. One that listens elsewhere is not reached.
const NAMES_OF_THE_CONTRACT: &[&str] = &["PORT", "HOST"];
/// `LD_`: what the loader puts into every program, the platform's own in a sandbox too.
const BEGINNINGS: &[&str] = &["LD_", "SKYLIFT_"];

impl EnvName {
    /// Whether every instance is told by it where to listen: an app reads it, and nobody may set it for an app.
    pub fn is_of_the_contract(&self) -> bool {
        NAMES_OF_THE_CONTRACT.contains(&self.as_str())
    }

    /// Whether the platform sets this variable, so that nobody else may. `NODE_ENV`, `CI` and the like are only
    /// proposed by it: apps may set them.
    pub fn is_platforms(&self) -> bool {
        let name = self.as_str();
        NAMES.contains(&name)
            || NAMES_OF_TOOLS.iter().any(|other| name.eq_ignore_ascii_case(other))
            || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_is_told_where_to_listen_and_nobody_sets_it() {
        let is_told = |name: &str| name.parse::<EnvName>().unwrap().is_of_the_contract();
        assert!(is_told("PORT") && is_told("HOST") && !is_told("DB_PORT") && !is_told("HOSTNAME"));
    }

    #[test]
    fn what_breaks_a_build_is_the_platforms_and_what_people_set_is_theirs() {
        let is_platforms = |name: &str| name.parse::<EnvName>().unwrap().is_platforms();
        for name in ["PATH", "HOME", "LD_PRELOAD", "LD_LIBRARY_PATH", "HTTPS_PROXY", "npm_config_cache", "SKYLIFT_APP"]
        {
            assert!(is_platforms(name), "{name}");
        }
        for name in ["NODE_ENV", "CI", "NODE_OPTIONS", "PORT", "NPM_CONFIG_PRODUCTION", "LDAP_URL", "Path", "HOMEPAGE"]
        {
            assert!(!is_platforms(name), "{name}");
        }
    }
}
