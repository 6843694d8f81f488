//! A Git remote.
