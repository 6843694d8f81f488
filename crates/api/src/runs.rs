//! Where runs are run.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use skylift_model::TokenId;
use skylift_model::run::{Ending, Job, LimitsKnown};
use skylift_model::wire::Language;
use skylift_queue::Live;
use tokio::sync::mpsc;

use crate::error::ApiError;

/// Who runs code that is sent.
pub trait Runs: Send + Sync {
    /// What can be run. Known soon after the start.
    fn languages(&self) -> BoxFuture<'_, Vec<Language>>;

    /// A language by its name, or one of its other names.
    fn language<'r>(&'r self, name: &'r str) -> BoxFuture<'r, Option<Language>>;

    /// Of a language that is known, whether it is here or not, by any of its names: what it is called, and the program that it needs.
    fn program_of(&self, name: &str) -> Option<(String, String)>;

    /// What may be asked for.
    fn limits(&self) -> LimitsKnown;

    /// Whether a text says which files are wanted.
    fn is_glob(&self, text: &str) -> bool;

    /// Whether a run hears what is sent to it while it goes on.
    fn hears(&self) -> bool;

    /// Runs a job to its end; to drop it is to end what runs. Whatever the code does is an ending.
    fn run<'r>(&'r self, job: &'r Job, asked: Asked<'r>, along: Along) -> BoxFuture<'r, Result<Ending, ApiError>>;
}

/// What matters of a run where others wait as well.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Whose it is.
    pub token: &'a TokenId,
    /// How much processor time that may use in a day, where it may not use as much as it likes.
    pub cpu_s_per_day: Option<u32>,
    pub priority: i32,
}

/// What goes on beside a run while it does. Where it runs on another machine, nothing of it.
#[derive(Default)]
pub struct Along {
    /// Hears what it prints.
    pub live: Option<Arc<Live>>,
    /// What it reads after its own input.
    pub stdin: Option<mpsc::Receiver<Vec<u8>>>,
    /// Signals for its first process, by number.
    pub signals: Option<mpsc::Receiver<i32>>,
}
