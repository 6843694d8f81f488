# What nearly every program does, so that it writes to the memory that they write to; says `fine` as the very last thing, and waits.
import os


def last(_, print=print, read=os.read):
    print("fine")
    read(0, 1)


def doubled(numbers):
    return [number * 2 for number in numbers]


os._exit = last
print(sum(doubled(range(3))), {"a": 1.5}, "a,b".split(","), f"{1.5:.2f}")
