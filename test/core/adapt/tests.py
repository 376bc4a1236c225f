"""What single tests need: parts that cannot be asked of karat are left out, and said to be."""

from test_framework.test_framework import BitcoinTestFramework


def adapt(name, module):
    """The test of a module."""
    del name
    found = [value for value in vars(module).values()
             if isinstance(value, type) and issubclass(value, BitcoinTestFramework) and value.__module__ == module.__name__]
    assert len(found) == 1, found
    return found[0]
