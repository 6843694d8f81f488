//! `skylift run FILE`: code of this machine, once, in a sandbox of the platform's that has nothing else in it. What it prints comes as it is
//! printed, and what it reads goes as it is typed ([`talk`]).

use std::io::{self, IsTerminal, Read};
use std::path::Path;

use skylift_client::Client;
use skylift_model::run::{Encoding, RunStatus};
use skylift_model::wire::{Code, Run, RunFile, RunRequest};

use super::{RunArgs, talk};
use crate::cli::Context;
use crate::cli::output::{complain, say};
use crate::cli::problem::Problem;

/// The most that a run reads.
const STDIN_BYTES_MAX: u64 = 1 << 20;
/// The most that a file may have.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// What is told where nothing else is.
const FAILED: u8 = 1;

pub(super) async fn run(args: &RunArgs, client: &Client, context: &Context) -> Result<(), Problem> {
    let path = Path::new(&args.what);
    let language = match &args.language {
        Some(language) => language.clone(),
        None => language_of(path).ok_or_else(|| {
            let message = format!("`{}`: its name does not say what it is written in", args.what);
            Problem::refused(message, "say it, as in `--language python`")
        })?,
    };
    let content = read(path)?;
    let name = path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    let mut request = RunRequest {
        language,
        files: vec![RunFile { name, content, encoding: Encoding::Base64 }],
        args: args.command.clone(),
        encoding: Encoding::Base64,
        ai: args.ai,
        packages: args.packages.clone(),
        ..RunRequest::default()
    };
    if !context.output.is_json() {
        match client.attend(&request).await {
            Ok(line) => return exit(&talk::talk(line, context.output).await?),
            // Runs are run by workers elsewhere, which hear nothing while they run.
            Err(error) if error.code() == Some(Code::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
    request.stdin = Some(stdin()?);
    let run = client.run_code(&request).await?;
    if context.output.is_json() {
        context.output.result(&run, |_| String::new())?;
    } else {
        context.output.bytes(&decoded(&run, &run.stdout))?;
        complain(&decoded(&run, &run.stderr));
        tell_why(&run);
    }
    exit(&run)
}

/// Ours is the program's.
fn exit(run: &Run) -> Result<(), Problem> {
    match run.exit_code {
        Some(0) if run.status == Some(RunStatus::Ok) => Ok(()),
        code => Err(Problem::CommandExited(
            code.and_then(|code| u8::try_from(code).ok()).filter(|code| *code > 0).unwrap_or(FAILED),
        )),
    }
}

/// What the names of a language's files end in is one of its names.
fn language_of(path: &Path) -> Option<String> {
    Some(path.extension()?.to_str()?.to_owned())
}

fn read(path: &Path) -> Result<String, Problem> {
    let refused = |why: String| {
        Problem::refused(format!("`{}`: {why}", path.display()), "name a file of code, such as `./hello.py`")
    };
    let bytes = std::fs::File::open(path).and_then(|file| {
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map(|_| bytes)
    });
    match bytes {
        Ok(bytes) if bytes.len() as u64 > FILE_BYTES_MAX => Err(refused(format!("larger than {FILE_BYTES_MAX} bytes"))),
        Ok(bytes) => Ok(Encoding::Base64.encode(&bytes)),
        Err(error) => Err(refused(error.to_string())),
    }
}

/// What is piped in; a person's terminal is not waited for.
fn stdin() -> Result<String, Problem> {
    if io::stdin().is_terminal() {
        return Ok(String::new());
    }
    let mut text = String::new();
    match io::stdin().lock().take(STDIN_BYTES_MAX + 1).read_to_string(&mut text) {
        Ok(bytes) if bytes as u64 <= STDIN_BYTES_MAX => Ok(text),
        Ok(_) => Err(Problem::refused(format!("the input is larger than {STDIN_BYTES_MAX} bytes"), "send less")),
        Err(error) => Err(Problem::refused(format!("the input cannot be read: {error}"), "send text")),
    }
}

pub(super) fn decoded(run: &Run, text: &str) -> Vec<u8> {
    run.encoding.decode(text.to_owned()).unwrap_or_default()
}

/// What neither its output nor its exit code tells.
pub(super) fn tell_why(run: &Run) {
    let why = match run.status {
        Some(RunStatus::TimeLimit) => format!("it ran longer than {} ms", run.limits.wall_ms),
        Some(RunStatus::CpuLimit) => format!("it used a processor for longer than {} ms", run.limits.cpu_ms),
        Some(RunStatus::MemoryLimit) => format!("it needed more than {} bytes of memory", run.limits.memory_bytes),
        Some(RunStatus::OutputLimit) => format!("it printed more than {} bytes", run.limits.output_bytes),
        _ => return,
    };
    say(&format!("skylift: {why}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_name_says_the_language() {
        assert_eq!(language_of(Path::new("a/b.py")).as_deref(), Some("py"));
        assert_eq!(language_of(Path::new("x.tar.cc")).as_deref(), Some("cc"));
        assert_eq!(language_of(Path::new("./Makefile")), None);
    }
}
