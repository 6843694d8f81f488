//! `skylift gc`: one clean-up, at once.

use clap::Args;

use super::Context;
use super::problem::Problem;
use super::quantity::{bytes, count};

/// Remove what nothing needs any more
#[derive(Args)]
pub(crate) struct GcArgs {}

pub(super) async fn run(context: &Context) -> Result<(), Problem> {
    let report = context.client()?.collect_garbage().await?;
    context.output.result(&report, |report| {
        let (freed, left) = (bytes(report.bytes), bytes(report.bytes_left));
        let (deployments, blobs) = (count(report.deployments, "deployment"), count(report.blobs, "object"));
        format!("removed {deployments} and {blobs}; {freed} freed, {left} left")
    })
}
