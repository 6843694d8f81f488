"""Becomes any number of Python programs, each in a sandbox of its own.

Read by the interpreter from its standard input; its standard output is the socket to the host. The first message names modules to
load. One says where programs write to. Each other one has descriptors of a sandbox: its first process, where the order comes from,
where to tell of the payload, three streams, and files by which its control groups are joined. Nothing here reads what a user has
written, but in the payload.
"""

import atexit
import builtins
import ctypes
import gc
import importlib
import importlib.machinery
import io
import itertools
import json
import os
import resource
import select
import signal
import socket
import sys
import types

NEW_PROCESSES = 0x20000000
NEW_OTHERS = 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x40000000
SET_DEATH_SIGNAL, SET_DUMPABLE = 1, 4
PROCESS_MADVISE, OF_ITSELF, POPULATE_WRITE = 440, -10000, 23
RIGHTS, DESCRIPTORS, GROUPS, LIFELINE = 1, 4, 2, 8  # what tests leave out

# All that a payload needs of C is made here, so that no payload has to.
libc = ctypes.CDLL(None, use_errno=True)
setns, prctl, capset, fflush, syscall = libc.setns, libc.prctl, libc.capset, libc.fflush, libc.syscall
RIGHTS_VERSION = (ctypes.c_uint32 * 2)(0x20080522, 0)
NO_RIGHTS = (ctypes.c_uint32 * 6)()


def checked(result):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def enter(descriptor, kinds):
    checked(setns(descriptor, kinds))


class Exited:
    """How a program ends, in the words of the host."""

    def __init__(self, status, usage):
        how = '{"Code":%d}' % os.WEXITSTATUS(status) if os.WIFEXITED(status) else '{"Signal":%d}' % os.WTERMSIG(status)
        cpu_ms = int((usage.ru_utime + usage.ru_stime) * 1000)
        self.words = '{"Exited":{"exit":%s,"cpu_ms":%d,"rss_bytes_max":%d}}' % (how, cpu_ms, usage.ru_maxrss * 1024)


# --- the zygote ---


def zygote():
    control = socket.socket(fileno=os.dup(1))
    sys.path[:] = [folder for folder in sys.path if folder]
    fresh_streams()
    checked(prctl(SET_DUMPABLE, 0, 0, 0, 0))
    load(control.recv(1 << 16).decode().split())
    os.environb.clear()
    ended = select.poll()
    ended.register(os.pidfd_open(os.getpid()), select.POLLIN)
    poll = select.poll()
    poll.register(control, select.POLLIN)
    gc.disable()
    gc.collect()
    gc.freeze()
    control.send(b'"Prepared"')
    listening, payloads, writes = True, {}, (Range * 0)()
    while listening or payloads:
        for ready, _ in poll.poll():
            if ready != control.fileno():
                poll.unregister(ready)
                bury(ready, *payloads.pop(ready))
                continue
            words, descriptors, _, _ = socket.recv_fds(control, 1 << 16, 64, socket.MSG_CMSG_CLOEXEC)
            if not words:  # No more to come; who lives may go on.
                poll.unregister(control)
                listening = False
                continue
            if words.startswith(b"writes"):
                writes = ranges_of(words)
                continue
            born = bear(words, descriptors, (ended, writes))
            if born:
                payloads[born[0]] = born[1:]
                poll.register(born[0], select.POLLIN)
    os._exit(0)


class Range(ctypes.Structure):
    _fields_ = [("address", ctypes.c_size_t), ("length", ctypes.c_size_t)]


def ranges_of(words):
    """What the host says of where programs write to."""
    ends = [[int(end, 16) for end in word.split(b"-")] for word in words.split()[1:]]
    return (Range * len(ends))(*[(begin, end - begin) for begin, end in ends])


def load(names):
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError:
            pass


def fresh_streams():
    """Made of pipes, as a program's are, since Python remembers what a stream can do."""
    read, write = os.pipe()
    for stream, end in ((0, read), (1, write), (2, write)):
        os.dup2(end, stream)
    os.close(read)
    os.close(write)
    sys.stdin = sys.__stdin__ = stream_of(0, "r", "<stdin>")
    sys.stdout = sys.__stdout__ = stream_of(1, "w", "<stdout>")
    sys.stderr = sys.__stderr__ = stream_of(2, "w", "<stderr>")


