//! `skylift login`: remembers a server and a token, once the server took the token.

use std::fs;
use std::io::{self, BufRead, IsTerminal};
use std::path::PathBuf;

use clap::Args;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use serde::Serialize;
use skylift_client::Client;
use skylift_model::wire::Code;

use super::Context;
use super::login_file::{self, Login};
use super::output::{ask, say};
use super::problem::Problem;
use super::server::parse_url;

/// Remember a server and a token for it
#[derive(Args)]
pub(crate) struct LoginArgs {
    /// The server's address, such as https://skylift.example.com
    #[arg(value_name = "URL")]
    server: String,
    /// Read the token from a file rather than from standard input
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

#[derive(Serialize)]
struct LoggedIn {
    url: String,
    /// Where it may be known with this token.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
}

pub(super) async fn run(args: LoginArgs, context: &Context) -> Result<(), Problem> {
    let url = parse_url(&args.server)?;
    let token = token(&args, context)?;
    if !url.is_https() && !url.is_loopback() {
        say(&format!("warning: {url} is not encrypted: whoever is on the way can read the token"));
    }
    let version = match Client::new(url.clone(), Some(&token))?.status().await {
        Ok(status) => Some(status.version),
        // A key that works, for something else than looking after the platform.
        Err(error) if error.code() == Some(Code::Forbidden) => {
            say("this is a key that may do less than the owner's token: what it is not for is refused");
            None
        }
        Err(error) => return Err(error.into()),
    };
    let path = login_file::write(&Login { url: url.clone(), token })?;
    say(&format!("logged in; remembered in {}", path.display()));
    context.output.result(&LoggedIn { url: url.to_string(), version }, |login| login.url.clone())
}

fn token(args: &LoginArgs, context: &Context) -> Result<String, Problem> {
    let text = match (&args.token_file, &context.flags.token) {
        (Some(file), _) => fs::read_to_string(file).map_err(|source| Problem::read(file, source))?,
        (None, Some(token)) => token.clone(),
        (None, None) => prompt()?,
    };
    match text.trim() {
        "" => Err(Problem::usage("the token is empty")),
        token => Ok(token.to_owned()),
    }
}

/// Reads a line from standard input, unseen where that is a terminal.
fn prompt() -> Result<String, Problem> {
    let unread = |source| Problem::read("standard input", source);
    let stdin = io::stdin();
    let hidden =
        stdin.is_terminal().then(|| Hidden::start(&stdin)).transpose().map_err(|errno| unread(errno.into()))?;
    if hidden.is_some() {
        ask("token: ");
    }
    let mut line = String::new();
    stdin.lock().read_line(&mut line).map_err(unread)?;
    if hidden.is_some() {
        say("");
    }
    Ok(line)
}

/// A terminal that does not show what is typed, until this is dropped.
struct Hidden {
    before: Termios,
}

impl Hidden {
    fn start(stdin: &io::Stdin) -> rustix::io::Result<Self> {
        let before = tcgetattr(stdin)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(stdin, OptionalActions::Flush, &silent)?;
        Ok(Self { before })
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}
