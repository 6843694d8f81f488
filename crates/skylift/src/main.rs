//! One executable: the first word picks the role.

use std::path::Path;
use std::process::ExitCode;

mod cli;
mod data_dir;

fn main() -> ExitCode {
    let line = match cli::parse(std::env::args_os()) {
        Ok(line) => line,
        Err(exit) => return exit,
    };
    let seams = cli::Seams {
        up: |_: cli::UpArgs| ExitCode::from(cli::exit::INTERNAL),
        detect: |_: &Path, _: Option<&str>| anyhow::bail!("detection is not wired yet"),
        doctor: || {
            let (name, detail) = ("doctor".to_owned(), "the probe is not wired yet".to_owned());
            vec![cli::Finding { name, verdict: cli::Verdict::Reduced, detail }]
        },
        config: |_: Option<&Path>, _: Option<&Path>| anyhow::bail!("the configuration is not wired yet"),
    };
    cli::run(line, &seams)
}