def stream_of(number, mode, name):
    binary = open(number, mode + "b", closefd=False)
    binary.raw.name = name
    errors = "backslashreplace" if number == 2 else sys.stdin.errors
    text = io.TextIOWrapper(binary, "utf-8", errors, newline="\n" if mode == "w" else None, line_buffering=number == 2)
    text.mode = mode
    return text


def bear(words, descriptors, known):
    """Forks into the sandbox, and says by which descriptor the payload's end is known."""
    cell, order, status, *rest = descriptors
    told = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, status)
    try:
        enter(cell, NEW_PROCESSES)
        pid = os.fork()
        if pid == 0:
            payload(words, cell, order, told, rest, known)
        end = os.pidfd_open(pid)
        try:
            socket.send_fds(told, [b'"Born"'], [end])
        except OSError:
            pass  # The payload has failed before, and the host has heard. Who was born is buried all the same: its sandbox waits for that.
        return end, pid, told
    except OSError as error:
        tell_failure(told, error)
    finally:
        for descriptor in (cell, order, *rest):
            os.close(descriptor)


def tell_failure(told, error):
    try:
        told.send(json.dumps({"Failed": {"message": "enter the sandbox: %s" % error}}).encode())
    except OSError:
        pass


def bury(end, pid, told):
    _, status, usage = os.wait4(pid, 0)
    try:
        told.send(Exited(status, usage).words.encode())
    except OSError:
        pass  # The host does not want to know any more.
    told.close()
    os.close(end)


# --- the payload ---


def payload(words, cell, order, told, rest, known):
    ended, writes = known
    try:
        prepare(words, cell, rest, ended)
        # Where this cannot be done (before Linux 6.14), pages are copied as they are written to.
        syscall(PROCESS_MADVISE, OF_ITSELF, writes, len(writes), POPULATE_WRITE, 0)
        told.send(b'"Prepared"')
        left_out = int(words.split()[2])
        order = os.dup2(order, 3)
        if not left_out & DESCRIPTORS:
            os.closerange(4, 1 << 30)
        fields = read_all(order).split(b"\0")
        os.close(order)
        if len(fields) < 6:
            os._exit(127)  # The host has gone, or wants nothing.
        argv, path = take(fields)
    except BaseException as error:
        tell_failure(told, error)
        os._exit(127)
    gc.enable()
    reseed()
    run(argv, path)


def prepare(words, cell, rest, ended):
    """Gives up whatever a payload must not have. From the groups on, all that it uses is the sandbox's."""
    uid, gid, left_out = map(int, words.split())
    stdin, stdout, stderr, *groups = rest
    if not left_out & GROUPS:
        for group in groups:
            os.write(group, b"0")
    enter(cell, NEW_OTHERS)
    for stream, descriptor in enumerate((stdin, stdout, stderr)):
        os.dup2(descriptor, stream)
    os.setsid()
    os.umask(0o022)
    if not left_out & RIGHTS:
        if os.geteuid() == 0:
            os.setgroups([])
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
        checked(capset(RIGHTS_VERSION, NO_RIGHTS))
    if not left_out & LIFELINE:
        # After the change of user, which would clear it.
        checked(prctl(SET_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0))
        if ended.poll(0):
            os._exit(127)
    checked(prctl(SET_DUMPABLE, 1, 0, 0, 0))


def reseed():
    """What was loaded and draws by chance of a state that forks share; Python's own is another in each already."""
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()


def read_all(descriptor):
    parts = []
    while True:
        part = os.read(descriptor, 1 << 16)
        if not part:
            return b"".join(parts)
        parts.append(part)


