//! One executable: the first word picks what it does.

mod cli;
mod clock;
mod config;
mod data_dir;
mod doctor;
mod logging;
mod migrate;
mod roles;
mod sandboxed;
mod up;

use std::path::Path;
use std::process::ExitCode;

use skylift_build::detect;
use skylift_client::folder::Walked;
use skylift_model::plan::Plan;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    if let Some(exit) = sandboxed::run(&arguments) {
        return exit;
    }
    let line = match cli::parse(arguments) {
        Ok(line) => line,
        Err(exit) => return exit,
    };
    let openapi = skylift_api::openapi::document;
    cli::run(
        line,
        &cli::Seams {
            up: up::run,
            detect: plan,
            doctor: doctor::findings,
            migrate: migrate::run,
            config: settings,
            openapi,
        },
    )
}

/// The plan that the server would make of what a deploy sends.
fn plan(walked: &Walked, dir: Option<&str>) -> anyhow::Result<Result<Plan, cli::NotPlanned>> {
    let listing = detect::FolderListing::open(&walked.root, walked.files.clone())?;
    Ok(detect::plan(&listing, dir)
        .map_err(|error| cli::NotPlanned { message: skylift_model::chain(&error), hint: error.hint() }))
}

fn settings(data: Option<&Path>, file: Option<&Path>) -> anyhow::Result<String> {
    config::Config::load(file, &config::data_folder(data)?)?.render()
}
