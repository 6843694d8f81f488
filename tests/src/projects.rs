//! Projects with real packages.
