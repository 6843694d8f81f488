//! What our two processes keep of the executable while they do nothing but wait.
//!
//! Setting up a sandbox touches megabytes of a large executable: its table of relocations, most of all. Those pages are the
//! same for all and come back from the page cache when they are needed again.

/// Lets go of all pages of the executable that were only read.
#[expect(unsafe_code, reason = "the loaded segments are known to the C library alone, and madvise has no safe form")]
pub(super) fn forget_what_was_only_read() {
    unsafe extern "C" fn each(info: *mut libc::dl_phdr_info, _: libc::size_t, _: *mut libc::c_void) -> libc::c_int {
        // SAFETY: the C library passes a structure that is valid for the length of the call, and a pointer to as many
        // headers as it says.
        let (base, headers) = unsafe {
            let info = &*info;
            (info.dlpi_addr, std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()))
        };
        for header in headers.iter().filter(|header| header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_W == 0)
        {
            forget(base + header.p_vaddr, header.p_memsz);
        }
        1 // The executable is the first; its libraries are small.
    }
    // SAFETY: the callback keeps no reference and does not unwind.
    unsafe { libc::dl_iterate_phdr(Some(each), std::ptr::null_mut()) };
}

/// Addresses and lengths as program headers have them, which begin and end within a page.
///
/// The C library knows the page size from the start. Others read it from `/proc/self/auxv`, where a process that may not be
/// looked at, such as this one, finds nothing on kernels before 6.4.
#[expect(unsafe_code, reason = "neither call has a safe form")]
fn forget(address: u64, length: u64) {
    // SAFETY: asks for a number.
    let Ok(page @ 1..) = u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }) else { return };
    let begin = address / page * page;
    // SAFETY: whole pages of a mapping of the executable's file that nothing can write to. Whoever reads there next is given
    // the same bytes from the file, so no reference into it notices.
    unsafe { libc::madvise(begin as *mut libc::c_void, (address + length - begin) as usize, libc::MADV_DONTNEED) };
}
