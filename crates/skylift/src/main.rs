//! One executable: the first word picks what it does.

mod cli;
mod clock;
mod config;
mod data_dir;
mod doctor;
mod logging;
mod sandboxed;
mod up;

use std::path::Path;
use std::process::ExitCode;

use skylift_build::detect;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    if let Some(exit) = sandboxed::run(&arguments) {
        return exit;
    }
    if arguments.get(1).is_some_and(|word| word == "openapi") {
        return print_openapi();
    }
    let line = match cli::parse(arguments) {
        Ok(line) => line,
        Err(exit) => return exit,
    };
    cli::run(line, &cli::Seams { up: up::run, detect: plan, doctor: doctor::findings, config: settings })
}

/// `skylift openapi`: the description of the API, for whoever generates clients or checks that the stored one is fresh.
#[expect(clippy::print_stdout, reason = "this is the command's result")]
fn print_openapi() -> ExitCode {
    println!("{}", skylift_api::openapi::document());
    ExitCode::SUCCESS
}

fn plan(path: &Path, dir: Option<&str>) -> anyhow::Result<skylift_model::plan::Plan> {
    let listing = detect::FolderListing::open(path)?;
    detect::plan(&listing, dir)
        .map_err(|error| anyhow::anyhow!("{}\nhint: {}", skylift_model::chain(&error), error.hint()))
}

fn settings(data: Option<&Path>, file: Option<&Path>) -> anyhow::Result<String> {
    config::Config::load(file, &config::data_folder(data)?)?.render()
}
