//! What keeps Git to itself wherever the platform runs it.

/// Variables that keep the machine's own settings and attributes away from Git, and Git from asking anybody.
pub const ISOLATION: &[(&str, &str)] = &[
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_ATTR_NOSYSTEM", "1"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_ASKPASS", "/bin/true"),
    ("GIT_OPTIONAL_LOCKS", "0"),
];
