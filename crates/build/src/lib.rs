//! From a source to an artifact: intake, detect → plan → run → output.

pub mod app_config;
mod blob_sink;
pub mod builder;
pub mod cell;
mod checkout;
pub mod client;
mod compress;
pub mod detect;
pub mod equipment;
pub mod frames;
pub mod git;
mod hashed;
mod install_env;
pub mod intake;
mod layer;
pub mod metrics;
pub mod packages;
pub mod settings;
mod site;
mod site_rules;
mod site_warnings;
pub mod toolchain;
pub mod unpack;
pub mod walk;
mod withheld;
