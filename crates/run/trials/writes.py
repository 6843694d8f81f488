# What nearly every program does, so that it writes to the memory that they write to; says `fine` as the very last thing, and waits.
import os
import sys


class Last:
    """Who ends a program flushes this behind all that the program had."""

    closed = False

    def flush(self, write=os.write, read=os.read, pipe=os.pipe):
        # All at once: nobody hears any more.
        write(1, b"fine")
        # Until it is killed.
        read(pipe()[0], 1)


def doubled(numbers):
    return [number * 2 for number in numbers]


sys.__stdout__ = Last()
print(sum(doubled(range(3))), {"a": 1.5}, "a,b".split(","), f"{1.5:.2f}")
