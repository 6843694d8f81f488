//! `skylift serve`: what it takes. Doing it is the server's part.

use clap::Args;

use super::up::UpArgs;
use crate::roles::Roles;

/// Start some roles of the platform in this process, on stores that several processes share
#[derive(Args, Clone, Debug)]
pub(crate) struct ServeArgs {
    /// What this process does: edge, api, upload, build and deploy, joined by commas
    #[arg(long, value_name = "ROLES")]
    pub(crate) roles: Roles,
    #[command(flatten)]
    pub(crate) up: UpArgs,
}
