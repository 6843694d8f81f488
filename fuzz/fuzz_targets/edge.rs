//! The edge's fast path against the strict implementation: the same verdict and the same bytes for whatever is sent.
//!
//! The first two bytes say where the rest is cut in two, so that heads arrive in pieces.

#![no_main]

use std::cell::OnceCell;

use libfuzzer_sys::fuzz_target;
use skylift_edge::differential::Pair;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

struct Bench {
    runtime: Runtime,
    pair: Pair,
    _folder: TempDir,
}

thread_local! {
    static BENCH: OnceCell<Bench> = const { OnceCell::new() };
}

fn start() -> Bench {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let pair = runtime.block_on(Pair::new(folder.path()));
    Bench { runtime, pair, _folder: folder }
}

fuzz_target!(|data: &[u8]| {
    BENCH.with(|bench| {
        let bench = bench.get_or_init(start);
        let compared = bench.runtime.block_on(bench.pair.compare_fuzzed(data));
        assert!(
            compared.agree(),
            "fast: {}\nstrict: {}",
            String::from_utf8_lossy(&compared.fast),
            String::from_utf8_lossy(&compared.strict)
        );
    });
});
