//! `skylift run FILE`: code of this machine, once, in a sandbox of the platform's that has nothing else in it. What it prints comes as it is
//! printed, and what it reads goes as it is typed ([`talk`]).

use std::path::Path;

use skylift_client::Client;
use skylift_model::run::Encoding;
use skylift_model::wire::{CallbackAsked, Code, Run, RunMode, RunRequest};

use super::input::Input;
use super::options::CodeOptions;
use super::verdict::{as_text, decoded, warned};
use super::{language, left, sent, talk, verdict};
use crate::cli::Context;
use crate::cli::clean::clean;
use crate::cli::output::{complain, say};
use crate::cli::problem::Problem;
use crate::cli::quantity::bytes;

pub(super) async fn run(what: &str, args: Vec<String>, options: CodeOptions, context: &Context) -> Result<(), Problem> {
    let is_json = context.output.is_json();
    if !options.output.is_empty() && options.output_dir.is_none() && !is_json && !options.detach {
        return Err(Problem::usage("`--output` needs `--output-dir DIR`, where the files are put (`.` is here)"));
    }
    if let Some(into) = options.output_dir.as_deref().filter(|into| into.exists() && !into.is_dir()) {
        return Err(Problem::usage(format!("`--output-dir {}` is no folder", into.display())));
    }
    sent::no_folder(what)?;
    let (limits, env) = (options.limits()?, options.variables()?);
    let input = Input::open(options.stdin.as_deref(), what)?;
    let client = context.client()?;
    let Some(named) = language::of(options.language.as_deref(), what) else {
        return Err(language::not_said(what, &client).await);
    };
    let request = RunRequest {
        language: named.name().to_owned(),
        files: sent::files(what, &options.with)?,
        args,
        env,
        compile_options: options.compile_option,
        limits,
        outputs: options.output,
        // What is queued is told to others too, who read text.
        encoding: if options.detach { Encoding::Utf8 } else { Encoding::Base64 },
        ai: options.ai,
        packages: options.packages,
        mode: if options.detach { RunMode::Async } else { RunMode::Sync },
        ttl_s: options.ttl,
        priority: options.priority.unwrap_or_default(),
        callback: options.callback.map(|url| CallbackAsked { url }),
        ..RunRequest::default()
    };
    if options.detach {
        return match queue(request, input, &client, context).await {
            Ok(()) => Ok(()),
            Err(problem) => Err(language::explained(problem, &named, what, &client).await),
        };
    }
    let run = match to_end(request, input, &client, context).await {
        Ok(run) => run,
        Err(problem) => return Err(language::explained(problem, &named, what, &client).await),
    };
    if let (Some(why), false) = (verdict::why(&run), is_json) {
        say(&format!("skylift: {why}"));
    }
    if let (Some(_), false) = (options.ttl, is_json) {
        say(&format!("skylift: it is kept; `skylift runs show {}` tells it again", run.id));
    }
    if let Some(folder) = &options.output_dir {
        bring(&run, folder)?;
    }
    verdict::end(&run)
}

/// Has it run by whoever is free, and waits for nothing.
async fn queue(mut request: RunRequest, input: Input, client: &Client, context: &Context) -> Result<(), Problem> {
    request.stdin = Some(input.whole()?);
    let run = client.run_code(&request).await?;
    say(&format!("skylift: it is queued; `skylift runs show --wait {}` tells what comes of it", run.id));
    context.output.result(&as_text(run), |run| run.id.to_string())
}

/// Runs it to its end, and shows what it prints.
async fn to_end(mut request: RunRequest, input: Input, client: &Client, context: &Context) -> Result<Run, Problem> {
    if !context.output.is_json() {
        match client.attend(&request).await {
            Ok(line) => return talk::talk(line, input, context.output).await,
            // Runs are run by workers elsewhere, which hear nothing while they run.
            Err(error) if error.code() == Some(Code::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
    request.stdin = Some(input.whole()?);
    let run = client.run_code(&request).await?;
    if context.output.is_json() {
        let run = as_text(run);
        context.output.result(&run, |_| String::new())?;
        return Ok(run);
    }
    complain(&warned(&run));
    context.output.bytes(&decoded(&run, &run.stdout))?;
    complain(&decoded(&run, &run.stderr));
    Ok(run)
}

/// Puts what it left into a folder, and says so.
pub(in crate::cli) fn bring(run: &Run, folder: &Path) -> Result<(), Problem> {
    if run.files.is_empty() {
        say("skylift: it left no file that was asked for with `--output`");
    }
    let sizes = left::put(&run.files, folder)?;
    for (file, size) in run.files.iter().zip(sizes) {
        // The name is the program's.
        say(&clean(&format!("skylift: {} ({})", folder.join(&file.name).display(), bytes(size))));
    }
    if run.files_truncated {
        say("skylift: it left more than is brought back (64 files, 8 MiB in all)");
    }
    Ok(())
}
