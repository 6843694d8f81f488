//! Says how a deployment ended.

use skylift_client::Client;
use skylift_model::DeploymentState;
use skylift_model::wire::{Deployment, Failure};

use super::watch::Shown;
use crate::cli::clean::clean;
use crate::cli::left_out::LeftOut;
use crate::cli::logs::{Stamps, line_text};
use crate::cli::output::{Output, say};
use crate::cli::problem::Problem;

/// How much of the log is shown with a failure, where it was not shown already.
const LOG_TAIL_LINES: u64 = 20;

/// Prints the app's address, or why there is nothing new at it.
pub(super) async fn report(
    client: &Client,
    deployment: &Deployment,
    shown: Shown,
    left_out: &LeftOut,
    output: Output,
) -> Result<(), Problem> {
    let is_success = matches!(deployment.state, DeploymentState::Live | DeploymentState::Previous);
    if is_success {
        for line in deployment.plan.iter().flat_map(|plan| left_out.overlooked(plan)) {
            say(&format!("note: {}", clean(&line)));
        }
        say(&format!("{}; it has its own address too: {}", success(deployment), deployment.url));
        if is_stopped(client, deployment).await {
            let app = &deployment.app;
            say(&format!("note: {app} is stopped and answers nothing; `skylift scale {app} 1` starts it"));
        }
        return output.result(deployment, |deployment| deployment.app_url.clone());
    }
    if shown == Shown::Part {
        show_log_tail(client, deployment).await;
    }
    say(&failure(deployment));
    for line in missed(deployment, left_out) {
        say(&format!("hint: {}", clean(&line)));
    }
    // Whether visitors see the broken thing is what everybody asks next.
    if let Ok(Some(live)) = client.app(&deployment.app).await.map(|app| app.live) {
        say(&format!("note: {} still shows {live}", deployment.app_url));
    }
    if output.is_json() {
        output.result(deployment, |_| String::new())?;
    }
    Err(Problem::DeploymentFailed)
}

/// Whether its owner stopped the app that it is the newest of. A site cannot be stopped.
async fn is_stopped(client: &Client, deployment: &Deployment) -> bool {
    let runs = deployment.plan.as_ref().is_some_and(|plan| !plan.kind.is_static());
    runs && client.explain_scaling(&deployment.app).await.is_ok_and(|explained| explained.stopped)
}

fn success(deployment: &Deployment) -> String {
    match deployment.state {
        DeploymentState::Previous => format!("{} was live and has been replaced since", deployment.id),
        _ => format!("{} is live", deployment.id),
    }
}

async fn show_log_tail(client: &Client, deployment: &Deployment) {
    let Ok(lines) = client.log_lines(&deployment.id, Some(LOG_TAIL_LINES)).await else { return };
    let skipped = lines.len().saturating_sub(usize::try_from(LOG_TAIL_LINES).unwrap_or(usize::MAX));
    for line in lines.iter().skip(skipped) {
        say(&line_text(line, Stamps::Left));
    }
}

fn failure(deployment: &Deployment) -> String {
    let id = &deployment.id;
    match (&deployment.failure, deployment.state) {
        (Some(failure), _) => failed_step(deployment, failure),
        (None, DeploymentState::Superseded) => {
            format!("error: {id} was overtaken by a newer deployment of {}", deployment.app)
        }
        (None, state) => format!("error: {id} is {state}"),
    }
}

/// What was not sent and may explain the failure. A result that the project builds was never meant to be sent.
fn missed(deployment: &Deployment, left_out: &LeftOut) -> Vec<String> {
    let is_built = deployment.plan.as_ref().is_some_and(|plan| plan.build.is_some());
    match &deployment.failure {
        Some(failure) if !is_built && matches!(failure.step.as_str(), "detect" | "output") => {
            left_out.explains_failure(deployment.dir.as_deref(), &failure.message)
        }
        _ => Vec::new(),
    }
}

fn failed_step(deployment: &Deployment, failure: &Failure) -> String {
    // Most messages say the code themselves.
    let untold = failure.exit_code.filter(|code| !failure.message.ends_with(&format!("code {code}")));
    let exit = untold.map(|code| format!(" (exit code {code})")).unwrap_or_default();
    let (step, message) = (clean(&failure.step), clean(&failure.message));
    let mut text = format!("error: {} failed in step `{step}`: {message}{exit}", deployment.id);
    if let Some(hint) = &failure.hint {
        text.push_str(&format!("\nhint: {}", clean(hint)));
    }
    text
}

#[cfg(test)]
mod tests {
    use skylift_model::Timestamp;
    use skylift_model::source::Source;

    use super::*;

    fn ended(state: DeploymentState, failure: Option<Failure>) -> Deployment {
        Deployment {
            id: "d-000000000zzzzzzz".parse().unwrap(),
            app: "hello".parse().unwrap(),
            state,
            url: String::new(),
            app_url: String::new(),
            source: Source::Folder,
            dir: None,
            plan: None,
            artifact: None,
            queue_position: None,
            failure,
            created_at: Timestamp::from_millis(0),
            started_at: None,
            finished_at: None,
        }
    }

    #[test]
    fn a_failure_names_step_message_exit_code_and_hint() {
        let why = Failure {
            step: "build".to_owned(),
            message: "vite\x1b[2J: not found".to_owned(),
            exit_code: Some(127),
            hint: Some("add it to package.json".to_owned()),
        };
        assert_eq!(
            failure(&ended(DeploymentState::Failed, Some(why))),
            "error: d-000000000zzzzzzz failed in step `build`: vite[2J: not found (exit code 127)\n\
             hint: add it to package.json"
        );
        assert!(failure(&ended(DeploymentState::Superseded, None)).contains("overtaken"));
        assert!(failure(&ended(DeploymentState::Cancelled, None)).contains("is cancelled"));
    }
}
