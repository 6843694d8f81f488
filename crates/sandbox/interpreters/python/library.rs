//! What `zygote.py` calls, from its only thread, and as `ctypes.PyDLL` does: nobody else runs Python meanwhile.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr;

use crate::c;
use crate::payload::Fields;
use crate::zygote::{AroundForks, Zygote};

unsafe extern "C" {
    safe fn PyOS_BeforeFork();
    safe fn PyOS_AfterFork_Parent();
    safe fn PyOS_AfterFork_Child();

    fn chdir(path: *const c_char) -> c_int;
    fn closedir(folder: *mut c_void) -> c_int;
    fn opendir(path: *const c_char) -> *mut c_void;
    fn putenv(variable: *mut c_char) -> c_int;
    fn readdir(folder: *mut c_void) -> *mut c_void;
    fn realpath(path: *const c_char, into: *mut c_char) -> *mut c_char;
}

/// What Python does around each `os.fork()` (Python/C API, "Operating System Utilities").
const AROUND_FORKS: AroundForks = AroundForks {
    before: || PyOS_BeforeFork(),
    in_parent: || PyOS_AfterFork_Parent(),
    in_child: || PyOS_AfterFork_Child(),
};

/// Of the only thread.
static mut ZYGOTE: Option<Zygote> = None;

/// Takes the socket. Puts the host's first words where there is room for so many bytes, and returns how many they are, or -1.
///
/// # Safety
/// There is that room.
#[unsafe(no_mangle)]
unsafe extern "C" fn zygote_begin(words: *mut u8, room: usize) -> isize {
    // SAFETY: as asked for; `ctypes` has filled it.
    let words = unsafe { core::slice::from_raw_parts_mut(words, room) };
    let begun = Zygote::new(AROUND_FORKS).and_then(|zygote| {
        let length = zygote.words(words)?.len();
        // SAFETY: this is the only thread, and no other function of this file is running.
        unsafe { *(&raw mut ZYGOTE) = Some(zygote) };
        Ok(length)
    });
    begun.map_or(-1, |length| length as isize)
}

/// What a fork is to be: texts, which stay.
#[repr(C)]
pub struct Program {
    /// The user's file.
    path: *const c_char,
    /// The same where that is no link, or null.
    real_path: *const c_char,
    /// So many arguments, and then variables, which end with a NUL each.
    fields: *const u8,
    fields_bytes: usize,
    arguments: usize,
    /// Whether there is anything beside the user's file, or may be: 1 or 0.
    has_company: c_int,
}

/// Says that forks can be had, and lives as a zygote. Returns in each fork, and there alone, once the host has said what the program is: 0,
/// or -1 where this is no zygote. The fork is in the program's folder then and has its limits and variables.
///
/// # Safety
/// One can be written there.
#[unsafe(no_mangle)]
unsafe extern "C" fn zygote_live(program: *mut Program) -> c_int {
    // SAFETY: as in `zygote_begin`.
    let Some(zygote) = (unsafe { &mut *(&raw mut ZYGOTE) }) else { return -1 };
    zygote.tell_ready();
    let (_, waiting) = zygote.live();
    match become_program(&waiting.order()) {
        Some(made) => {
            // SAFETY: as asked for.
            unsafe { program.write(made) };
            0
        }
        None => c::exit_now(127),
    }
}

/// Linux, include/uapi/linux/limits.h.
const PATH_MAX: usize = 4096;
static mut PATH: [u8; PATH_MAX] = [0; PATH_MAX];
static mut REAL_PATH: [u8; PATH_MAX] = [0; PATH_MAX];

/// Nothing where it cannot be.
fn become_program(order: &Fields) -> Option<Program> {
    let mut fields = order.each();
    let (folder, count, file) = (fields.next()?, fields.next()?, fields.next()?);
    let arguments: usize = core::str::from_utf8(count).ok()?.parse().ok()?;
    // SAFETY: all that is pointed to ends with a NUL, as fields do, and stays, as the whole order does; this is the only thread.
    unsafe {
        if chdir(folder.as_ptr().cast()) != 0 {
            return None;
        }
        for variable in fields.skip(arguments.saturating_sub(1)) {
            putenv(variable.as_ptr().cast_mut().cast());
        }
        let path = join(folder, file, &mut *(&raw mut PATH))?;
        // A plain reference is to the oldest of that name, which makes no room by itself.
        let real_path = realpath(path, (&raw mut REAL_PATH).cast());
        let left = order.0;
        let before = file.as_ptr().offset_from(left.as_ptr());
        let left = left.get(usize::try_from(before).ok()?..)?;
        Some(Program {
            path,
            real_path,
            fields: left.as_ptr(),
            fields_bytes: left.len(),
            arguments,
            has_company: c_int::from(has_company(real_path)),
        })
    }
}

/// A folder names itself, the one above, and the file.
const ALONE: usize = 3;

/// Whether a folder has more than the file.
///
/// # Safety
/// It is a text that ends with a NUL, or null.
unsafe fn has_company(file: *const c_char) -> bool {
    if file.is_null() {
        return true;
    }
    // SAFETY: as asked for.
    let file = unsafe { CStr::from_ptr(file) }.to_bytes();
    let folder = file.rsplitn(2, |byte| *byte == b'/').nth(1).unwrap_or_default();
    let mut path = [0; PATH_MAX];
    let Some(folder) = join(folder, b"", &mut path) else { return true };
    // SAFETY: the path ends with a NUL; what is opened is closed, and not used after.
    unsafe {
        let opened = opendir(folder);
        if opened.is_null() {
            return true;
        }
        let names = (0..=ALONE).take_while(|_| !readdir(opened).is_null()).count();
        closedir(opened);
        names > ALONE
    }
}

/// As the folder's, where it is not its own already.
fn join(folder: &[u8], file: &[u8], into: &mut [u8]) -> Option<*const c_char> {
    let (folder, slash): (&[u8], &[u8]) = if file.starts_with(b"/") { (b"", b"") } else { (folder, b"/") };
    let mut at = 0;
    for part in [folder, slash, file, b"\0"] {
        into.get_mut(at..at + part.len())?.copy_from_slice(part);
        at += part.len();
    }
    Some(into.as_ptr().cast())
}
