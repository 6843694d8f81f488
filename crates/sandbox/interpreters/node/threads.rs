//! Node's other threads, which a fork has not got: a fork goes on with them where they waited, once it has use for them.
//!
//! ```text
//! zygote: pthread_create ──▶ thread on a stack of ours ──▶ pthread_cond_wait, remembered: where it waits, and for what
//! fork:   pthread_cond_signal of what one of them waits for ──▶ a new thread takes over that stack, and returns from the wait
//! ```
//!
//! Node leaves little to them with the flags of a zygote, but a collection of garbage does, and at its end Node waits until all that is left to
//! them has been done.

use core::arch::global_asm;
use core::ffi::{CStr, c_int, c_long, c_void};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use core::{mem, ptr};

type Id = usize;
type Routine = extern "C" fn(*mut c_void) -> *mut c_void;
type Create = unsafe extern "C" fn(*mut Id, *const Attributes, Routine, *mut c_void) -> c_int;
type Join = unsafe extern "C" fn(Id, *mut *mut c_void) -> c_int;
type Wait = unsafe extern "C" fn(*mut c_void, *mut c_void) -> c_int;
type Init = unsafe extern "C" fn(*mut c_void, *const Attributes) -> c_int;
type Wake = unsafe extern "C" fn(*mut c_void) -> c_int;

/// Larger than the C library's on any machine.
#[repr(C, align(16))]
struct Attributes([u64; 16]);

/// A thread of the zygote.
#[repr(C)]
struct Thread {
    /// While it waits, how far its stack is in use; else 0.
    stack_used_to: AtomicUsize,
    condition: AtomicUsize,
    mutex: AtomicUsize,
    stack: AtomicUsize,
    id: AtomicUsize,
    routine: AtomicUsize,
    argument: AtomicUsize,
}

const STACK_BYTES: usize = 8 << 20;
const SYS_EXIT: c_long = 60;
static THREADS: [Thread; 16] = [const {
    Thread {
        stack_used_to: AtomicUsize::new(0),
        condition: AtomicUsize::new(0),
        mutex: AtomicUsize::new(0),
        stack: AtomicUsize::new(0),
        id: AtomicUsize::new(0),
        routine: AtomicUsize::new(0),
        argument: AtomicUsize::new(0),
    }
}; 16];
static STARTED: AtomicUsize = AtomicUsize::new(0);
static IS_FORK: AtomicBool = AtomicBool::new(false);

unsafe extern "C" {
    fn dlsym(library: *mut c_void, name: *const core::ffi::c_char) -> *mut c_void;
    fn mmap(at: *mut c_void, length: usize, protection: c_int, flags: c_int, fd: c_int, offset: i64) -> *mut c_void;
    fn pthread_attr_init(attributes: *mut Attributes) -> c_int;
    fn pthread_attr_setstack(attributes: *mut Attributes, stack: *mut c_void, length: usize) -> c_int;
    fn pthread_condattr_init(attributes: *mut Attributes) -> c_int;
    fn pthread_condattr_setclock(attributes: *mut Attributes, clock: c_int) -> c_int;
    fn pthread_mutex_init(mutex: *mut c_void, attributes: *const c_void) -> c_int;
    fn remembered_wait(condition: *mut c_void, mutex: *mut c_void, used_to: *const AtomicUsize, wait: Wait) -> c_int;
    fn return_from_wait(used_to: usize) -> !;
}

// `remembered_wait` keeps what a function has to keep and the mutex on the stack, says how far that is used, and waits. `return_from_wait` takes such
// a stack, locks the mutex as whoever returns from a wait has to, and returns in its place: for no reason, which waits may do at any time.
global_asm!(
    ".local remembered_wait",
    "remembered_wait:",
    "push rbx",
    "push rbp",
    "push r12",
    "push r13",
    "push r14",
    "push r15",
    "sub rsp, 24",
    "mov [rsp], rsi",
    "mov [rsp + 8], rdx",
    "mov [rdx], rsp",
    "call rcx",
    "mov rdx, [rsp + 8]",
    "mov qword ptr [rdx], 0",
    "jmp 2f",
    ".local return_from_wait",
    "return_from_wait:",
    "mov rsp, rdi",
    "mov rdi, [rsp]",
    "call qword ptr [rip + pthread_mutex_lock@GOTPCREL]",
    "xor eax, eax",
    "2:",
    "add rsp, 24",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rbp",
    "pop rbx",
    "ret",
);

fn all() -> impl Iterator<Item = &'static Thread> {
    THREADS.iter().take(STARTED.load(Ordering::Acquire))
}

/// Whether some thread waits where a fork could go on with it. Those that wait otherwise are never asked for anything.
pub(super) fn one_waits() -> bool {
    all().any(|thread| thread.stack_used_to.load(Ordering::Acquire) != 0)
}

/// In a fork: nobody waits for anything or has locked anything.
pub(super) fn forked() {
    IS_FORK.store(true, Ordering::Release);
    for thread in all().filter(|thread| thread.stack_used_to.load(Ordering::Acquire) != 0) {
        let at = |place: &AtomicUsize| ptr::with_exposed_provenance_mut::<c_void>(place.load(Ordering::Acquire));
        const MONOTONIC: c_int = 1;
        let mut attributes = Attributes([0; 16]);
        // SAFETY: both are where they were, and this is the only thread. The clock is the one that libuv asks for.
        unsafe {
            pthread_condattr_init(&mut attributes);
            pthread_condattr_setclock(&mut attributes, MONOTONIC);
            // By this way the newest of that name: to one that is called plainly the linker gives the oldest, of a time when these were smaller.
            let init: Init = mem::transmute(next(c"pthread_cond_init"));
            init(at(&thread.condition), &attributes);
            pthread_mutex_init(at(&thread.mutex), ptr::null());
        }
    }
}

