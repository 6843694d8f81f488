# What nearly every program does, so that it writes to the memory that they write to; says `fine` as the very last thing, and waits.
import os
import sys


def last(_, print=print, read=os.read):
    print("fine")
    read(0, 1)


def doubled(numbers):
    return [number * 2 for number in numbers]


# Who runs it ends it by this name.
sys._getframe(1).f_globals["leave"] = last
print(sum(doubled(range(3))), {"a": 1.5}, "a,b".split(","), f"{1.5:.2f}")
