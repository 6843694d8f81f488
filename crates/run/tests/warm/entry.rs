//! Lets the test executable be started again as `sandbox-init`, and with the switch that it needs, before the test harness sees its arguments.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Which defence is left out: debug builds read it once.
const SWITCH: (&str, &str) = ("SKYLIFT_CRASH_WEAKEN", "no-node-fork");

#[expect(unsafe_code, reason = "there is no safe way to run before the harness's main")]
// SAFETY: the section holds pointers to functions of this type, which the C library calls once before main, with one
// thread; the standard library's arguments are set up by an earlier entry of the same section.
#[unsafe(link_section = ".init_array.90000")]
#[used]
static ENTRY: extern "C" fn() = {
    extern "C" fn entry() {
        if std::env::args().nth(1).as_deref() == Some("sandbox-init") {
            skylift_sandbox::init_main();
        }
        let (name, value) = SWITCH;
        if std::env::var_os(name).is_none() {
            let own = std::env::current_exe().unwrap();
            // Returns only where that fails; then the tests say that nothing is started ahead.
            let _ = Command::new(own).args(std::env::args_os().skip(1)).env(name, value).exec();
        }
    }
    entry
};
