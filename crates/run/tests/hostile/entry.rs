//! Lets the test executable be started again as `sandbox-init`, or as a host that is to be killed, before the test harness sees its arguments.

#[expect(unsafe_code, reason = "there is no safe way to run before the harness's main")]
// SAFETY: the section holds pointers to functions of this type, which the C library calls once before main, with one
// thread; the standard library's arguments are set up by an earlier entry of the same section.
#[unsafe(link_section = ".init_array.90000")]
#[used]
static ENTRY: extern "C" fn() = {
    extern "C" fn entry() {
        match std::env::args().nth(1).as_deref() {
            Some("sandbox-init") => skylift_sandbox::init_main(),
            Some("be-a-host") => crate::killed::be_a_host(),
            _ => {}
        }
    }
    entry
};
