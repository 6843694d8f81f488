//! From a source to an artifact: intake, detect → plan → run → output.

pub mod app_config;
pub mod detect;
pub mod frames;
pub mod git;
pub mod unpack;
pub mod walk;
