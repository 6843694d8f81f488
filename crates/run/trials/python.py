# Uses what might not have survived a fork; says `fine` and a number by chance.
import os
import random
import socket

here, there = socket.socketpair()
child = os.fork()
if child == 0:
    there.send(b"%d" % sum(range(10)))
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0 and here.recv(9) == b"45"
print("fine", random.random())