def take(fields):
    """Limits, folder, arguments and environment, as the host orders them."""
    file_bytes, open_files, processes, cwd, count = fields[:5]
    limit(resource.RLIMIT_CORE, 0)
    limit(resource.RLIMIT_MSGQUEUE, 0)
    limit(resource.RLIMIT_FSIZE, int(file_bytes))
    limit(resource.RLIMIT_NOFILE, int(open_files))
    if processes:
        limit(resource.RLIMIT_NPROC, int(processes))
    os.chdir(cwd)
    end = 5 + int(count)
    argv = [os.fsdecode(field) for field in fields[5:end]]
    for field in fields[end:-1]:
        name, _, value = field.partition(b"=")
        os.environb[name] = value
    if os.environb.get(b"PYTHONUNBUFFERED"):
        unbuffer()
    return argv, os.path.join(os.getcwd(), argv[0])


def unbuffer():
    """As the interpreter does for this variable, which it read when it was loaded: what a program printed before it is killed is there."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        raw = open(number, "wb", buffering=0, closefd=False)
        raw.name = "<%s>" % name
        old = getattr(sys, name)
        text = io.TextIOWrapper(raw, "utf-8", old.errors, newline="\n", write_through=True)
        text.mode = "w"
        setattr(sys, name, text)
        setattr(sys, "__%s__" % name, text)


def limit(what, wanted):
    """Lowers, never raises."""
    hard = resource.getrlimit(what)[1]
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    elif wanted >= 1 << 63:
        wanted = resource.RLIM_INFINITY
    resource.setrlimit(what, (wanted, wanted))


def run(argv, path):
    """Does what the interpreter does with a file, to the end."""
    main = types.ModuleType("__main__")
    ours, sys.modules["__main__"] = sys.modules["__main__"], main
    main.__dict__.update(
        __annotations__={},
        __file__=path,
        __builtins__=builtins,
        __cached__=None,
        __loader__=importlib.machinery.SourceFileLoader("__main__", path),
    )
    del main.__doc__
    main.__doc__ = None
    sys.argv[:] = argv
    sys.orig_argv[1:] = argv
    sys.path.insert(0, os.path.dirname(os.path.realpath(path)))
    known = len(sys.modules)
    code = 0
    try:
        try:
            with io.open_code(path) as file:
                source = file.read()
        except OSError as error:
            name = sys.executable
            print("%s: can't open file %r: [Errno %d] %s" % (name, path, error.errno, error.strerror), file=sys.stderr)
            code = 2
        else:
            exec(compile(source, path, "exec", dont_inherit=True), main.__dict__)
    except BaseException as error:
        code = tell(error.with_traceback(error.__traceback__.tb_next))
    finish(main, known, code, ours)


def tell(error):
    """Says how it failed, and returns the exit code; negative for a signal."""
    if isinstance(error, SystemExit):
        if error.code is None or isinstance(error.code, int):
            return (error.code or 0) & 0xFF
        flush(sys.stdout)
        print(error.code, file=sys.stderr)
        return 1
    flush(sys.stdout)
    sys.excepthook(type(error), error, error.__traceback__)
    return -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1


def flush(stream):
    try:
        if stream is not None and not stream.closed:
            stream.flush()
        return True
    except Exception:
        return False


def finish(main, known, code, _ours):
    """Threads, what was to be done at exit, then all that the program still holds, and what it has said and not sent."""
    try:
        if "threading" in sys.modules:
            sys.modules["threading"]._shutdown()
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
    atexit._run_exitfuncs()
    flushed = flush_at_end()
    drop(main, known)
    flushed = flushed and flush_at_end()
    fflush(None)
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code if flushed else 120)


def flush_at_end():
    try:
        if sys.stdout is not None and not sys.stdout.closed:
            sys.stdout.flush()
    except Exception as error:
        print("Exception ignored in: %r\n%s: %s" % (sys.stdout, type(error).__name__, error), file=sys.stderr)
        return False
    return flush(sys.stderr)


def drop(main, known):
    """The interpreter does so at its end: files are written that nobody has closed."""
    for name in ("last_type", "last_value", "last_traceback"):
        if hasattr(sys, name):
            delattr(sys, name)
    names = main.__dict__
    held = list(names)
    for name in [name for name in held if name[:1] == "_" and name[:2] != "__"] + held:
        if name != "__builtins__":
            names[name] = None
    # From the end, since to look at the zygote's would copy the pages where their names are.
    for name in list(itertools.islice(reversed(sys.modules), max(0, len(sys.modules) - known))):
        del sys.modules[name]
    gc.collect()


zygote()
