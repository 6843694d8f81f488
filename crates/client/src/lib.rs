//! Skylift's Rust SDK: a typed client of the HTTP API under `/v1`, and what turns a folder into an upload.
//!
//! [`Client`] speaks to one server with one token. [`folder`] walks and hashes a folder; [`upload`] sends what the
//! server lacks of it. Nothing here prints, reads the environment or keeps a global state.

pub mod archive;
pub mod base_url;
pub mod client;
mod connect;
pub mod error;
pub mod folder;
pub mod follow;
mod idempotency;
mod request;
mod retry;
pub mod sse;
mod tls;
pub mod upload;

pub use archive::ArchiveKind;
pub use base_url::BaseUrl;
pub use client::{Client, Output, Printed, Sends, Told};
pub use error::ClientError;
pub use folder::{Folder, FolderError};
pub use follow::Follow;
