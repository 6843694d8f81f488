//! The launch template of an app: everything that its instances are started with, as one value with a number. Pure.
//!
//! An instance keeps the number of the one it was started from. Where that is not the one in force, it is replaced.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::health::HealthChecks;
use crate::instance_type::{InstanceType, InstanceTypes, UnknownType};
use crate::net::{NetRules, OutRule};
use crate::plan::{Plan, ProjectKind};
use crate::program::Protocol;
use crate::{DeploymentId, Digest, Link};

/// Ports that rules of an app open beyond the usual ones, each a listener inside.
pub const PORTS_MAX: usize = 64;

/// What an instance is started with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Template {
    /// What it is a copy of.
    pub base: Base,
    /// How much it may use.
    pub instance: InstanceType,
    /// What it runs.
    pub start: StartSteps,
    /// Its variables.
    pub environment: TemplateEnvironment,
    /// What it may reach.
    pub security: SecurityGroup,
    /// When it is healthy.
    pub health: TemplateHealth,
}

/// What an instance is a copy of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Base {
    /// The deployment.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub deployment: DeploymentId,
    /// The digest of its artifact: files and tools, or an image.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub artifact: Digest,
    /// What kind of project it was built from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ProjectKind>,
}

/// What runs, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StartSteps {
    /// Once before the deployment's first instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// Answers requests; absent where the image says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web: Option<String>,
    /// Other processes, by their name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub others: BTreeMap<String, String>,
}

/// Variables of an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TemplateEnvironment {
    /// The version of what the owner set; its values are secret. 0 is none.
    pub version: u64,
    /// Those of `skylift.toml`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
}

/// What an instance may reach beside public addresses on the usual ports. Rules that are set by command hold for it as it runs; what
/// of them it is started with are the ports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SecurityGroup {
    /// Services and apps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    /// Rules of `skylift.toml`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub out: Vec<OutRule>,
    /// Ports beyond the usual ones that rules open, those that are set by command included.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<u16>,
}

/// When an instance is healthy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TemplateHealth {
    /// What is asked for; without it any answer will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What it speaks.
    #[serde(default)]
    pub protocol: Protocol,
    /// How often, and what counts.
    #[serde(flatten)]
    pub checks: HealthChecks,
}

/// What a template is made of.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'p> {
    pub deployment: &'p DeploymentId,
    pub artifact: Digest,
    pub plan: Option<&'p Plan>,
    /// The version of the owner's environment.
    pub env_version: u64,
    /// Rules that were set by command.
    pub net: &'p NetRules,
    /// The instance type that was chosen by command.
    pub chosen: Option<&'p str>,
}

impl Template {
    /// What an app's instances are to be started with.
    ///
    /// # Errors
    /// Where there is no such instance type.
    pub fn of(parts: &Parts<'_>, types: &InstanceTypes) -> Result<Self, UnknownType> {
        let plan = parts.plan;
        let said = plan.and_then(|plan| plan.instance_type.as_deref());
        let own = plan.map(|plan| plan.net.out.as_slice()).unwrap_or_default();
        Ok(Self {
            base: Base {
                deployment: parts.deployment.clone(),
                artifact: parts.artifact,
                kind: plan.map(|plan| plan.kind),
            },
            instance: types.get(parts.chosen.or(said))?.clone(),
            start: plan.map(steps).unwrap_or_default(),
            environment: TemplateEnvironment {
                version: parts.env_version,
                variables: plan.map(variables).unwrap_or_default(),
            },
            security: SecurityGroup {
                links: plan.map(|plan| plan.links.clone()).unwrap_or_default(),
                out: own.to_vec(),
                ports: opened(parts.net.out.iter().chain(own)),
            },
            health: plan.map(health).unwrap_or_default(),
        })
    }

    /// Two templates with the same digest are the same.
    pub fn digest(&self) -> Digest {
        Digest::of(&serde_json::to_vec(self).unwrap_or_default())
    }
}

fn variables(plan: &Plan) -> BTreeMap<String, String> {
    let mut variables = plan.app_json.defaults.clone();
    variables.extend(plan.env.clone());
    variables
}

fn steps(plan: &Plan) -> StartSteps {
    StartSteps { release: plan.release.clone(), web: plan.start.clone(), others: plan.others.clone() }
}

fn health(plan: &Plan) -> TemplateHealth {
    TemplateHealth { path: plan.health_path.clone(), protocol: plan.protocol, checks: plan.health }
}

fn opened<'r>(rules: impl Iterator<Item = &'r OutRule>) -> Vec<u16> {
    let allowed = rules.filter(|rule| !rule.deny).flat_map(|rule| rule.ports.iter().copied());
    let mut ports: Vec<u16> = allowed.take(PORTS_MAX).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;
    use crate::site::SiteSettings;

    fn made(env_version: u64, chosen: Option<&str>, net: &NetRules) -> Template {
        let plan = serde_json::json!({
            "kind": "procfile", "root": "", "install_root": "", "output": "", "decisions": [],
            "site": SiteSettings::default(),
            "start": "./serve", "instance_type": "small", "health_path": "/up"
        });
        let (plan, deployment): (Plan, _) =
            (serde_json::from_value(plan).unwrap(), DeploymentId::new(Timestamp::from_millis(1), 1));
        let parts =
            Parts { deployment: &deployment, artifact: Digest::of(b""), plan: Some(&plan), env_version, net, chosen };
        Template::of(&parts, &InstanceTypes::default()).unwrap()
    }

    #[test]
    fn the_same_parts_make_the_same_template_and_each_other_part_another_one() {
        let none = NetRules::default();
        let rules = |json| serde_json::from_value::<NetRules>(json).unwrap();
        let first = made(1, None, &none);
        assert_eq!(first.instance.name, "small", "as skylift.toml says");
        assert_eq!(made(1, None, &none).digest(), first.digest());
        let port = rules(serde_json::json!({ "out": [{ "to": "*", "ports": [5432] }] }));
        for other in [made(2, None, &none), made(1, Some("nano"), &none), made(1, None, &port)] {
            assert_ne!(other.digest(), first.digest(), "{other:?}");
        }
        let refused = rules(serde_json::json!({ "out": [{ "to": "203.0.113.0/24", "deny": true }] }));
        assert_eq!(made(1, None, &refused).digest(), first.digest(), "that holds for what runs, without another start");
    }

    #[test]
    fn what_is_written_is_read_again() {
        let template = made(3, Some("large"), &NetRules::default());
        let json = serde_json::to_string(&template).unwrap();
        assert_eq!(serde_json::from_str::<Template>(&json).unwrap(), template);
    }
}
