//! What `zygote.js` calls. Each is called by Node's main thread alone, with arguments that are looked at as far as they are used.

use core::ffi::{c_char, c_int, c_void};
use core::ptr;
use core::sync::atomic::{AtomicI32, Ordering};

use super::threads;
use super::unshared::Pipes;
use crate::c;
use crate::payload::Waiting;
use crate::zygote::{AroundForks, Zygote};

type Env = *mut c_void;
type Value = *mut c_void;
type Info = *mut c_void;
type Callback = extern "C" fn(Env, Info) -> Value;

const OK: c_int = 0;
/// Of properties: changed and removed as any other, and listed.
const USUAL: c_int = 1 | 2 | 4;
/// The same, not listed.
const METHOD: c_int = 1 | 4;

#[repr(C)]
struct Property {
    name: *const c_char,
    name_value: Value,
    method: Option<Callback>,
    getter: Option<Callback>,
    setter: Option<Callback>,
    value: Value,
    attributes: c_int,
    data: *mut c_void,
}

unsafe extern "C" {
    fn napi_add_env_cleanup_hook(env: Env, hook: extern "C" fn(*mut c_void), data: *mut c_void) -> c_int;
    fn napi_call_function(
        env: Env,
        this: Value,
        function: Value,
        count: usize,
        arguments: *const Value,
        result: *mut Value,
    ) -> c_int;
    fn napi_create_array(env: Env, result: *mut Value) -> c_int;
    fn napi_create_string_utf8(env: Env, text: *const u8, length: usize, result: *mut Value) -> c_int;
    fn napi_create_uint32(env: Env, number: u32, result: *mut Value) -> c_int;
    fn napi_define_properties(env: Env, object: Value, count: usize, properties: *const Property) -> c_int;
    fn napi_get_cb_info(
        env: Env,
        info: Info,
        count: *mut usize,
        arguments: *mut Value,
        this: *mut Value,
        data: *mut *mut c_void,
    ) -> c_int;
    fn napi_get_named_property(env: Env, object: Value, name: *const c_char, result: *mut Value) -> c_int;
    fn napi_get_prototype(env: Env, object: Value, result: *mut Value) -> c_int;
    fn napi_get_undefined(env: Env, result: *mut Value) -> c_int;
    fn napi_get_uv_event_loop(env: Env, result: *mut *mut c_void) -> c_int;
    fn napi_get_value_int32(env: Env, value: Value, result: *mut i32) -> c_int;
    fn napi_get_value_string_utf8(env: Env, value: Value, text: *mut u8, room: usize, length: *mut usize) -> c_int;
    fn napi_set_element(env: Env, object: Value, index: u32, value: Value) -> c_int;
    fn napi_throw_error(env: Env, code: *const c_char, message: *const c_char) -> c_int;
    fn napi_typeof(env: Env, value: Value, result: *mut c_int) -> c_int;
    fn pipe2(ends: *mut c_int, flags: c_int) -> c_int;
    fn uv_loop_fork(uv_loop: *mut c_void) -> c_int;
    fn uv_update_time(uv_loop: *mut c_void);
}

const O_CLOEXEC: c_int = 0o2_000_000;
/// Nothing of Node's knows that it is forked.
const AROUND_FORKS: AroundForks = AroundForks { before: || (), in_parent: || (), in_child: threads::forked };

/// Of the main thread alone.
static mut ZYGOTE: Option<Zygote> = None;
static mut WAITING: Option<Waiting> = None;
static mut PIPES: Pipes = Pipes::NONE;
/// With what the process ends, once that is sure.
static EXIT_CODE: AtomicI32 = AtomicI32::new(UNSURE);
const UNSURE: i32 = -1;

/// Where Node begins with an addon.
#[unsafe(no_mangle)]
extern "C" fn napi_register_module_v1(env: Env, exports: Value) -> Value {
    define(
        env,
        exports,
        USUAL,
        [
            (c"begin", begin),
            (c"pipe", pipe),
            (c"ready", ready),
            (c"fork", fork),
            (c"order", order),
            (c"processNumber", process_number),
            (c"endQuickly", end_quickly),
        ],
    );
    exports
}

