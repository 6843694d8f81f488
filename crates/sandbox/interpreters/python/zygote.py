"""Becomes any number of Python programs, each in a sandbox of its own.

Read by the interpreter from its standard input; its standard output is the socket to the host. The first message names modules to
load. What happens then is in the library beside this file: it waits, and forks into sandboxes. Nothing here reads what a user has
written, but in the fork.
"""

import sys

# What a plain interpreter has loaded before a program begins: nothing of a program's takes the place of these.
PLAIN = frozenset(sys.modules)

import atexit
import builtins
import ctypes
import gc
import importlib
import importlib.machinery
import io
import itertools
import os
import signal
import types

# All that a fork needs of C is made here, so that no fork has to.
library = ctypes.PyDLL("/run/zygote.so")
library.zygote_begin.restype = ctypes.c_ssize_t
library.zygote_live.restype = None
live, string_at, fflush = library.zygote_live, ctypes.string_at, ctypes.CDLL(None).fflush

# And all that the end of a program needs, which may have changed what bears these names.
leave, collect, at_exit, modules, own_hook = os._exit, gc.collect, atexit._run_exitfuncs, sys.modules, sys.excepthook
from builtins import delattr, getattr, hasattr, isinstance, len, list, max, print, reversed, setattr, type, zip

# What a program that has failed is known by until its end.
LAST = ("last_type", "last_value", "last_traceback") + (("last_exc",) if sys.version_info >= (3, 12) else ())


# --- the zygote ---


def zygote():
    preload = begin().split()
    sys.path[:] = [folder for folder in sys.path if folder]
    fresh_streams()
    load(preload)
    os.environb.clear()
    program = Program()
    main = Main(program)
    calls = Calls(main.begin, main.names, tell, join, at_exit, main.end)
    program_at, calls_at = ctypes.byref(program), ctypes.byref(calls)
    gc.disable()
    gc.collect()
    gc.freeze()
    live(program_at, calls_at)
    sys.exit("not begun")


class Program(ctypes.Structure):
    """What the library says of a program."""

    _fields_ = [
        ("path", ctypes.c_char_p),
        ("real_path", ctypes.c_char_p),
        ("fields", ctypes.c_void_p),
        ("bytes", ctypes.c_size_t),
        ("arguments", ctypes.c_size_t),
        ("has_company", ctypes.c_int),
    ]


class Calls(ctypes.Structure):
    """What the library calls in a fork."""

    _fields_ = [(name, ctypes.py_object) for name in ("begin", "names", "tell", "join", "at_exit", "end")]


def begin():
    """Takes the socket, and hears the first message."""
    words = ctypes.create_string_buffer(1 << 16)
    length = library.zygote_begin(words, ctypes.c_size_t(len(words)))
    if length < 0:
        sys.exit("cannot become a zygote")
    return words.raw[:length].decode()


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
    text = io.TextIOWrapper(binary, "utf-8", errors, newline="\n", line_buffering=number == 2)
    text.mode = mode
    return text


def unbuffered(number, name):
    raw = open(number, "wb", buffering=0, closefd=False)
    raw.name = "<%s>" % name
    text = io.TextIOWrapper(raw, "utf-8", getattr(sys, name).errors, newline="\n", write_through=True)
    text.mode = "w"
    return text


# --- the fork ---


def unbuffer(stdout, stderr):
    """As the interpreter does for this variable, which it read when it was loaded: what a program printed before it is killed is there."""
    sys.stdout = sys.__stdout__ = stdout
    sys.stderr = sys.__stderr__ = stderr


