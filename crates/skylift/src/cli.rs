//! The command line: what can be said, and who does it. One file per command.

mod again;
mod apps;
mod cancel;
mod clean;
mod completions;
mod config;
mod confirm;
mod create;
mod db;
mod deploy;
mod deployments;
mod detect;
mod doctor;
mod env;
pub(crate) mod exit;
mod files;
mod gc;
mod jobs;
mod kept;
mod keys;
mod languages;
mod left_out;
mod limits;
mod login;
mod login_file;
mod logs;
mod man;
mod migrate;
mod misunderstood;
mod net;
mod open;
mod openapi;
mod output;
mod problem;
mod ps;
mod purge;
mod quantity;
mod restart;
mod rm;
mod rollback;
mod rollout;
mod run;
mod runs;
mod scale;
mod serve;
mod server;
mod simulate;
mod standing;
mod status;
mod table;
mod target;
mod up;
mod volume;
mod work;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use skylift_client::Client;

pub(crate) use detect::NotPlanned;
pub(crate) use doctor::{Finding, Verdict};
pub(crate) use migrate::{MigrateArgs, Migrated, MovedTable};
pub(crate) use up::{BadFolder, NotUp, UpArgs};

use crate::roles::Roles;
use output::{Format, Output};
use problem::Problem;

/// Push code, get a URL: a cloud in one program.
#[derive(Parser)]
#[command(name = "skylift", version, max_term_width = 100, arg_required_else_help = true)]
pub(crate) struct CommandLine {
    #[command(flatten)]
    pub(crate) flags: Flags,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Flags {
    /// The server's address, such as https://skylift.example.com
    #[arg(long, global = true, value_name = "URL", env = "SKYLIFT_URL")]
    pub(crate) url: Option<String>,
    /// The token to speak to the server with
    #[arg(long, global = true, value_name = "TOKEN", env = "SKYLIFT_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// Print results as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// The data folder of a server on this machine
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    Up(UpArgs),
    Serve(serve::ServeArgs),
    Deploy(deploy::DeployArgs),
    Create(create::CreateArgs),
    Apps(apps::AppsArgs),
    Deployments(deployments::DeploymentsArgs),
    Logs(logs::LogsArgs),
    Rollback(rollback::RollbackArgs),
    Rollout(rollout::RolloutArgs),
    Cancel(cancel::CancelArgs),
    Ps(ps::PsArgs),
    Scale(scale::ScaleArgs),
    Net(net::NetArgs),
    Restart(restart::RestartArgs),
    Run(run::RunArgs),
    Purge(purge::PurgeArgs),
    Env(env::EnvArgs),
    Db(db::DbArgs),
    Volume(volume::VolumeArgs),
    Keys(keys::KeysArgs),
    Runs(runs::RunsArgs),
    Languages(languages::LanguagesArgs),
    Limits(limits::LimitsArgs),
    Work(work::WorkArgs),
    Files(files::FilesArgs),
    Open(open::OpenArgs),
    Rm(rm::RmArgs),
    Detect(detect::DetectArgs),
    Simulate(simulate::SimulateArgs),
    Status(status::StatusArgs),
    Doctor(doctor::DoctorArgs),
    Gc(gc::GcArgs),
    Jobs(jobs::JobsArgs),
    Config(config::ConfigArgs),
    Migrate(MigrateArgs),
    Login(login::LoginArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
    Openapi(openapi::OpenapiArgs),
}

/// What other parts of the program do for the command line.
pub(crate) struct Seams {
    /// `up` and `serve`: starts the platform, or these roles of it, and stays.
    pub(crate) up: fn(UpArgs, Roles) -> Result<(), NotUp>,
    /// `detect`: the plan for a source, with the project in the given folder of it.
    pub(crate) detect: detect::Detect,
    /// `doctor`: what isolation this machine gives.
    pub(crate) doctor: fn() -> Vec<Finding>,
    /// `migrate`: moves a platform into other stores.
    pub(crate) migrate: migrate::Migrate,
    /// `config show`: the settings that count, as TOML, with the data folder and configuration file named by flags.
    pub(crate) config: fn(Option<&Path>, Option<&Path>) -> anyhow::Result<String>,
    /// `openapi`: the description of the API.
    pub(crate) openapi: fn() -> String,
}

/// Reads the command line. What cannot be understood, and `--help`, is answered here: the exit code comes back.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<CommandLine, ExitCode> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let mut line = CommandLine::try_parse_from(&arguments)
        .map_err(|error| ExitCode::from(misunderstood::report(&error, &arguments)))?;
    if let Command::Up(up) | Command::Serve(serve::ServeArgs { up, .. }) = &mut line.command {
        up.data.clone_from(&line.flags.data);
    }
    Ok(line)
}

/// Does what the command line says.
pub(crate) fn run(line: CommandLine, seams: &Seams) -> ExitCode {
    let output = Output::new(if line.flags.json { Format::Json } else { Format::Text });
    let context = Context { output, flags: line.flags };
    let done = match line.command {
        Command::Up(args) => (seams.up)(args, Roles::all()).map_err(Problem::from),
        Command::Serve(args) => (seams.up)(args.up, args.roles).map_err(Problem::from),
        Command::Detect(args) => detect::run(&args, &context, seams.detect),
        Command::Simulate(args) => simulate::run(&args, &context),
        Command::Doctor(_) => doctor::run(&context, seams.doctor),
        Command::Config(args) => config::run(&args, &context, seams.config),
        Command::Migrate(args) => migrate::run(&args, &context, seams.migrate),
        Command::Completions(args) => completions::run(&args, &context),
        Command::Man(args) => man::run(&args, &context),
        Command::Openapi(_) => openapi::run(&context, seams.openapi),
        command => run_remote(command, &context, seams.detect),
    };
    ExitCode::from(match done {
        Ok(()) => exit::SUCCESS,
        Err(problem) => problem.report(output),
    })
}

/// What a command knows besides its own arguments.
struct Context {
    output: Output,
    flags: Flags,
}

impl Context {
    /// A client of the server that flags, environment, login or data folder name.
    fn client(&self) -> Result<Client, Problem> {
        let server = server::find(&self.flags)?;
        Ok(Client::new(server.url, Some(&server.token))?)
    }
}

/// What a command that speaks to a server runs on.
fn network() -> Result<tokio::runtime::Runtime, Problem> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Problem::Internal { what: "start the network".to_owned(), source: Some(error.into()) })
}

