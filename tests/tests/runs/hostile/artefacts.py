# What the host would read of what is left: links, swaps, devices, odd names (attacks 3 to 5).
import os, threading, time
os.makedirs("out/real")
open("out/real/file.txt", "w").write("real")
for name, target in {"shadow": "/etc/shadow", "up": "../../../../etc/passwd", "root": "/", "self": "/proc/self/environ", "dir": "/etc"}.items():
    os.symlink(target, f"out/{name}")
os.mkfifo("out/fifo")
os.symlink("/etc", "out/linked-dir")
os.link("out/real/file.txt", "out/hard.txt")
open("out/-rf", "w").write("dash")
open("out/ü\u202e.txt", "w").write("unicode")
os.mkdir("out/swap")
open("out/swap/passwd", "w").write("own")

def swap():
    while True:
        try:
            os.rename("out/swap", "out/away")
            os.symlink("/etc", "out/swap")
            os.remove("out/swap")
            os.rename("out/away", "out/swap")
        except OSError:
            pass

for _ in range(4):
    threading.Thread(target=swap, daemon=True).start()
time.sleep(0.2)
print("held")