/// Takes the socket; returns the host's first words.
extern "C" fn begin(env: Env, _: Info) -> Value {
    let mut words = [0; 4096];
    let begun = Zygote::new(AROUND_FORKS).and_then(|zygote| {
        let length = zygote.words(&mut words)?.len();
        // SAFETY: nobody else has it: this is the main thread, and no other function of this file is running.
        unsafe { *(&raw mut ZYGOTE) = Some(zygote) };
        Ok(length)
    });
    match begun {
        Ok(length) => text(env, words.get(..length).unwrap_or_default()),
        Err(_) => thrown(env, c"cannot become a zygote"),
    }
}

/// Both ends of a pipe, as numbers, which are then the script's.
extern "C" fn pipe(env: Env, _: Info) -> Value {
    let (mut ends, mut array) = ([-1; 2], ptr::null_mut());
    // SAFETY: writes two numbers; Node's own functions, with values that it has made in this call.
    unsafe {
        pipe2(ends.as_mut_ptr(), O_CLOEXEC);
        napi_create_array(env, &mut array);
        for (index, end) in (0..).zip(ends) {
            let mut number = ptr::null_mut();
            napi_create_uint32(env, end as u32, &mut number);
            napi_set_element(env, array, index, number);
        }
    }
    array
}

/// Says that forks can be had, once none would miss anything.
extern "C" fn ready(env: Env, _: Info) -> Value {
    while !threads::one_waits() {
        // SAFETY: watches nothing, for a millisecond.
        unsafe { c::poll(ptr::null_mut(), 0, 1) };
    }
    // SAFETY: as in `begin`.
    unsafe {
        *(&raw mut PIPES) = Pipes::now();
        if let Some(zygote) = &*(&raw const ZYGOTE) {
            zygote.tell_ready();
        }
    }
    undefined(env)
}

/// Returns in each fork, and there alone, as the how many-th it is. Its event loop is its own then.
extern "C" fn fork(env: Env, _: Info) -> Value {
    // SAFETY: as in `begin`.
    let Some(zygote) = (unsafe { &mut *(&raw mut ZYGOTE) }) else { return thrown(env, c"not begun") };
    let (number, waiting) = zygote.live();
    let mut result = ptr::null_mut();
    // SAFETY: as in `begin`; the loop is Node's own, and this is its thread.
    unsafe {
        if !waiting.shares && (*(&raw const PIPES)).unshare().is_err() {
            c::exit_now(127);
        }
        *(&raw mut WAITING) = Some(waiting);
        if uv_loop_fork(event_loop(env)) != OK {
            c::exit_now(127);
        }
        napi_create_uint32(env, number, &mut result);
    }
    result
}

/// Waits until the host says what the program is: the folder, how many arguments, those, and variables. Only now time goes on for its
/// timers.
extern "C" fn order(env: Env, _: Info) -> Value {
    // SAFETY: as in `begin`.
    let Some(waiting) = (unsafe { (*(&raw mut WAITING)).take() }) else { return thrown(env, c"not forked") };
    let fields = waiting.order();
    let mut array = ptr::null_mut();
    // SAFETY: Node's own functions, with values that it has made in this call.
    unsafe {
        napi_create_array(env, &mut array);
        for (index, field) in (0..).zip(fields.each()) {
            napi_set_element(env, array, index, text(env, field));
        }
        uv_update_time(event_loop(env));
    }
    array
}

/// Of this process, in the namespace that it lives in.
extern "C" fn process_number(env: Env, _: Info) -> Value {
    let mut number = ptr::null_mut();
    // SAFETY: takes nothing; and Node's own function.
    unsafe { napi_create_uint32(env, c::getpid() as u32, &mut number) };
    number
}

/// Of `process`: has it end as soon as that is all that is left to do. Node would take itself apart first, which nobody sees and takes longer
/// than most programs.
extern "C" fn end_quickly(env: Env, info: Info) -> Value {
    let (_, [process, ..], _) = called(env, info);
    define(env, process, USUAL, [(c"reallyExit", really_exit)]);
    define(env, process, METHOD, [(c"emit", emit)]);
    // SAFETY: the hook takes nothing.
    unsafe { napi_add_env_cleanup_hook(env, end, ptr::null_mut()) };
    undefined(env)
}

extern "C" fn really_exit(env: Env, info: Info) -> Value {
    let (_, [code, ..], _) = called(env, info);
    c::exit_now(number(env, code).unwrap_or_default())
}

