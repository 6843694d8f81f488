//! Python as a zygote.

use std::collections::BTreeMap;

use super::ZygoteSpec;

/// Never looked up in `PATH`: what is found there may be a user's own.
const PYTHON: &str = "/usr/bin/python3";
const SCRIPT: &[u8] = include_bytes!("../../interpreters/python/zygote.py");
/// Empty where it could not be compiled for the machine that this runs on.
const LIBRARY: (&str, &[u8]) = ("zygote.so", include_bytes!(concat!(env!("OUT_DIR"), "/zygote.so")));
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
    "resource",
    "select",
    "socket",
    "string",
    "struct",
    "time",
    "typing",
];

impl ZygoteSpec {
    /// Debian's Python 3 with the usual modules of its library. An [`crate::Order`] for it names the user's file and its arguments. `None` where
    /// this was not built for it.
    pub fn python() -> Option<Self> {
        let (name, library) = LIBRARY;
        if library.is_empty() {
            return None;
        }
        Some(Self {
            argv: vec![PYTHON.to_owned()],
            // The second has functions of libraries found once, here, and not by each payload.
            env: [("LC_ALL", "C.UTF-8"), ("LD_BIND_NOW", "1")].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
            script: SCRIPT.to_vec(),
            beside: BTreeMap::from([(name.to_owned(), library.to_vec())]),
            preload: PRELOAD.iter().map(|name| (*name).to_owned()).collect(),
            limits: super::LIMITS,
            group_prefix: "skylift".to_owned(),
        })
    }
}
