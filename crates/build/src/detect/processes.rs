//! What runs, of a project that does: the command that answers requests, the one before a release, and others.
//!
//! `skylift.toml` decides first, then the Procfile, then what is known of the kind of project.

use skylift_model::net::NetRules;
use skylift_model::plan::ProjectKind;

use super::draft::Draft;
use super::error::DetectError;
use super::framework::Sourced;
use super::kind_name;
use super::procfile::Procfile;
use super::project::Project;
use super::recipe::Start;
use super::view::View;
use crate::app_config::RunConfig;

/// The process that answers requests.
const WEB: &str = "web";
/// The process that runs once, before a deployment goes live.
const RELEASE: &str = "release";

impl Draft {
    /// Decides what runs. `detected` is what is known of the kind of project.
    ///
    /// # Errors
    /// Where nobody says how the project starts, or the Procfile is broken.
    pub(crate) fn processes(
        &mut self,
        view: &View<'_>,
        project: &Project,
        detected: Option<Start>,
    ) -> Result<(), DetectError> {
        if self.plan.kind.is_static() {
            self.warn_of_idle_settings(project);
            return Ok(());
        }
        if self.plan.kind == ProjectKind::Dockerfile {
            // The image says what starts.
            self.answers(project);
            return Ok(());
        }
        let procfile = Procfile::load(view, &project.root)?;
        let start = self.start(project, procfile.as_ref(), detected)?;
        self.decide("start", &start.value, &start.from);
        self.plan.start = Some(start.value);
        if let Some(release) = release(project, procfile.as_ref()) {
            self.decide("release", if release.value.is_empty() { "none" } else { &release.value }, &release.from);
            self.plan.release = Some(release.value).filter(|command| !command.is_empty());
        }
        for (name, command) in procfile.iter().flat_map(|procfile| &procfile.processes) {
            if name != WEB && name != RELEASE {
                let from = procfile.as_ref().map_or("", |procfile| &procfile.file);
                self.decide("process", &format!("{name}: {command}"), from);
                self.plan.others.insert(name.clone(), command.clone());
            }
        }
        self.answers(project);
        Ok(())
    }

    /// What is said of instances has no effect on a site, which has none.
    fn warn_of_idle_settings(&mut self, project: &Project) {
        let config = &project.config;
        let said = [
            ("run", config.run != RunConfig::default()),
            ("rollout", config.rollout.is_some()),
            ("scale", config.scale.is_some()),
            ("instance", config.instance_type.is_some()),
            ("health", config.health_path.is_some() || config.health.is_some()),
            ("link", !config.links.is_empty()),
            ("net", config.net != NetRules::default()),
        ];
        for (name, _) in said.iter().filter(|(_, is_said)| *is_said) {
            self.warn(
                "without effect: files are served by the edge, no instance runs",
                &format!("{} {name}", project.config_file),
            );
        }
    }

    /// How it is spoken to, and what it speaks to.
    fn answers(&mut self, project: &Project) {
        if let Some(path) = &project.config.health_path {
            self.decide("health", path, &format!("{} health.path", project.config_file));
            self.plan.health_path = Some(path.clone());
        }
        if let Some(protocol) = project.config.run.protocol {
            self.decide("protocol", protocol.as_str(), &format!("{} run.protocol", project.config_file));
            self.plan.protocol = protocol;
        }
        if let Some(sticky) = project.config.run.sticky {
            self.decide("sticky", if sticky { "yes" } else { "no" }, &format!("{} run.sticky", project.config_file));
            self.plan.sticky = sticky;
        }
        if let Some(rollout) = &project.config.rollout {
            self.decide("rollout", rollout.strategy.as_str(), &format!("{} rollout.strategy", project.config_file));
            self.plan.rollout = rollout.clone();
        }
        if let Some(instance_type) = &project.config.instance_type {
            self.decide("instance type", instance_type, &format!("{} instance.type", project.config_file));
            self.plan.instance_type = Some(instance_type.clone());
        }
        if let Some(scale) = &project.config.scale {
            let bounds = format!("{} to {} instances", scale.min, scale.max);
            self.decide("scale", &bounds, &format!("{} scale", project.config_file));
            self.plan.scale = Some(scale.clone());
        }
        self.plan.health = project.config.health.unwrap_or_default();
        for link in &project.config.links {
            self.decide("link", &link.to_string(), &format!("{} link", project.config_file));
            self.plan.links.push(link.clone());
        }
        self.net(project);
    }

    /// Rules for its network, each as one line.
    fn net(&mut self, project: &Project) {
        let net = &project.config.net;
        let from = |direction: &str| format!("{} net.{direction}", project.config_file);
        for rule in &net.out {
            self.decide("net out", &rule.to_string(), &from("out"));
        }
        for rule in &net.inward {
            self.decide("net in", &rule.to_string(), &from("in"));
        }
        self.plan.net = net.clone();
    }

    fn start(
        &mut self,
        project: &Project,
        procfile: Option<&Procfile>,
        detected: Option<Start>,
    ) -> Result<Sourced<String>, DetectError> {
        if let Some(command) = &project.config.run.start {
            return Ok(Sourced::new(command.clone(), format!("{} run.start", project.config_file)));
        }
        if let Some(procfile) = procfile {
            let web = procfile.processes.get(WEB);
            let web = web.ok_or_else(|| DetectError::NoWeb { file: procfile.file.clone() })?;
            return Ok(Sourced::new(web.clone(), format!("{} {WEB}", procfile.file)));
        }
        match detected {
            Some(Start::Known { command, warning }) => {
                if let Some(warning) = warning {
                    self.warn(&warning, &command.from);
                }
                Ok(command)
            }
            Some(Start::Unknown { why }) => Err(DetectError::NoStart { kind: kind_name(self.plan.kind), why }),
            None => Err(DetectError::NoStart { kind: kind_name(self.plan.kind), why: "nothing says so".to_owned() }),
        }
    }
}

fn release(project: &Project, procfile: Option<&Procfile>) -> Option<Sourced<String>> {
    if let Some(command) = &project.config.run.release {
        return Some(Sourced::new(command.clone(), format!("{} run.release", project.config_file)));
    }
    let procfile = procfile?;
    let command = procfile.processes.get(RELEASE)?;
    Some(Sourced::new(command.clone(), format!("{} {RELEASE}", procfile.file)))
}