/// Runs a command that speaks to a server.
fn run_remote(command: Command, context: &Context, detect: detect::Detect) -> Result<(), Problem> {
    let runtime = network()?;
    let done = runtime.block_on(async {
        match command {
            Command::Deploy(args) => deploy::run(args, context, detect).await,
            Command::Create(args) => create::run(args, context).await,
            Command::Apps(_) => apps::run(context).await,
            Command::Deployments(args) => deployments::run(args, context).await,
            Command::Logs(args) => logs::run(args, context).await,
            Command::Rollback(args) => rollback::run(args, context).await,
            Command::Rollout(args) => rollout::run(args, context).await,
            Command::Ps(args) => ps::run(args, context).await,
            Command::Scale(args) => scale::run(args, context).await,
            Command::Net(args) => net::run(args, context).await,
            Command::Restart(args) => restart::run(args, context).await,
            Command::Run(args) => run::run(args, context).await,
            Command::Purge(args) => purge::run(args, context).await,
            Command::Cancel(args) => cancel::run(args, context).await,
            Command::Env(args) => env::run(args, context).await,
            Command::Db(args) => db::run(args, context).await,
            Command::Volume(args) => volume::run(args, context).await,
            Command::Keys(args) => keys::run(args, context).await,
            Command::Runs(args) => runs::run(args, context).await,
            Command::Languages(args) => languages::run(args, context).await,
            Command::Limits(args) => limits::run(args, context).await,
            Command::Work(args) => work::run(args, context).await,
            Command::Files(args) => files::run(args, context).await,
            Command::Open(args) => open::run(args, context).await,
            Command::Rm(args) => rm::run(args, context).await,
            Command::Status(_) => status::run(context).await,
            Command::Gc(_) => gc::run(context).await,
            Command::Jobs(args) => jobs::run(args, context).await,
            Command::Login(args) => login::run(args, context).await,
            // The others never get here: `run` does them without a network.
            Command::Up(_)
            | Command::Serve(_)
            | Command::Detect(_)
            | Command::Simulate(_)
            | Command::Doctor(_)
            | Command::Config(_)
            | Command::Migrate(_)
            | Command::Completions(_)
            | Command::Man(_)
            | Command::Openapi(_) => Ok(()),
        }
    });
    // A thread that waits for a slow disk or terminal must not hold up the end of the command.
    runtime.shutdown_background();
    done
}

#[cfg(test)]
mod tests;
