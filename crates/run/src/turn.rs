//! The turn of a job, and what goes with it to all of its programs.

use std::sync::Arc;

use skylift_durable::{Defence, left_out};

use crate::attached::Purse;
use crate::runner::RunError;
use crate::spent::Spent;
use crate::turns::Held;

/// That a job is one of those that may run at a time; given back with the last of it.
pub(crate) type Turn = Arc<JobsTurn>;

pub(crate) struct JobsTurn {
    _held: Held,
    /// What its programs use.
    pub(crate) spent: Spent,
    /// What its key has left.
    pub(crate) purse: Option<Arc<dyn Purse>>,
}

impl JobsTurn {
    pub(crate) fn new(held: Held, spent: Spent, purse: Option<Arc<dyn Purse>>) -> Self {
        Self { _held: held, spent, purse }
    }

    /// # Errors
    /// [`RunError::UsedUp`] where its key has nothing left.
    pub(crate) async fn pay(&self) -> Result<(), RunError> {
        match &self.purse {
            Some(purse) if !left_out(Defence::KeyBounds) && purse.is_empty().await => Err(RunError::UsedUp),
            _ => Ok(()),
        }
    }
}

impl From<Held> for JobsTurn {
    fn from(held: Held) -> Self {
        Self::new(held, Spent::default(), None)
    }
}
