//! How files leave a sandbox: one stream of framed entries.
