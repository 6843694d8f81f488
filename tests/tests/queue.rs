//! The queue of deploys (threats 81 to 85 and 88): nothing acknowledged is lost, done twice or stuck.

#![expect(clippy::unwrap_used, reason = "a panic is how tests fail")]

#[path = "queue/cancel.rs"]
mod cancel;
#[path = "queue/crash.rs"]
mod crash;
#[path = "queue/order.rs"]
mod order;
