//! Python as a zygote.

use std::collections::BTreeMap;

use super::ZygoteSpec;

/// Never looked up in `PATH`: what is found there may be a user's own.
const PYTHON: &str = "/usr/bin/python3";
const SCRIPT: &[u8] = include_bytes!("python.py");
/// What programs that run for moments import most, and is not large. Nothing that imports `threading`, which does work of its own in
/// every fork, more than the kernel does.
const PRELOAD: &[&str] = &[
    "array",
    "bisect",
    "collections",
    "contextlib",
    "copy",
    "dataclasses",
    "datetime",
    "enum",
    "functools",
    "heapq",
    "io",
    "itertools",
    "json",
    "math",
    "operator",
    "random",
    "re",
    "string",
    "struct",
    "time",
    "typing",
];

impl ZygoteSpec {
    /// Debian's Python 3 with the usual modules of its library. An [`crate::Order`] for it names the user's file and its arguments.
    pub fn python() -> Self {
        Self {
            argv: vec![PYTHON.to_owned()],
            // The second has functions of libraries found once, here, and not by each payload.
            env: [("LC_ALL", "C.UTF-8"), ("LD_BIND_NOW", "1")].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
            script: SCRIPT.to_vec(),
            beside: BTreeMap::new(),
            preload: PRELOAD.iter().map(|name| (*name).to_owned()).collect(),
            limits: super::LIMITS,
            group_prefix: "skylift".to_owned(),
        }
    }
}
