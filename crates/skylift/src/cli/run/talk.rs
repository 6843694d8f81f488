//! A file of code that runs, and whoever sits before it: what it prints is shown as it comes, what is typed or piped in is passed on.
//!
//! Both directions go on by themselves: a program that prints much while it reads much would else wait for a client that waits for it. To
//! leave is to end the run.

use std::convert::Infallible;
use std::io::{self, Read};

use skylift_client::{ClientError, Sends, Told};
use skylift_model::run::Encoding;
use skylift_model::wire::{Run, RunSent, RunTold};
use tokio::sync::{mpsc, oneshot};

use super::input::Input;
use super::verdict::{decoded, warned};
use super::{INTERRUPTED, Signals};
use crate::cli::output::{Output, complain};
use crate::cli::problem::Problem;

/// How much is read at once.
const READ_BYTES: usize = 16 << 10;
/// How many pieces wait, each way.
const PIECES_MAX: usize = 16;

/// How it ended; it was shown.
pub(super) async fn talk((told, sends): (Told, Sends), input: Input, output: Output) -> Result<Run, Problem> {
    let mut signals = Signals::listen()?;
    let (mut shown, printer) = show(output)?;
    let run = tokio::select! {
        biased;
        () = signals.next() => Err(Problem::CommandExited(INTERRUPTED)),
        // Whoever reads what is printed has gone.
        Ok(Err(problem)) = &mut shown => Err(problem),
        run = hear(told, printer) => run,
        never = pass_on(sends, input) => match never {},
    }?;
    // All of it has been heard; it may still have to be written.
    tokio::select! {
        written = shown => written.unwrap_or(Ok(())),
        () = signals.next() => Err(Problem::CommandExited(INTERRUPTED)),
    }?;
    Ok(run)
}

/// Whether all of it could be written, once it was.
type Shown = oneshot::Receiver<Result<(), Problem>>;

enum Piece {
    Stdout(Vec<u8>),
    Stderr(Vec<u8>),
}

/// Hears it to its end.
async fn hear(mut told: Told, printer: mpsc::Sender<Piece>) -> Result<Run, Problem> {
    let mut has_run = false;
    // Where nobody reads any more, that is told by the printer.
    let print = async |piece| drop(printer.send(piece).await);
    let bytes = |data| Encoding::Base64.decode(data).unwrap_or_default();
    loop {
        match told.next().await? {
            RunTold::Running { .. } => has_run = true,
            RunTold::Stdout { data } => print(Piece::Stdout(bytes(data))).await,
            RunTold::Stderr { data } => print(Piece::Stderr(bytes(data))).await,
            RunTold::Done(run) => {
                print(Piece::Stderr(warned(&run))).await;
                if !has_run {
                    // What the compiler said comes with the end.
                    print(Piece::Stdout(decoded(&run, &run.stdout))).await;
                    print(Piece::Stderr(decoded(&run, &run.stderr))).await;
                }
                return Ok(*run);
            }
            RunTold::Error(body) => {
                let status = body.code.status();
                return Err(ClientError::Api { status, body }.into());
            }
        }
    }
}

/// Writes from a thread of its own: whoever reads may stop for as long as they like. Ends with its sender.
fn show(output: Output) -> Result<(Shown, mpsc::Sender<Piece>), Problem> {
    let (pieces, mut next) = mpsc::channel(PIECES_MAX);
    let (tell, shown) = oneshot::channel();
    thread("printer", move || {
        let mut written = Ok(());
        while let Some(piece) = next.blocking_recv() {
            match piece {
                Piece::Stdout(bytes) => written = output.bytes(&bytes),
                Piece::Stderr(bytes) => complain(&bytes),
            }
            if written.is_err() {
                break;
            }
        }
        let _ = tell.send(written);
    })?;
    Ok((shown, pieces))
}

/// Passes on what is read until there is no more, then waits for ever: its end is not the run's.
async fn pass_on(mut sends: Sends, input: Input) -> Infallible {
    if let Ok(mut pieces) = read(input) {
        while let Some(bytes) = pieces.recv().await {
            let sent = RunSent {
                stdin: Some(Encoding::Base64.encode(&bytes)),
                encoding: Encoding::Base64,
                ..RunSent::default()
            };
            if sends.send(&sent).await.is_err() {
                // Whoever hears the run hears why.
                return std::future::pending().await;
            }
        }
    }
    let _ = sends.send(&RunSent { stdin_end: true, ..RunSent::default() }).await;
    std::future::pending().await
}

/// What it is to read, read by a thread that nobody waits for.
fn read(mut input: Input) -> Result<mpsc::Receiver<Vec<u8>>, Problem> {
    let (pieces, next) = mpsc::channel(PIECES_MAX);
    if !input.may_be_read() {
        return Ok(next);
    }
    thread("reader", move || {
        let mut bytes = vec![0; READ_BYTES];
        loop {
            match input.read(&mut bytes) {
                Ok(count) if count > 0 => {
                    let piece = bytes.get(..count).unwrap_or_default().to_vec();
                    if pieces.blocking_send(piece).is_err() {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => return,
            }
        }
    })?;
    Ok(next)
}

fn thread(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), Problem> {
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    started
        .map(drop)
        .map_err(|error| Problem::Internal { what: "start a thread".to_owned(), source: Some(error.into()) })
}
