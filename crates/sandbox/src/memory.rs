//! How our own process gives memory back. It lies here because this crate is where unsafe code is allowed.

/// How many heaps threads share. Each keeps what was freed in its middle.
const HEAPS: libc::c_int = 2;
/// Larger pieces are asked of the kernel one by one and go back at once. Above the 128 KiB in which files are streamed.
const OWN_MAPPING_BYTES: libc::c_int = 256 << 10;
/// How much may stay free at the top of a heap.
const KEPT_BYTES: libc::c_int = 128 << 10;

/// Makes the C library give freed memory back to the kernel. To be called before other threads are started.
///
/// Compressing takes megabytes for moments, on whichever thread is free. Left alone, glibc learns from the first of
/// them to keep pieces up to 32 MiB, in a heap for every thread (docs/decisions/0008). Elsewhere this does nothing.
#[cfg_attr(target_env = "gnu", expect(unsafe_code, reason = "mallopt has no safe form"))]
pub fn give_freed_memory_back() {
    #[cfg(target_env = "gnu")]
    for (what, value) in
        [(libc::M_ARENA_MAX, HEAPS), (libc::M_MMAP_THRESHOLD, OWN_MAPPING_BYTES), (libc::M_TRIM_THRESHOLD, KEPT_BYTES)]
    {
        // SAFETY: takes two integers and touches only the allocator's own settings. A value it does not take, it leaves.
        unsafe { libc::mallopt(what, value) };
    }
}
