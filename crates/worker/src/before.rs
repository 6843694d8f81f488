//! What an earlier process of this node has left in the rows.

use skylift_bus::{Bus, Message};
use skylift_durable::{Defence, left_out};
use skylift_model::{Clock, InstanceState};
use skylift_store::{End, InstanceRow, Store};

/// Ends the rows of instances that an earlier process ran on this node: they ended with it. To be done before an edge reads them,
/// which would lead somebody there. What the rows do not take now is ended as soon as they do.
pub async fn end_those_before(store: &Store, bus: &Bus, clock: &Clock, node: &str) {
    if left_out(Defence::LastRites) {
        return;
    }
    let rows = store.instances_on(node.to_owned()).await.unwrap_or_default();
    for InstanceRow { id, app, .. } in rows.into_iter().map(|input| input.instance).filter(served) {
        if store.instance_ended(id, End::default(), clock.now()).await.is_ok() {
            bus.publish(Message::RoutesChanged(app.clone()));
            bus.publish(Message::InstancesChanged(app));
        }
    }
}

/// Whether requests may be led to it.
fn served(row: &InstanceRow) -> bool {
    let is_up = matches!(row.state, InstanceState::Ready | InstanceState::Draining | InstanceState::Stopping);
    is_up && row.command.is_none()
}
