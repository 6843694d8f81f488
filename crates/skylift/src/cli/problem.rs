//! Why a command did not do what was asked: what is said about it, and the exit code that goes with it.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use serde::Serialize;
use skylift_client::{ClientError, FolderError};
use skylift_model::wire::Code;

use super::again;
use super::clean::clean_lines;
use super::exit;
use super::output::{Output, say};
use super::quantity::now;
use super::up::NotUp;

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The server went away after it had accepted what was asked for.
    #[error("{source}")]
    Lost { source: ClientError, hint: String },
    #[error("{message}")]
    Usage { message: String },
    /// Something that is not there, here rather than at the server.
    #[error("{message}")]
    NotFound { message: String, hint: String },
    /// The input or the state of things does not allow it.
    #[error("{message}")]
    Refused { message: String, hint: String },
    #[error("no Skylift server is known")]
    NoServer,
    #[error("no token for {url} is known")]
    NoToken { url: String },
    #[error("read {path}")]
    ReadFile {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("write {path}")]
    WriteFile {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("write to standard output")]
    Write(#[source] io::Error),
    /// Whoever read standard output has gone: nothing is left to do, and nothing to say.
    #[error("nobody reads standard output")]
    ReaderGone,
    /// Everything about it was said already.
    #[error("the deployment failed")]
    DeploymentFailed,
    /// What `skylift run` ran ended with this code; it said itself what there was to say.
    #[error("the command exited with code {0}")]
    CommandExited(u8),
    /// `skylift run` has no verdict to pass on: why. Any of the others.
    #[error(transparent)]
    NotRun(Box<Problem>),
    #[error("interrupted")]
    Interrupted { hint: String },
    /// The platform did not start: a mistake in its settings or its data folder.
    #[error("{message}")]
    NotStarted { message: String, hint: String },
    /// The platform failed.
    #[error("{message}")]
    PlatformFailed { message: String },
    #[error("{what}")]
    Internal {
        what: String,
        #[source]
        source: Option<anyhow::Error>,
    },
}

impl From<NotUp> for Problem {
    fn from(why: NotUp) -> Self {
        why.problem("--listen ADDR:PORT, --data DIR")
    }
}

impl From<serde_json::Error> for Problem {
    fn from(error: serde_json::Error) -> Self {
        Self::Internal { what: "write JSON".to_owned(), source: Some(error.into()) }
    }
}

/// An error as the API would put it.
#[derive(Serialize)]
struct Envelope<'a> {
    error: Body<'a>,
}

#[derive(Serialize)]
struct Body<'a> {
    code: &'a str,
    message: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    hint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_s: Option<u64>,
}

impl Problem {
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::Usage { message: message.into() }
    }

    pub(super) fn refused(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Refused { message: message.into(), hint: hint.into() }
    }

    pub(super) fn read(path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::ReadFile { path: path.into(), source }
    }

    /// Says what there is to say and returns the exit code.
    pub(super) fn report(&self, output: Output) -> u8 {
        let is_silent = matches!(self, Self::ReaderGone | Self::DeploymentFailed | Self::CommandExited(_));
        if !is_silent {
            say(&format!("error: {}", clean_lines(&self.with_causes())));
            let hint = self.hint();
            if !hint.is_empty() {
                say(&format!("hint: {}", clean_lines(&hint)));
            }
        }
        if output.is_json() && !is_silent {
            let body = Body {
                code: self.code(),
                message: self.with_causes(),
                hint: self.hint(),
                retry_after_s: self.retry_after_s(),
            };
            // On one line: it may follow lines that were one document each.
            let _ = output.item(&Envelope { error: body }, |_| String::new());
        }
        self.exit_code()
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::ReaderGone => exit::SUCCESS,
            Self::DeploymentFailed => exit::DEPLOYMENT_FAILED,
            Self::CommandExited(code) => *code,
            Self::NotRun(_) => exit::NOT_RUN,
            Self::NotFound { .. } | Self::Folder(FolderError::Missing(_)) => exit::NOT_FOUND,
            Self::NoToken { .. } => exit::NOT_ALLOWED,
            Self::Refused { .. } | Self::Folder(_) | Self::ReadFile { .. } | Self::WriteFile { .. } => exit::REFUSED,
            Self::NoServer => exit::UNREACHABLE,
            Self::Interrupted { .. } => exit::INTERRUPTED,
            Self::Usage { .. } | Self::NotStarted { .. } => exit::USAGE,
            Self::Write(_) | Self::Internal { .. } | Self::PlatformFailed { .. } => exit::INTERNAL,
            Self::Client(error) | Self::Lost { source: error, .. } => exit_code_of(error),
        }
    }

    /// The message and what caused it, joined by colons; a cause that only repeats what was said is left out.
    fn with_causes(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            let message = error.to_string();
            if !text.ends_with(&message) {
                text = format!("{text}: {message}");
            }
            cause = error.source();
        }
        text
    }

    /// After how many seconds a server that refused it may do it.
    fn retry_after_s(&self) -> Option<u64> {
        match self {
            Self::NotRun(why) => why.retry_after_s(),
            Self::Client(ClientError::Api { body, .. }) => body.retry_after_s,
            _ => None,
        }
    }

    fn code(&self) -> &'static str {
        if let Self::NotRun(why) = self {
            return why.code();
        }
        if matches!(self, Self::Client(error) if error.code() == Some(Code::RateLimited)) {
            return "rate_limited";
        }
        match self.exit_code() {
            exit::NOT_FOUND => "not_found",
            exit::NOT_ALLOWED => "unauthorized",
            exit::REFUSED => "invalid",
            exit::UNREACHABLE => "unreachable",
            exit::INTERRUPTED => "interrupted",
            exit::USAGE => "usage",
            _ => "internal",
        }
    }

    /// What to do next. Every problem that is told has one.
    fn hint(&self) -> String {
        let hint = match self {
            Self::Client(error) => return client_hint(error),
            Self::NotRun(why) => return why.hint(),
            Self::Folder(error) => return folder_hint(error),
            Self::NotFound { hint, .. }
            | Self::Refused { hint, .. }
            | Self::Lost { hint, .. }
            | Self::NotStarted { hint, .. }
            | Self::Interrupted { hint } => hint,
            Self::Usage { .. } => "`skylift help COMMAND` shows what a command takes",
            Self::NoServer => "`skylift up` starts one here; `skylift login URL` remembers another",
            Self::NoToken { .. } => "give it with --token or SKYLIFT_TOKEN, or once with `skylift login URL`",
            Self::ReadFile { .. } => "check that it exists and that you may read it",
            Self::WriteFile { .. } => "check that you may write there and that the disk has room",
            Self::Write(_) => "check where the output goes: the disk may be full",
            Self::PlatformFailed { .. } => "the log has what led to it; `skylift doctor` looks at this machine",
            Self::Internal { .. } => "try again; if it stays so, report it with this message",
            Self::ReaderGone | Self::DeploymentFailed | Self::CommandExited(_) => "",
        };
        hint.to_owned()
    }
}

