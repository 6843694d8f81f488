//! `skylift run`: a command in a sandbox like those of an app ([`app`]), or a file of code by itself ([`file`]). Options stand in front of
//! what is run, whatever follows belongs to that ([`words`]).

mod app;
mod file;
mod input;
mod language;
mod left;
mod options;
mod printer;
mod sent;
mod talk;
mod verdict;
mod words;

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::output::say;
use super::problem::Problem;
use super::{Context, exit};
pub(super) use file::bring;
use options::CodeOptions;
pub(super) use verdict::{as_text, decoded, warned, why};

/// What shells tell of a command that was interrupted.
const INTERRUPTED: u8 = 130;

/// Run a command once, with the files and variables of what is live; or a file of code, by itself
#[derive(Args)]
#[command(override_usage = "skylift run [OPTIONS] FILE [ARG]...\n       \
    skylift run [OPTIONS] --language LANGUAGE - [ARG]...\n       \
    skylift run APP -- COMMAND [ARG]...")]
pub(crate) struct RunArgs {
    /// A file of code, known by its `.` or `/`, such as `hello.py`, and what its program is given; `-` is standard input. Or an app, `--` and a
    /// command; one word alone is a line for a shell. All that follows the first word is the program's: a `--` right behind it is taken off
    #[arg(required = true, num_args = 1.., trailing_var_arg = true, value_name = "APP|FILE")]
    words: Vec<String>,
    #[command(flatten)]
    code: CodeOptions,
}

/// What a person or a system tells this program.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> Result<Self, Problem> {
        let listen = |kind| {
            signal(kind).map_err(|error| Problem::Internal {
                what: "listen for signals".to_owned(),
                source: Some(error.into()),
            })
        };
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Whatever is no verdict of what ran ends with a code of its own.
pub(super) async fn run(args: RunArgs, context: &Context) -> Result<(), Problem> {
    run_words(args, context).await.map_err(|problem| match problem {
        Problem::CommandExited(_) => problem,
        // Its output was not taken, and it was ended for that.
        Problem::ReaderGone => Problem::CommandExited(exit::READER_GONE),
        problem => Problem::NotRun(Box::new(problem)),
    })
}

async fn run_words(args: RunArgs, context: &Context) -> Result<(), Problem> {
    let words = words::split(args.words, &words::ours());
    let is_code = words.what.contains(['.', '/']) || words.what == sent::STDIN;
    if !is_code {
        if let Some(option) = args.code.first() {
            return Err(Problem::usage(format!(
                "`{option}` is for files of code; `{0}` is the name of an app, `./{0}` that of a file",
                words.what
            )));
        }
        return app::run(&words.what, words.rest, &context.client()?, context).await;
    }
    if let Some(stray) = &words.stray {
        say(&format!(
            "note: `{stray}` was given to {}: options of `skylift run` stand in front of it; `--` right behind it says that this is meant",
            if words.what == sent::STDIN { "the program" } else { &words.what }
        ));
    }
    file::run(&words.what, words.rest, args.code, context).await
}
