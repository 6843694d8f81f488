//! What a Python process needs to become a zygote and its forks programs: a library, which `python/zygote.py` loads and which does all that is
//! done between its forks and their programs. Python would write to some fifty more pages of each fork in doing the same, and in the zygote to a hundred for
//! each: pages that they share until then, and that are copied one by one.
//!
//! Compiled and carried as Node's addon is (`node.rs`), and made of the same parts. What it calls is Python's and the C library's.

#![no_std]
#![deny(unsafe_op_in_unsafe_fn)]

mod c;
mod descriptor;
mod messages;
mod payload;
mod zygote;
mod python {
    mod library;
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    c::exit_now(127)
}
