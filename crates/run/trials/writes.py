# What nearly every program does, so that it writes to the memory that they write to; says `fine` as one of the last things, and waits.
import atexit
import os


class Point:
    def __init__(self, numbers):
        self.numbers = numbers

    def doubled(self):
        return [number * 2 for number in self.numbers]


def wait():
    print("fine", flush=True)
    os.read(0, 1)


atexit.register(wait)
try:
    print(sum(Point(range(3)).doubled()), {"a": 1.5}, "a,b".split(","))
    raise ValueError("no")
except ValueError as error:
    print(f"{error} {1.5:.2f}")
