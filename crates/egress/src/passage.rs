//! Ways from a guest's own network to one place each: what the platform's owner opens to it, wherever that is.
//!
//! Only the place itself is reached, never another port or host beside it: what a guest asks for decides nothing but which
//! passage it is.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::gateway::Way;
use crate::host::{HostName, Target};
use crate::relay::chain;
use crate::splice::{Metered, splice};

/// Clients keep connections to databases for long without a word; a guest holds no more than [`crate::Limits`] say.
const IDLE: Duration = Duration::from_secs(24 * 3600);

/// A passage.
#[derive(Clone)]
pub struct Passage {
    /// What it is called where its connections are counted.
    pub name: String,
    /// The name that the guest asks for, where it has one: answered whatever the policy says.
    pub asked_as: Option<HostName>,
    pub leads: Leads,
}

/// Where a passage leads.
#[derive(Clone)]
pub enum Leads {
    /// To a host and a port.
    To(Target, u16),
    /// To somebody in this process, who has each connection for as long as the future lasts; `false` where nobody
    /// takes it.
    Taken(Arc<dyn Take>),
}

/// Takes connections of guests.
pub trait Take: Send + Sync {
    /// Takes one until it has ended.
    fn take(&self, guest: TcpStream) -> Taking<'_>;
}

/// A connection that somebody has.
pub type Taking<'t> = Pin<Box<dyn Future<Output = bool> + Send + 't>>;

/// Carries one connection to where the passage leads, or resets it.
pub(crate) async fn serve(way: &Way, guest: TcpStream, Passage { name, leads, .. }: &Passage) {
    let (target, port) = match leads {
        Leads::To(target, port) => (target, port),
        Leads::Taken(by) => {
            way.book.passed(name.clone());
            if !by.take(guest).await {
                way.book.dropped(name.clone(), "nobody takes it");
            }
            return;
        }
    };
    match way.exit.open_named(target, *port).await {
        Ok(outer) => {
            way.book.passed(name.clone());
            let _unless_gone = (guest.set_nodelay(true), outer.set_nodelay(true));
            let outer = Metered::new(outer, Arc::clone(&way.tally));
            if let Err(error) = splice(guest, outer, IDLE).await {
                tracing::debug!(%target, port, %error, "carry a guest's connection to a service");
            }
        }
        Err(error) => {
            let _best_effort = guest.set_zero_linger();
            way.book.dropped(name.clone(), "the service does not answer");
            tracing::warn!(%target, port, error = %chain(&error), "a service that an app links cannot be reached");
        }
    }
}
