//! Who reaches what: services and apps that are linked, rules of apps, and nobody else.

#![expect(clippy::unwrap_used, reason = "a panic is how tests fail")]

#[path = "links/apps.rs"]
mod apps;
#[path = "links/program.rs"]
mod program;
#[path = "links/rules.rs"]
mod rules;
#[path = "links/services.rs"]
mod services;
