//! `skylift run`: a command, once, in a sandbox like those of what is live. Its output comes as it is printed, its exit code
//! is ours. It reads nothing: its standard input is empty.

use clap::Args;
use skylift_model::AppName;
use skylift_model::wire::{LogLine, Stream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::unbounded_channel;

use super::Context;
use super::clean::clean;
use super::output::say;
use super::problem::Problem;

/// What shells tell of a command that was interrupted.
const INTERRUPTED: u8 = 130;

/// Run a command once, with the files and variables of what is live
#[derive(Args)]
pub(crate) struct RunArgs {
    /// The app
    app: AppName,
    /// The command and its arguments, behind `--`; one word alone is a line for a shell
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    command: Vec<String>,
}

pub(super) async fn run(args: RunArgs, context: &Context) -> Result<(), Problem> {
    let client = context.client()?;
    let no_signals =
        |error: std::io::Error| Problem::Internal { what: "listen for signals".to_owned(), source: Some(error.into()) };
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
    let instance = client.run_command(&args.app, args.command).await?;
    let (sender, mut lines) = unbounded_channel();
    let (following, id) = (client.clone(), instance.id.clone());
    let mut followed =
        tokio::spawn(async move { following.follow_instance(&id, |line| drop(sender.send(line))).await });
    let mut is_interrupted = false;
    let ended = loop {
        tokio::select! {
            biased;
            Some(line) = lines.recv() => show(&line, context)?,
            ended = &mut followed => break ended,
            _ = interrupt.recv() => is_interrupted = true,
            _ = terminate.recv() => is_interrupted = true,
        }
        if is_interrupted {
            client.end_instance(&instance.id).await?;
        }
    };
    while let Ok(line) = lines.try_recv() {
        show(&line, context)?;
    }
    let ended = ended
        .map_err(|error| Problem::Internal { what: "follow the command".to_owned(), source: Some(error.into()) })??;
    match ended.exit_code {
        Some(0) => Ok(()),
        Some(code) => Err(Problem::CommandExited(u8::try_from(code).unwrap_or(1))),
        None if is_interrupted => Err(Problem::CommandExited(INTERRUPTED)),
        None => {
            let why = ended.reason.unwrap_or_else(|| "it was told to end".to_owned());
            Err(Problem::refused(format!("the command did not come to its end: {}", clean(&why)), "run it again"))
        }
    }
}

/// What the command printed goes where it printed it; what the platform says of it goes to standard error.
fn show(line: &LogLine, context: &Context) -> Result<(), Problem> {
    if context.output.is_json() || line.stream == Stream::Stdout {
        let text = |line: &LogLine| if line.text.is_empty() { "\n".to_owned() } else { clean(&line.text).into_owned() };
        return context.output.item(line, text);
    }
    // Of an end that has an exit code, that says enough.
    if line.stream == Stream::Stderr || !is_plain_end(&line.text) {
        say(&clean(&line.text));
    }
    Ok(())
}

fn is_plain_end(text: &str) -> bool {
    text == "done" || text.starts_with("$ ") || text.starts_with("exited with code ")
}
