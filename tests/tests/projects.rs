//! Real projects with real packages.
