# Leaves whatever could be found by the next run (attacks 29 and 30).
import builtins, ctypes, json, os, random, sys, threading
for path in ["/box/left", "/tmp/left", "/dev/shm/left"]:
    open(path, "w").write("left")
libc = ctypes.CDLL(None, use_errno=True)
libc.shmget(0x1234, 4096, 0o1666)
libc.semget(0x1234, 1, 0o1666)
libc.msgget(0x1234, 0o1666)
builtins.print_left, json.left, sys.left = print, True, True
json.dumps = lambda *_: "left"
os.environ["LEFT"] = "left"
random.seed(1)
threading.Thread(target=lambda: None).start()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execvp("sleep", ["sleep-left", "1000"])
    os._exit(0)
print("left")
