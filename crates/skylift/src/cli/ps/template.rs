//! `skylift ps APP --template`: what new instances are started from.

use skylift_client::Client;
use skylift_model::wire::LaunchTemplate;
use skylift_model::{AppName, Template};

use crate::cli::Context;
use crate::cli::problem::Problem;
use crate::cli::quantity::{ago, now};

pub(super) async fn show(client: &Client, app: &AppName, context: &Context) -> Result<(), Problem> {
    let template = client.template(app).await?;
    context.output.result(&template, text)
}

fn text(launch: &LaunchTemplate) -> String {
    let mut text = format!("template {}, {}: {} ready", launch.version, ago(launch.at, now()), launch.ready);
    if launch.older > 0 {
        text.push_str(&format!(", {} of an older one to be replaced", launch.older));
    }
    for (name, value) in lines(&launch.template) {
        text.push_str(&format!("\n{name:<14}{value}"));
    }
    text
}

fn lines(template: &Template) -> Vec<(String, String)> {
    let Template { base, instance, start, environment, security, health } = template;
    let mut lines = vec![
        ("base".to_owned(), format!("{}, artifact {}", base.deployment, base.artifact)),
        ("instance".to_owned(), instance.to_string()),
    ];
    let steps = [("release", &start.release), ("web", &start.web)];
    lines.extend(steps.into_iter().filter_map(|(name, step)| Some((name.to_owned(), step.clone()?))));
    lines.extend(start.others.iter().map(|(name, step)| (name.clone(), step.clone())));
    let mut variables = format!("version {} of `skylift env`", environment.version);
    for (name, value) in &environment.variables {
        variables.push_str(&format!(", {name}={value}"));
    }
    lines.push(("environment".to_owned(), variables));
    let mut reach: Vec<String> = security.links.iter().map(|link| format!("link {link}")).collect();
    reach.extend(security.out.iter().map(ToString::to_string));
    reach.extend(security.ports.iter().map(|port| format!("port {port}")));
    reach.push("public addresses on the usual ports (`skylift net` says more)".to_owned());
    lines.push(("security".to_owned(), reach.join("; ")));
    let asked = health.path.as_ref().map_or("any answer".to_owned(), |path| format!("GET {path}"));
    let checks = health.checks;
    let how = match checks.interval_seconds {
        0 => "until it has answered".to_owned(),
        seconds => format!(
            "every {seconds} s, unhealthy after {}, healthy after {}",
            checks.unhealthy_threshold, checks.healthy_threshold
        ),
    };
    lines.push(("health".to_owned(), format!("{asked} over {}, {how}", health.protocol.as_str())));
    lines
}
