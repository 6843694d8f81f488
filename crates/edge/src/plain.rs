//! Plain requests: what is one, what is noted of it, and how its answer leaves. [`crate::fast`] answers those for files, and
//! [`crate::relay`] has instances answer the others.

pub(crate) mod judge;
pub(crate) mod note;
pub(crate) mod write;