/// As it is without this, but takes note of how the process ends when all has been told so. Node has no other place where that could be
/// known. It is no function of a script, and so in no trace of calls.
extern "C" fn emit(env: Env, info: Info) -> Value {
    let (count, arguments, this) = called(env, info);
    let (mut prototype, mut original, mut result) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    // SAFETY: Node's own functions; `count` is no more than there are.
    let done = unsafe {
        napi_get_prototype(env, this, &mut prototype) == OK
            && napi_get_named_property(env, prototype, c"emit".as_ptr(), &mut original) == OK
            && napi_call_function(env, this, original, count, arguments.as_ptr(), &mut result) == OK
    };
    if done && is_exit(env, arguments[0]) {
        EXIT_CODE.store(exit_code(env, this), Ordering::Relaxed);
    }
    // Where it has thrown, Node goes on with that.
    if done { result } else { ptr::null_mut() }
}

/// Called when nothing is left to do but to take Node apart. Where it is not sure how the process ends, that is done.
extern "C" fn end(_: *mut c_void) {
    let code = EXIT_CODE.load(Ordering::Relaxed);
    if code != UNSURE {
        c::exit_now(code);
    }
}

fn exit_code(env: Env, process: Value) -> i32 {
    let (mut code, mut kind) = (ptr::null_mut(), -1);
    // SAFETY: Node's own functions, with values that it has made in this call.
    unsafe {
        if napi_get_named_property(env, process, c"exitCode".as_ptr(), &mut code) != OK {
            return UNSURE;
        }
        napi_typeof(env, code, &mut kind);
    }
    const UNDEFINED: c_int = 0;
    if kind == UNDEFINED { 0 } else { number(env, code).map_or(UNSURE, |code| code & 0xff) }
}

fn is_exit(env: Env, name: Value) -> bool {
    let (mut text, mut length) = ([0; 8], 0);
    // SAFETY: writes no more than there is room for.
    let is_text = unsafe { napi_get_value_string_utf8(env, name, text.as_mut_ptr(), text.len(), &mut length) } == OK;
    is_text && text.starts_with(b"exit\0")
}

fn number(env: Env, value: Value) -> Option<i32> {
    let mut number = 0;
    // SAFETY: Node's own function; what is no number, it refuses.
    (unsafe { napi_get_value_int32(env, value, &mut number) } == OK).then_some(number)
}

/// How many arguments there are, those, and the object. What is missing is `undefined`, and what is beyond is left out.
fn called(env: Env, info: Info) -> (usize, [Value; ARGUMENTS], Value) {
    let (mut count, mut arguments, mut this) = (ARGUMENTS, [ptr::null_mut(); ARGUMENTS], ptr::null_mut());
    // SAFETY: Node's own function, which writes no more than the count says.
    unsafe { napi_get_cb_info(env, info, &mut count, arguments.as_mut_ptr(), &mut this, ptr::null_mut()) };
    (count.min(ARGUMENTS), arguments, this)
}

/// No event of Node's has as many.
const ARGUMENTS: usize = 16;

fn define<const N: usize>(env: Env, object: Value, attributes: c_int, functions: [(&core::ffi::CStr, Callback); N]) {
    let properties = functions.map(|(name, function)| Property {
        name: name.as_ptr(),
        name_value: ptr::null_mut(),
        method: Some(function),
        getter: None,
        setter: None,
        value: ptr::null_mut(),
        attributes,
        data: ptr::null_mut(),
    });
    // SAFETY: as many as there are; names end with a NUL.
    unsafe { napi_define_properties(env, object, N, properties.as_ptr()) };
}

fn event_loop(env: Env) -> *mut c_void {
    let mut found = ptr::null_mut();
    // SAFETY: Node's own function.
    unsafe { napi_get_uv_event_loop(env, &mut found) };
    found
}

fn text(env: Env, text: &[u8]) -> Value {
    let mut made = ptr::null_mut();
    // SAFETY: reads the slice alone.
    unsafe { napi_create_string_utf8(env, text.as_ptr(), text.len(), &mut made) };
    made
}

fn undefined(env: Env) -> Value {
    let mut found = ptr::null_mut();
    // SAFETY: Node's own function.
    unsafe { napi_get_undefined(env, &mut found) };
    found
}

fn thrown(env: Env, why: &core::ffi::CStr) -> Value {
    // SAFETY: the text ends with a NUL.
    unsafe { napi_throw_error(env, ptr::null(), why.as_ptr()) };
    ptr::null_mut()
}
