//! Which commands of `skylift run` are followed by the client that asked for them.
//!
//! Such a command ends with its client: nobody is left who would read what it prints or could interrupt it. A client that lost its
//! connection comes back within a time; only once that is over it has gone. Whoever asked for a command without following it so is not
//! waited for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use skylift_bus::Message;
use skylift_model::{InstanceId, InstanceState, chain};
use skylift_store::Once;
use tokio::runtime::Handle;

use crate::services::Services;

/// The clients that are there. Cheap to clone; all clones are the same.
#[derive(Clone, Default)]
pub struct Attached(Arc<Mutex<HashMap<InstanceId, usize>>>);

impl Attached {
    fn join(&self, command: &InstanceId) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(command.clone()).or_default() += 1;
    }

    fn leave(&self, command: &InstanceId) {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = clients.get_mut(command) {
            *count = count.saturating_sub(1);
        }
        clients.retain(|_, count| *count > 0);
    }

    fn is_alone(&self, command: &InstanceId) -> bool {
        !self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(command)
    }
}

/// A client that follows its command. Dropped where its connection ends.
pub(crate) struct Client {
    services: Arc<Services>,
    command: InstanceId,
}

impl Client {
    pub(crate) fn join(services: Arc<Services>, command: InstanceId) -> Self {
        services.attached.join(&command);
        Self { services, command }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.services.attached.leave(&self.command);
        let Ok(runtime) = Handle::try_current() else { return };
        runtime.spawn(end_where_alone(self.services.clone(), self.command.clone(), self.services.run_alone));
    }
}

async fn end_where_alone(services: Arc<Services>, command: InstanceId, after: Duration) {
    tokio::time::sleep(after).await;
    let is_over = async || match services.store.instance(command.clone()).await {
        Ok(row) => matches!(row.state, InstanceState::Stopping | InstanceState::Ended),
        Err(_) => true,
    };
    if !services.attached.is_alone(&command) || is_over().await {
        return;
    }
    tracing::info!(instance.id = %command, "ending a command whose client has gone");
    match services.store.end_instance(command.clone(), Once::default(), services.clock.now()).await {
        Ok(done) => {
            if let skylift_store::Done::Now(row, _) = done {
                services.bus.publish(Message::InstancesChanged(row.app));
            }
        }
        Err(error) => tracing::warn!(instance.id = %command, error = %chain(&error), "cannot end a command"),
    }
}

#[cfg(test)]
mod tests {
    use skylift_model::Timestamp;

    use super::*;

    #[test]
    fn a_command_is_alone_once_the_last_of_its_clients_has_left() {
        let (attached, [one, other]) =
            (Attached::default(), [1, 2].map(|number| InstanceId::new(Timestamp::from_millis(0), number)));
        assert!(attached.is_alone(&one));
        attached.join(&one);
        // Its client comes back before the old connection is known to have ended.
        attached.join(&one);
        attached.leave(&one);
        assert!(!attached.is_alone(&one) && attached.is_alone(&other));
        attached.leave(&other);
        attached.leave(&one);
        assert!(attached.is_alone(&one));
    }
}
