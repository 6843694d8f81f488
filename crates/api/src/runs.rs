//! Where runs are run.

use futures_util::future::BoxFuture;
use skylift_model::run::{Ending, Job, LimitsKnown};
use skylift_model::wire::Language;

use crate::error::ApiError;

/// Who runs code that is sent.
pub trait Runs: Send + Sync {
    /// What can be run. Known soon after the start.
    fn languages(&self) -> BoxFuture<'_, Vec<Language>>;

    /// A language by its name, or one of its other names.
    fn language<'r>(&'r self, name: &'r str) -> BoxFuture<'r, Option<Language>>;

    /// What may be asked for.
    fn limits(&self) -> LimitsKnown;

    /// Whether a text says which files are wanted.
    fn is_glob(&self, text: &str) -> bool;

    /// Runs a job to its end; to drop it is to end what runs. Whatever the code does is an ending.
    fn run<'r>(&'r self, job: &'r Job) -> BoxFuture<'r, Result<Ending, ApiError>>;
}
