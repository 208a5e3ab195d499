#!/usr/bin/env python3
"""Functions have at most 70 lines, files at most 600; tools/sizes.txt lists what is longer.

The list is a ratchet: an entry may shrink or go, never grow or come. `--write` lowers the entries
to what is there now (and adds new ones only with `--write --new`, for the day a rule changes).
Works on code in our clang-format style, where a line "{" alone opens a function and "}" ends it.
"""
import pathlib
import re
import sys

FUNCTION_MAX = 70
FILE_MAX = 600
LAYERS = ("common expressions operators connectors compiler jobmanager taskmanager client tests "
          "bench tools").split()
LIST = pathlib.Path("tools/sizes.txt")


def function_name(lines, start):
    """The name in the declaration that ends in the line before `start`."""
    text = ""
    for line in reversed(lines[max(0, start - 12):start]):
        text = line + " " + text
        if line and not line[0].isspace():
            break
    match = re.search(r"START_TEST\((\w+)", text) or re.search(r"(\w+)\s*\(", text)
    return match.group(1) if match else f"line {start}"


def measure(path):
    """Yields (what, lines, maximum, line number) of a file and its functions."""
    lines = path.read_text().splitlines()
    yield str(path), len(lines), FILE_MAX, 1
    start = None
    for number, line in enumerate(lines):
        if line == "{":
            start = number
        elif line == "}" and start is not None:
            yield f"{path}:{function_name(lines, start)}", number - start + 1, FUNCTION_MAX, start
            start = None


def read_list():
    if not LIST.exists():
        return {}
    rows = (line.split() for line in LIST.read_text().splitlines()
            if line.strip() and not line.startswith("#"))
    return {what: int(count) for what, count in rows}


def write_list(sizes):
    rows = [f"{what} {count}\n" for what, count in sorted(sizes.items())]
    LIST.write_text("# Longer than the rule (70 lines a function, 600 a file). May only shrink: "
                    "tools/check_sizes.py.\n" + "".join(rows))


def main():
    allowed = read_list()
    found = {}
    problems = []
    for layer in LAYERS:
        for path in sorted(pathlib.Path(layer).rglob("*.[ch]")):
            for what, count, maximum, line in measure(path):
                if count <= maximum:
                    continue
                found[what] = count
                if count > allowed.get(what, maximum):
                    where = f"{path}:{line}" if ":" in what else what
                    problems.append(f"{where}: {what.split(':')[-1]} has {count} lines, at most "
                                    f"{allowed.get(what, maximum)} are allowed: split it")
    if "--write" in sys.argv:
        if "--new" not in sys.argv:
            found = {what: min(count, allowed[what]) for what, count in found.items()
                     if what in allowed}
        write_list(found)
        return 0
    for what, count in allowed.items():
        if found.get(what, 0) < count:
            print(f"tools/sizes.txt: {what} has become shorter than {count}: run "
                  "tools/check_sizes.py --write")
    print("\n".join(problems) if problems else f"sizes: ok, {len(allowed)} exceptions left")
    return 1 if problems else 0


sys.exit(main())
