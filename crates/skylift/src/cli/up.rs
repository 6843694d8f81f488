//! `skylift up`: what it takes. Doing it is the server's part.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

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
