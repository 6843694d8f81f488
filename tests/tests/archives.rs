//! Archives as bodies: good ones of every kind, and hostile ones, of which nothing stays.

#![expect(clippy::unwrap_used, reason = "a panic is how tests fail")]

#[path = "archives/cut.rs"]
mod cut;
#[path = "archives/good.rs"]
mod good;
#[path = "archives/hostile.rs"]
mod hostile;
#[path = "archives/size.rs"]
mod size;
