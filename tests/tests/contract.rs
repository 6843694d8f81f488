//! What scripts and operators rely on: the start, the data folder, exit codes, and the API's manners.

#![expect(clippy::unwrap_used, reason = "a panic is how tests fail")]

#[path = "contract/api.rs"]
mod api;
#[path = "contract/command_line.rs"]
mod command_line;
#[path = "contract/idempotency.rs"]
mod idempotency;
#[path = "contract/json.rs"]
mod json;
#[path = "contract/keys.rs"]
mod keys;
#[path = "contract/start.rs"]
mod start;
#[path = "contract/uploads.rs"]
mod uploads;
