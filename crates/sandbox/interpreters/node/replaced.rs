//! Functions of the C library that are ours in a Node zygote and its forks, besides those of threads.

use core::ffi::{c_int, c_long, c_void};

use crate::c;

const MADV_DONTFORK: c_int = 10;

/// V8 asks for its heap not to be in forks. Here it has to be.
#[unsafe(no_mangle)]
extern "C" fn madvise(address: *mut c_void, length: usize, advice: c_int) -> c_int {
    if advice == MADV_DONTFORK {
        return 0;
    }
    // SAFETY: what the caller says, in the kernel's own form.
    unsafe { c::syscall(c::MADVISE, address, length, c_long::from(advice)) as c_int }
}

/// Waits for whoever waits at it, and else does nothing. In a fork the zygote's other threads, which waited there, are no more, and Node would
/// wait for ever at its end.
#[unsafe(no_mangle)]
extern "C" fn pthread_cond_destroy(_condition: *mut c_void) -> c_int {
    0
}

/// The same, but that it refuses, and Node would give up.
#[unsafe(no_mangle)]
extern "C" fn pthread_mutex_destroy(_mutex: *mut c_void) -> c_int {
    0
}
