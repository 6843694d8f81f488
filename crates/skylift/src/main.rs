//! One executable: the first word picks the role.
fn main() {}