fn folder_hint(error: &FolderError) -> String {
    match error {
        FolderError::AllSkipped { ignored, .. } if !ignored.is_empty() => {
            ignored.iter().take(3).map(ToString::to_string).collect::<Vec<_>>().join("\n")
        }
        _ => error.hint().to_owned(),
    }
}

fn client_hint(error: &ClientError) -> String {
    let hint = match error {
        ClientError::Api { body, .. } if body.code == Code::Unauthorized => {
            "give another token with --token or SKYLIFT_TOKEN, or remember one with `skylift login URL`; \
             the owner's is in `owner-token` in the server's data folder"
        }
        ClientError::Api { body, .. } => return again::hint(body, now()),
        ClientError::Unreachable { .. } | ClientError::TimedOut { .. } => {
            "is it running? `skylift up` starts one here; --url or SKYLIFT_URL names another"
        }
        ClientError::Untrusted { .. } => {
            "use the name that its certificate is for; one of a private CA is trusted once this machine has the CA, or \
             SSL_CERT_FILE names a file with it"
        }
        ClientError::NoTls { .. } => "is it http:// rather than https://, or another port?",
        ClientError::Protocol { .. } => "is the address that of a Skylift server, and is its version near to this one?",
        ClientError::RootCertificates(_) => {
            "install `ca-certificates`, or name a file of certificates with SSL_CERT_FILE"
        }
        ClientError::InvalidToken => {
            "copy the whole token and nothing else; --token, SKYLIFT_TOKEN and `skylift login URL` take it"
        }
        ClientError::ReadFile { .. } => "check that it exists and that you may read it",
        ClientError::FileChanged { .. } => "deploy again once nothing writes there",
    };
    hint.to_owned()
}

fn exit_code_of(error: &ClientError) -> u8 {
    match error {
        ClientError::Api { status, body } => match (body.code, status) {
            (Code::NotFound, _) => exit::NOT_FOUND,
            (Code::Unauthorized | Code::Forbidden, _) => exit::NOT_ALLOWED,
            (Code::Unavailable, _) => exit::UNREACHABLE,
            (_, 400..=499 | 507) => exit::REFUSED,
            _ => exit::INTERNAL,
        },
        ClientError::Unreachable { .. }
        | ClientError::Untrusted { .. }
        | ClientError::NoTls { .. }
        | ClientError::TimedOut { .. } => exit::UNREACHABLE,
        ClientError::InvalidToken => exit::NOT_ALLOWED,
        ClientError::ReadFile { .. } | ClientError::FileChanged { .. } => exit::REFUSED,
        ClientError::Protocol { .. } | ClientError::RootCertificates(_) => exit::INTERNAL,
    }
}
