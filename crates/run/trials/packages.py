"""Uses what packages have in common that might not have survived a fork; says `fine` and numbers by chance."""

import importlib
import random
import sys
import threading

for name in sys.argv[1:]:
    importlib.import_module(name)

worker = threading.Thread(target=sum, args=([1, 2],))
worker.start()
worker.join()

said = [random.random()]
if "numpy" in sys.modules:
    import numpy

    # Of the state that all share, and in the library that has threads of its own elsewhere.
    drawn = numpy.random.rand(96, 96)
    product = drawn @ numpy.linalg.inv(drawn + 96 * numpy.eye(96))
    assert numpy.isfinite(product).all()
    said = [float(drawn[0, 0]), float(numpy.random.default_rng().random())]
if "pandas" in sys.modules:
    import pandas

    table = pandas.DataFrame({"key": ["a", "b", "a"], "value": [1, 2, 3]})
    assert table.groupby("key")["value"].sum().to_dict() == {"a": 4, "b": 2}
print("fine", *said)
