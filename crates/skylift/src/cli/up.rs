//! `skylift up`: what it takes. Doing it is the server's part.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::problem::Problem;
use crate::up::WorkerOf;

/// Start the platform on this machine: all roles, one process
#[derive(Args, Clone, Debug)]
pub(crate) struct UpArgs {
    /// The address to listen on [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) listen: Option<SocketAddr>,
    /// The name that apps get theirs below [default: localhost]
    #[arg(long, value_name = "NAME")]
    pub(crate) domain: Option<String>,
    /// The platform's settings [default: config.toml in the data folder]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Take over from the platform that runs on this data folder: it hands its listening socket over and ends, and no client is
    /// refused meanwhile. Where none runs, start as ever
    #[arg(long)]
    pub(crate) take_over: bool,
    /// The worker NODE/NUMBER that NODE has started because of its backlog: it runs code and nothing else, and ends with its standard
    /// input
    #[arg(long, value_name = "NODE/NUMBER", hide = true)]
    pub(crate) worker: Option<WorkerOf>,
    /// The global `--data`, filled in after parsing.
    #[arg(skip)]
    pub(crate) data: Option<PathBuf>,
}

/// Why the platform did not start, or did not stay.
#[derive(Debug)]
pub(crate) enum NotUp {
    /// The settings or the data folder do not allow it; nothing was begun.
    Refused(anyhow::Error),
    /// It was begun, and failed.
    Failed(anyhow::Error),
    /// Another process has what it needs: the data folder, or the address.
    Taken(anyhow::Error),
}

/// The data folder cannot be used as one, whoever else has it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct BadFolder(pub(crate) String);

impl NotUp {
    /// As it is told. `others`: the flags that name another folder or address.
    pub(super) fn problem(self, others: &str) -> Problem {
        match self {
            Self::Refused(error) => {
                let hint = match error.downcast_ref::<BadFolder>() {
                    Some(_) => "no data folder can be made there; name another folder, where you may write".to_owned(),
                    None => {
                        "`skylift config show` prints the settings that count; docs/configuration.md has all".to_owned()
                    }
                };
                Problem::NotStarted { message: format!("{error:#}"), hint }
            }
            Self::Taken(error) => Problem::Refused {
                message: format!("{error:#}"),
                hint: format!("stop the process that has it, or choose another: {others}"),
            },
            Self::Failed(error) => Problem::PlatformFailed { message: format!("{error:#}") },
        }
    }

    /// Tells a folder in use from other reasons not to begin.
    pub(super) fn tell_taken(self) -> Self {
        let is_taken = |cause: &(dyn Error + 'static)| {
            cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::ResourceBusy)
        };
        match self {
            Self::Refused(error) if error.chain().any(is_taken) => Self::Taken(error),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    fn told(why: NotUp) -> String {
        match why.tell_taken().problem("--data DIR") {
            Problem::NotStarted { hint, .. } => format!("64 {hint}"),
            Problem::Refused { hint, .. } => format!("5 {hint}"),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_folder_in_use_a_folder_that_cannot_be_and_a_wrong_setting_have_their_own_hints() {
        let failed = |kind: io::ErrorKind| Err::<(), _>(io::Error::from(kind));
        let busy = failed(io::ErrorKind::ResourceBusy).context("look").unwrap_err();
        assert_eq!(told(NotUp::Refused(busy)), "5 stop the process that has it, or choose another: --data DIR");
        let bad = failed(io::ErrorKind::NotFound).context(BadFolder("create x".to_owned())).unwrap_err();
        assert_eq!(
            told(NotUp::Refused(bad)),
            "64 no data folder can be made there; name another folder, where you may write"
        );
        let setting = failed(io::ErrorKind::NotFound).context("read config.toml").unwrap_err();
        assert!(told(NotUp::Refused(setting)).contains("config show"));
    }
}
