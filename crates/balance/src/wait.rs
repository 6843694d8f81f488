//! Waiting for a target: while none is ready, or while all are full.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::group::{Ask, Group, NoTarget};
use crate::in_flight::InFlight;

/// Why a request got no target though it would have waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unserved {
    /// More may not wait.
    #[error("as many requests wait as may wait")]
    Crowded,
    /// It has waited as long as it may.
    #[error("no instance was free within {} s", .waited.as_secs())]
    Expired { waited: Duration },
    /// Who could answer has failed this request, and nobody else has come.
    #[error("every instance that is ready was tried")]
    AllTried,
}

impl Group {
    /// Picks as [`Group::pick`] does; where nobody can take the request it waits its turn, first come first served, within the bounds of
    /// [`Parking`](crate::Parking). Whoever waits goes before whoever comes. One that all have failed waits for another to take their place.
    /// Dropping the future gives the place up.
    ///
    /// # Errors
    /// [`Unserved`]
    pub async fn pick_or_wait(&self, ask: &Ask<'_>, mut random: impl FnMut() -> u64) -> Result<InFlight, Unserved> {
        if ask.tried.is_empty() {
            self.0.traffic.arrive();
        }
        match self.pick_in_turn(ask, &mut random).await {
            Err(Unserved::AllTried) => self.pick_another(ask, &mut random).await,
            picked => picked,
        }
    }

    pub(crate) async fn pick_in_turn(
        &self,
        ask: &Ask<'_>,
        random: &mut impl FnMut() -> u64,
    ) -> Result<InFlight, Unserved> {
        let began = Instant::now();
        if self.0.lot.len() == 0 {
            match self.pick(ask, began.into_std(), random()) {
                Ok(picked) => return Ok(picked),
                Err(NoTarget::AllTried) => return Err(Unserved::AllTried),
                Err(NoTarget::NoneReady | NoTarget::Full) => {}
            }
        }
        let (most, wait) = self.room();
        let ticket = self.0.lot.enter(most).map_err(|_| Unserved::Crowded)?;
        if self.ready() == 0 {
            self.0.tell_nobody();
        }
        loop {
            if timeout_at(began + wait, ticket.turn()).await.is_err() {
                return Err(Unserved::Expired { waited: wait });
            }
            match self.pick(ask, Instant::now().into_std(), random()) {
                Ok(picked) => return Ok(picked),
                Err(NoTarget::AllTried) => return Err(Unserved::AllTried),
                Err(NoTarget::NoneReady | NoTarget::Full) => {}
            }
        }
    }

    /// How many may wait now, and how long.
    fn room(&self) -> (usize, Duration) {
        let parking = self.settings().parking;
        match self.ready() {
            0 => (parking.while_none, parking.wait_while_none),
            ready => (parking.per_target.saturating_mul(ready), parking.wait),
        }
    }
}
