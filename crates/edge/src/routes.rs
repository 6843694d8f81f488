//! Which host leads where, kept current, and kept on disk for bad times.

pub(crate) mod apply;
pub(crate) mod due;
pub(crate) mod follow;
pub(crate) mod last_good;
pub(crate) mod origin;
pub(crate) mod source;
pub(crate) mod state;
pub(crate) mod table;
pub(crate) mod told;
pub(crate) mod view;
