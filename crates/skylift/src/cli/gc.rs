//! `skylift gc`: one clean-up, at once.

use clap::Args;

use super::Context;
use super::problem::Problem;
use super::quantity::bytes;

/// Remove what nothing needs any more
#[derive(Args)]
pub(crate) struct GcArgs {}

pub(super) async fn run(context: &Context) -> Result<(), Problem> {
    let report = context.client()?.collect_garbage().await?;
    context.output.result(&report, |report| {
        let (freed, left) = (bytes(report.bytes), bytes(report.bytes_left));
        format!("removed {} deployments and {} objects; {freed} freed, {left} left", report.deployments, report.blobs)
    })
}
