//! Node as a zygote.

use std::collections::BTreeMap;
use std::path::Path;

use super::{BESIDE_AT, ZygoteSpec};

/// Never looked up in `PATH`: what is found there may be a user's own.
const NODE: &str = "/usr/bin/node";
const SCRIPT: (&str, &[u8]) = ("zygote.js", include_bytes!("../../interpreters/node/zygote.js"));
/// Empty where it could not be compiled for the machine that this runs on.
const ADDON: (&str, &[u8]) = ("zygote.node", include_bytes!(concat!(env!("OUT_DIR"), "/zygote.node")));
/// Without threads for what a fork would then wait for: they are not in it. One is the least that Node starts.
const FLAGS: [&str; 2] = ["--single-threaded", "--v8-pool-size=1"];
/// What programs that run for moments require most.
const PRELOAD: &[&str] = &[
    "assert",
    "buffer",
    "child_process",
    "crypto",
    "events",
    "fs",
    "fs/promises",
    "net",
    "os",
    "path",
    "perf_hooks",
    "readline",
    "readline/promises",
    "stream",
    "string_decoder",
    "timers/promises",
    "tty",
    "url",
    "util",
    "worker_threads",
    "zlib",
];

impl ZygoteSpec {
    /// Node with the usual modules of its own. An [`crate::Order`] for it names the user's file and its arguments. `None` where this was not
    /// built for it.
    pub fn node() -> Option<Self> {
        let (name, addon) = ADDON;
        if addon.is_empty() {
            return None;
        }
        // As it finds itself in `/proc`, which it does not see here.
        let node = Path::new(NODE).canonicalize().unwrap_or_else(|_| NODE.into()).to_string_lossy().into_owned();
        let script = format!("{BESIDE_AT}/{}", SCRIPT.0);
        Some(Self {
            argv: std::iter::once(node).chain(FLAGS.map(str::to_owned)).chain([script]).collect(),
            env: [("LC_ALL", "C.UTF-8".to_owned()), ("LD_PRELOAD", format!("{BESIDE_AT}/{name}"))]
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
            script: Vec::new(),
            beside: BTreeMap::from([SCRIPT, ADDON].map(|(name, bytes)| (name.to_owned(), bytes.to_vec()))),
            preload: PRELOAD.iter().map(|name| (*name).to_owned()).collect(),
            limits: super::LIMITS,
            group_prefix: "skylift".to_owned(),
        })
    }
}
