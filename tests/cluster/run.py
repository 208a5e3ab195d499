#!/usr/bin/env python3
"""Runs the cluster tests (all, or those whose names contain an argument); the last line counts them."""
import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))


def named(suite, words):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from named(test, words)
        elif not words or any(word in test.id() for word in words):
            yield test


tests = unittest.TestSuite(named(unittest.defaultTestLoader.discover(str(HERE)), sys.argv[1:]))
result = unittest.TextTestRunner(verbosity=2, stream=sys.stdout).run(tests)
bad = len(result.failures) + len(result.errors)
print(f"{result.testsRun - bad} passed, {bad} failed")
sys.exit(1 if bad else 0)