/// On a stack that is not the C library's, which would give it to a fork's next thread; by its address threads are known.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_create(
    id: *mut Id,
    given: *const Attributes,
    routine: Routine,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: it is the C library's function of that name.
    let create: Create = unsafe { mem::transmute(next(c"pthread_create")) };
    let number = STARTED.load(Ordering::Acquire);
    let (Some(thread), false) = (THREADS.get(number), IS_FORK.load(Ordering::Acquire)) else {
        // SAFETY: what the caller says.
        return unsafe { create(id, given, routine, argument) };
    };
    let mut attributes = Attributes([0; 16]);
    let (read_write, private_stack) = (1 | 2, 0x2 | 0x20 | 0x4000 | 0x2_0000);
    // SAFETY: the stack is nobody else's, and stays; all other arguments are the caller's or made here.
    unsafe {
        let stack = mmap(ptr::null_mut(), STACK_BYTES, read_write, private_stack, -1, 0);
        pthread_attr_init(&mut attributes);
        pthread_attr_setstack(&mut attributes, stack, STACK_BYTES);
        thread.stack.store(stack.expose_provenance(), Ordering::Release);
        thread.routine.store(routine as usize, Ordering::Release);
        thread.argument.store(argument.expose_provenance(), Ordering::Release);
        STARTED.store(number + 1, Ordering::Release);
        let created = create(id, &attributes, begin, ptr::from_ref(thread).cast_mut().cast());
        thread.id.store(*id, Ordering::Release);
        created
    }
}

extern "C" fn begin(thread: *mut c_void) -> *mut c_void {
    // SAFETY: `pthread_create` has said so, and threads are for ever.
    let thread = unsafe { &*thread.cast::<Thread>() };
    // SAFETY: stored from one.
    let routine: Routine = unsafe { mem::transmute(thread.routine.load(Ordering::Acquire)) };
    let result = routine(ptr::with_exposed_provenance_mut(thread.argument.load(Ordering::Acquire)));
    if IS_FORK.load(Ordering::Acquire) {
        // The C library would return to what it knew of the zygote's thread.
        // SAFETY: ends this thread alone, which nobody waits for.
        unsafe { crate::c::syscall(SYS_EXIT, 0) };
    }
    result
}

/// Of a thread that was the zygote's, says that it has ended: nobody joins those before all does.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_join(id: Id, result: *mut *mut c_void) -> c_int {
    if IS_FORK.load(Ordering::Acquire) && all().any(|gone| gone.id.load(Ordering::Acquire) == id) {
        return 0;
    }
    // SAFETY: it is the C library's function of that name, with what the caller says.
    unsafe { mem::transmute::<*mut c_void, Join>(next(c"pthread_join"))(id, result) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_cond_wait(condition: *mut c_void, mutex: *mut c_void) -> c_int {
    // SAFETY: it is the C library's function of that name.
    let wait: Wait = unsafe { mem::transmute(next(c"pthread_cond_wait")) };
    let here = ptr::from_ref(&wait).addr();
    let is_on = |thread: &&Thread| (0..STACK_BYTES).contains(&here.wrapping_sub(thread.stack.load(Ordering::Acquire)));
    match all().find(is_on).filter(|_| !IS_FORK.load(Ordering::Acquire)) {
        Some(thread) => {
            thread.condition.store(condition.expose_provenance(), Ordering::Release);
            thread.mutex.store(mutex.expose_provenance(), Ordering::Release);
            // SAFETY: what the caller says, for the C library's function.
            unsafe { remembered_wait(condition, mutex, &thread.stack_used_to, wait) }
        }
        // SAFETY: what the caller says.
        None => unsafe { wait(condition, mutex) },
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_cond_signal(condition: *mut c_void) -> c_int {
    go_on_with(condition);
    // SAFETY: it is the C library's function of that name, with what the caller says.
    unsafe { mem::transmute::<*mut c_void, Wake>(next(c"pthread_cond_signal"))(condition) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_cond_broadcast(condition: *mut c_void) -> c_int {
    go_on_with(condition);
    // SAFETY: as above.
    unsafe { mem::transmute::<*mut c_void, Wake>(next(c"pthread_cond_broadcast"))(condition) }
}

/// Who waited for this in the zygote is to wake up here.
fn go_on_with(condition: *mut c_void) {
    if !IS_FORK.load(Ordering::Acquire) {
        return;
    }
    for thread in all().filter(|thread| thread.condition.load(Ordering::Acquire) == condition.addr()) {
        let used_to = thread.stack_used_to.swap(0, Ordering::AcqRel);
        let mut id = 0;
        // SAFETY: nobody else takes that stack, since whoever swaps has it alone.
        let failed = used_to != 0
            && unsafe { pthread_create(&mut id, ptr::null(), take_over, ptr::without_provenance_mut(used_to)) } != 0;
        if failed {
            // At the limit of processes: perhaps the next time.
            thread.stack_used_to.store(used_to, Ordering::Release);
        }
    }
}

extern "C" fn take_over(used_to: *mut c_void) -> *mut c_void {
    // SAFETY: the stack is as whoever waited has left it, and nobody else's now.
    unsafe { return_from_wait(used_to.addr()) }
}

fn next(name: &CStr) -> *mut c_void {
    // SAFETY: of the libraries after this one, by a name that ends with a NUL.
    unsafe { dlsym(ptr::without_provenance_mut(usize::MAX), name.as_ptr()) }
}
