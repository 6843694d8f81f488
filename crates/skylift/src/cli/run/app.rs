//! `skylift run APP -- COMMAND`: a command, once, in a sandbox like those of what is live. Its output comes as it is printed, its exit
//! code is ours. It reads nothing: its standard input is empty.

use skylift_client::{Client, Printed};
use skylift_model::AppName;
use skylift_model::wire::{Instance, LogLine};

use super::printer::Printer;
use super::{INTERRUPTED, Signals};
use crate::cli::Context;
use crate::cli::clean::clean;
use crate::cli::problem::Problem;

/// What stands before the reason of an instance that the platform could not start.
const NOT_STARTED: &str = "the platform could not start it: ";

pub(super) async fn run(name: &str, command: Vec<String>, client: &Client, context: &Context) -> Result<(), Problem> {
    let app: AppName = name.parse().map_err(|error| {
        Problem::refused(format!("`{name}`: {error}"), "name an app, or a file such as `./hello.py`")
    })?;
    match command.first() {
        None => {
            let hint =
                format!("as in `skylift run {app} -- python manage.py migrate`; a file of code is named `./{app}`");
            return Err(Problem::refused("there is no command to run", hint));
        }
        Some(word) if word.starts_with('-') => {
            let hint = format!("options of `skylift run` stand in front of {app}, the command behind `--`");
            return Err(Problem::refused(format!("`{word}` is no command"), hint));
        }
        Some(_) => {}
    }
    let mut signals = Signals::listen()?;
    let instance = client.run_command(&app, command).await?;
    let mut printer = Printer::start(context.output)?;
    let (ended, is_interrupted) = match follow(client, &instance, &mut printer, &mut signals).await {
        Ok(ended) => ended,
        Err(problem) => {
            // Nobody is left who would read what it prints.
            if matches!(problem, Problem::ReaderGone | Problem::Write(_)) {
                client.end_instance(&instance.id).await?;
            }
            return Err(problem);
        }
    };
    printer.finish(is_interrupted, signals.next()).await?;
    match ended.exit_code {
        Some(0) => Ok(()),
        Some(code) => Err(Problem::CommandExited(u8::try_from(code).unwrap_or(1))),
        None if is_interrupted => Err(Problem::CommandExited(INTERRUPTED)),
        None => {
            let why = ended.reason.unwrap_or_else(|| "it was told to end".to_owned());
            Err(match why.strip_prefix(NOT_STARTED) {
                Some(why) => {
                    Problem::refused(format!("the command was not started: {}", clean(why)), "then run it again")
                }
                None => {
                    let message = format!("the command did not come to its end: {}", clean(&why));
                    Problem::refused(message, format!("`skylift ps {app} --why` shows its last lines"))
                }
            })
        }
    }
}

/// Shows what it prints until it has ended; returns how, and whether it was interrupted. Signals come first: neither a flood of lines nor
/// a reader that has stopped keeps anybody from ending it.
async fn follow(
    client: &Client,
    instance: &Instance,
    printer: &mut Printer,
    signals: &mut Signals,
) -> Result<(Instance, bool), Problem> {
    let mut output = client.output_of(&instance.id);
    let mut waits: Option<LogLine> = None;
    let mut is_interrupted = false;
    loop {
        let next = tokio::select! {
            biased;
            () = signals.next() => Next::Signal,
            room = printer.room(), if waits.is_some() => room.map(|()| Next::Room)?,
            printed = output.next(), if waits.is_none() => Next::Printed(printed?),
        };
        match next {
            Next::Signal if is_interrupted => return Err(Problem::CommandExited(INTERRUPTED)),
            Next::Signal => {
                is_interrupted = true;
                waits.take().into_iter().for_each(|line| printer.show(line));
                client.end_instance(&instance.id).await?;
            }
            Next::Room => waits.take().into_iter().for_each(|line| printer.show(line)),
            // Its last lines are shown as far as somebody reads them.
            Next::Printed(Printed::Line(line)) if is_interrupted => printer.show(line),
            Next::Printed(Printed::Line(line)) => waits = Some(line),
            Next::Printed(Printed::Ended(ended)) => return Ok((*ended, is_interrupted)),
        }
    }
}

/// What happened first.
enum Next {
    Signal,
    Room,
    Printed(Printed),
}