class Main:
    """The module that a program is, made by the zygote, and all that it takes to run it."""

    def __init__(self, program):
        self.program, self.numpy_random = program, modules.get("numpy.random")
        self.known = 0
        main = types.ModuleType("__main__")
        self.loader = importlib.machinery.SourceFileLoader("__main__", "")
        main.__dict__.update(
            __loader__=self.loader, __annotations__={}, __builtins__=builtins, __file__="", __cached__=None
        )
        self.module, self.names, self.variables = main, main.__dict__, os.environ._data
        self.unbuffered = unbuffered(1, "stdout"), unbuffered(2, "stderr")
        # Kept, so that no fork has to let go of them.
        self.buffered = sys.stdout, sys.stderr
        # Which its functions live in.
        self.ours, sys.modules["__main__"] = sys.modules["__main__"], main

    # --- From here on it is a fork. What is done here, the fewer lines the better, copies pages that the zygote had. ---

    def begin(self):
        """Does what the interpreter does with a file before it runs it; its code is run by nothing that it could see."""
        gc.enable()
        if self.numpy_random is not None:
            # What was loaded and draws by chance of a state that forks share; Python's own is another in each already.
            self.numpy_random.seed()
        program = self.program
        fields = string_at(program.fields, program.bytes).split(b"\0")
        path = program.path.decode("utf-8", "surrogateescape")
        argv = [field.decode("utf-8", "surrogateescape") for field in fields[: program.arguments]]
        # The process has them; here they are known to Python as well.
        for variable in fields[len(argv) : -1]:
            name, _, value = variable.partition(b"=")
            self.variables[name] = value
        if self.variables.get(b"PYTHONUNBUFFERED"):
            unbuffer(*self.unbuffered)
        self.names["__file__"] = self.loader.path = path
        sys.argv[:] = argv
        sys.orig_argv[1:] = argv
        folder = (program.real_path or program.path).rpartition(b"/")[0] or b"/"
        sys.path.insert(0, folder.decode("utf-8", "surrogateescape"))
        if program.has_company:
            make_room(sys.path[0])
        self.known = len(modules)
        try:
            source = read(path)
        except OSError as error:
            name = sys.executable
            print("%s: can't open file %r: [Errno %d] %s" % (name, path, error.errno, error.strerror), file=sys.stderr)
            finish(self.module, self.known, 2)
        try:
            return compile(source, path, "exec", dont_inherit=True)
        except BaseException as error:
            code = tell(BaseException.with_traceback(error, error.__traceback__.tb_next))
        self.end(code)

    def end(self, code=0):
        finish(self.module, self.known, code)


def make_room(folder):
    """What lies beside a program comes before what was loaded by the same name."""
    own = {name.partition(".")[0] for name in os.listdir(folder)} - PLAIN
    for name in list(sys.modules):
        if name.partition(".")[0] in own:
            del sys.modules[name]


def read(path):
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    parts = []
    while True:
        part = os.read(file, 1 << 15)
        if not part:
            os.close(file)
            return b"".join(parts)
        parts.append(part)


def tell(error):
    """Says how it failed, and returns the exit code; negative for a signal."""
    if isinstance(error, SystemExit):
        if error.code is None or isinstance(error.code, int):
            code = error.code or 0
            # As the interpreter has it of what no machine word holds.
            return code & 0xFF if -(1 << 63) <= code < 1 << 63 else 0xFF
        flush(stream("stdout"))
        print(error.code, file=stream("stderr"))
        return 1
    flush(stream("stdout"))
    for name, what in zip(LAST, (type(error), error, error.__traceback__, error)):
        setattr(sys, name, what)
    try:
        programs_hook()(type(error), error, error.__traceback__)
    except SystemExit as instead:
        return tell(instead)
    except BaseException as failed:
        tell_of_hook(failed, error)
    return -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1


def programs_hook():
    hook = getattr(sys, "excepthook", None)
    if hook is None:
        print("sys.excepthook is missing", file=stream("stderr"))
    return hook or own_hook


def tell_of_hook(failed, error):
    print("Error in sys.excepthook:", file=stream("stderr"))
    failed.__context__ = None
    BaseException.with_traceback(failed, failed.__traceback__.tb_next)
    own_hook(type(failed), failed, failed.__traceback__)
    print("\nOriginal exception was:", file=stream("stderr"))
    own_hook(type(error), error, error.__traceback__)


def stream(name):
    return getattr(sys, name, None)


def flush(stream):
    try:
        if stream is not None and not stream.closed:
            stream.flush()
        return True
    except Exception:
        return False


def join():
    try:
        if "threading" in modules:
            modules["threading"]._shutdown()
    except BaseException as error:
        own_hook(type(error), error, error.__traceback__)


def finish(main, known, code):
    """All that the program still holds, and what it has said and not sent."""
    flushed = flush_at_end()
    drop(main, known)
    flushed = flushed and flush_at_end()
    # What another stream, or none, has taken the place of.
    flush(stream("__stdout__"))
    fflush(None)
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    leave(code if flushed else 120)


def flush_at_end():
    stdout = stream("stdout")
    try:
        if stdout is not None and not stdout.closed:
            stdout.flush()
    except Exception as error:
        print("Exception ignored in: %r\n%s: %s" % (stdout, type(error).__name__, error), file=stream("stderr"))
        return False
    return flush(stream("stderr"))


def drop(main, known):
    """The interpreter does so at its end: files are written that nobody has closed."""
    for name in LAST:
        if hasattr(sys, name):
            delattr(sys, name)
    names = main.__dict__
    held = list(names)
    for name in [name for name in held if name[:1] == "_" and name[:2] != "__"] + held:
        if name != "__builtins__":
            names[name] = None
    # From the end, since to look at the zygote's would copy the pages where their names are.
    for name in list(itertools.islice(reversed(modules), max(0, len(modules) - known))):
        del modules[name]
    collect()


zygote()
