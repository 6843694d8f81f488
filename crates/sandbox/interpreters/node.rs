//! What a Node process needs to become a zygote and its forks programs: an addon of Node, which is also loaded before Node itself, to take the
//! place of some functions of the C library. `node/zygote.js` is the other half of it, and says what happens when.
//!
//! Compiled by this crate's build script and carried within it. Without the standard library: it is mapped by every program that is
//! forked, and needs nothing of it. What it calls is Node's and the C library's.

#![no_std]
#![deny(unsafe_op_in_unsafe_fn)]

mod c;
mod descriptor;
mod messages;
mod payload;
mod zygote;
mod node {
    mod addon;
    mod replaced;
    mod threads;
    mod unshared;
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    c::exit_now(127)
}
