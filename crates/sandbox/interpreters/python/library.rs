//! What `zygote.py` calls, from its only thread, and as `ctypes.PyDLL` does: nobody else runs Python meanwhile.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr;

use crate::c;
use crate::payload::Fields;
use crate::zygote::{AroundForks, Zygote};

/// An object of Python's, or a state of one of its threads.
type Object = *mut c_void;

// Python's C API, as all versions since 3.7 have it.
unsafe extern "C" {
    fn PyDict_Update(into: Object, from: Object) -> c_int;
    fn PyErr_Fetch(kind: *mut Object, value: *mut Object, traceback: *mut Object);
    fn PyErr_NormalizeException(kind: *mut Object, value: *mut Object, traceback: *mut Object);
    fn PyErr_Print();
    fn PyEval_EvalCode(code: Object, globals: Object, locals: Object) -> Object;
    fn PyEval_RestoreThread(state: Object);
    fn PyException_SetTraceback(error: Object, traceback: Object) -> c_int;
    fn PyInterpreterState_Main() -> Object;
    fn PyObject_CallFunctionObjArgs(called: Object, ...) -> Object;
    fn PyThreadState_Clear(state: Object);
    fn PyThreadState_Delete(state: Object);
    fn PyThreadState_DeleteCurrent();
    fn PyThreadState_GetDict() -> Object;
    fn PyThreadState_New(interpreter: Object) -> Object;
    fn PyThreadState_Swap(to: Object) -> Object;
    fn Py_DecRef(object: Object);
    fn Py_Exit(code: c_int) -> !;
    fn Py_IncRef(object: Object);
}

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

/// What is called in a fork, as Python's objects.
#[repr(C)]
pub struct Calls {
    /// Makes all ready, and returns the program's code.
    begin: Object,
    /// The names that the code has.
    names: Object,
    /// Tells what the program has raised, which it is given, and returns what it comes to.
    tell: Object,
    /// Waits for its threads.
    join: Object,
    /// Does what it has asked for at its exit.
    at_exit: Object,
    /// Ends the process; is given what `tell` has returned, if that was called.
    end: Object,
}

/// Says that forks can be had, and lives as a zygote. Returns where this is none. In each fork it writes what the program is, once the host
/// has said so; there it runs it, in the program's folder, with its limits and variables.
///
/// # Safety
/// One can be written there, and the objects are what they are said to be.
#[unsafe(no_mangle)]
unsafe extern "C" fn zygote_live(program: *mut Program, calls: *const Calls) {
    // SAFETY: as in `zygote_begin`.
    let Some(zygote) = (unsafe { &mut *(&raw mut ZYGOTE) }) else { return };
    zygote.tell_ready();
    let (_, waiting) = zygote.live();
    // SAFETY: as asked for; whoever called this is not returned to.
    unsafe {
        leave_callers();
        match become_program(&waiting.order()) {
            Some(made) => {
                program.write(made);
                run(&*calls)
            }
            None => c::exit_now(127),
        }
    }
}

/// Goes on as a thread that nothing was called in so far, since a program can see who has called it, and how deep it is. What callers had for
/// themselves as a thread it has as well.
///
/// # Safety
/// No caller is returned to: what they had is gone.
unsafe fn leave_callers() {
    // SAFETY: this thread holds the interpreter, as `ctypes.PyDLL` leaves it.
    unsafe {
        let own = PyThreadState_GetDict();
        Py_IncRef(own);
        let interpreter = PyInterpreterState_Main();
        let between = PyThreadState_New(interpreter);
        // Not cleared before, which would tell others that the thread has ended, and write to all that its callers hold.
        PyThreadState_DeleteCurrent();
        PyEval_RestoreThread(between);
        // The first that is made while this thread has none is the one that it is known by to `PyGILState_Ensure`, up to 3.11.
        PyThreadState_Swap(PyThreadState_New(interpreter));
        PyThreadState_Clear(between);
        PyThreadState_Delete(between);
        let new = PyThreadState_GetDict();
        if !own.is_null() && !new.is_null() {
            PyDict_Update(new, own);
        }
    }
}

/// Runs the program, to the end of the process.
///
/// # Safety
/// The objects are what they are said to be.
unsafe fn run(calls: &Calls) -> ! {
    // SAFETY: as asked for. What is returned is kept.
    unsafe {
        let code = PyObject_CallFunctionObjArgs(calls.begin, ptr::null_mut::<c_void>());
        if !code.is_null() {
            let is_well = !PyEval_EvalCode(code, calls.names, calls.names).is_null();
            let told = if is_well { ptr::null_mut() } else { tell(calls) };
            if is_well || !told.is_null() {
                // Each by itself, so that none is seen to have called what the program has left there.
                for last in [calls.join, calls.at_exit] {
                    if PyObject_CallFunctionObjArgs(last, ptr::null_mut::<c_void>()).is_null() {
                        PyErr_Print();
                    }
                }
                PyObject_CallFunctionObjArgs(calls.end, told, ptr::null_mut::<c_void>());
            }
        }
        // What is called does not return, and raises nothing, where it can do what it is to do.
        PyErr_Print();
        Py_Exit(1)
    }
}

/// Has what was raised told. Nobody holds it then, nor what was under way: that ends before the program does.
///
/// # Safety
/// Something was raised.
unsafe fn tell(calls: &Calls) -> Object {
    let (mut kind, mut error, mut traceback) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    // SAFETY: as asked for; all three are this function's own.
    unsafe {
        PyErr_Fetch(&raw mut kind, &raw mut error, &raw mut traceback);
        PyErr_NormalizeException(&raw mut kind, &raw mut error, &raw mut traceback);
        if !traceback.is_null() {
            PyException_SetTraceback(error, traceback);
        }
        let told = PyObject_CallFunctionObjArgs(calls.tell, error, ptr::null_mut::<c_void>());
        [kind, error, traceback].into_iter().for_each(|held| Py_DecRef(held));
        told
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
