//! `skylift openapi`: the description of the API, for whoever generates clients.

use clap::Args;

use super::Context;
use super::problem::Problem;

/// Print the description of the API (OpenAPI, JSON)
#[derive(Args)]
pub(crate) struct OpenapiArgs {}

pub(super) fn run(context: &Context, document: fn() -> String) -> Result<(), Problem> {
    context.output.text(&document())
}
