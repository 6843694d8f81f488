//! What tests run against: a real Redis, a real PostgreSQL, a real S3 server (SeaweedFS), a fake S3 that fails on demand, a
//! real Docker engine, two servers that speak DynamoDB's protocol, and two that speak SQS's.
//!
//! Each has a port and a folder of its own and ends with its test. One that is not installed is skipped, and said so;
//! `scripts/setup.sh` installs them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    clippy::unwrap_in_result,
    clippy::panic_in_result_fn,
    reason = "all of this is for tests: a panic is how they fail"
)]

mod docker;
mod dynamo;
mod fake_s3;
mod pooler;
mod postgres;
mod process;
mod redis;
mod seaweed;
mod sqs;

pub use docker::Docker;
use std::hash::{BuildHasher, Hasher, RandomState};

pub use dynamo::Dynamo;
pub use fake_s3::{FakeS3, Trouble};
pub use pooler::Pooler;
pub use postgres::Postgres;
pub use redis::Redis;
pub use seaweed::Seaweed;
pub use sqs::Sqs;

#[expect(clippy::print_stderr, reason = "a test that did not run must not look as if it had")]
fn skipped(what: &str) {
    assert!(std::env::var_os("SKYLIFT_NEED_PEERS").is_none(), "{what} is not installed; run `make setup`");
    eprintln!("SKIPPED: {what} is not installed; `make setup` installs it");
}

/// A port that was free a moment ago. Below those that the kernel gives to whoever connects: who ends and starts again has it again.
pub fn free_port() -> u16 {
    let any = || 10_000 + RandomState::new().build_hasher().finish() % 20_000;
    let ports = std::iter::repeat_with(any).filter_map(|port| u16::try_from(port).ok());
    let mut free = ports.filter(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.next().expect("there is no end of them")
}
