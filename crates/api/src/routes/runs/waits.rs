//! What runs wait for besides their turn.

use std::collections::HashMap;

use skylift_model::TokenId;
use skylift_model::run::RunState;
use skylift_store::{HeldBack, RunRow};

use crate::error::ApiError;
use crate::guard::{Authorized, Runs as MayRun};

/// What the keys of some runs hold them back for; each is asked for once.
#[derive(Default)]
pub(super) struct Waits(HashMap<TokenId, Option<HeldBack>>);

impl Waits {
    /// Why this one waits, where it does and its key has it do so.
    pub(super) async fn of(&mut self, auth: &Authorized<MayRun>, row: &RunRow) -> Result<Option<String>, ApiError> {
        if row.state != RunState::Queued {
            return Ok(None);
        }
        let held_back = match self.0.get(&row.token) {
            Some(known) => *known,
            None => {
                let found = auth.store.held_back_by(row.token.clone(), auth.clock.now()).await?;
                self.0.insert(row.token.clone(), found);
                found
            }
        };
        Ok(held_back.map(|held_back| match held_back {
            HeldBack::AtOnce(most) => {
                format!("its key, of whose queued runs {most} go on, as many as may (`at_once`)")
            }
            HeldBack::Until(then) => {
                format!(
                    "its key, whose processor time of this day is used up (`cpu_s_per_day`); the next begins at {then}"
                )
            }
        }))
    }
}
