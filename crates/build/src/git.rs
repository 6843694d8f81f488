//! Git sources: the grammar of addresses and refs, and the clone.
