#!/usr/bin/env python3
"""Fail when an #include breaks tools/layers.txt, or a source file sits in no layer.

--dot prints the graph of what is really included.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
# The one file that may see both daemons: it runs them in one process.
LOCAL_CLUSTER = "client/local_cluster.c"
LOCAL_CLUSTER_MAY = {"jobmanager", "taskmanager"}
SYSTEM_HEADERS_PURE = ("jobmanager/core", "jobmanager/checkpoint", "taskmanager/control")
IMPURE = re.compile(r"<(pthread|unistd|fcntl|sys/(socket|stat|epoll|eventfd)|nng/.*|time|rocksdb/.*)\.h>")


def read_layers(path):
    rules = {}
    for line in path.read_text().splitlines():
        line = line.split("#")[0].strip()
        if line:
            folder, allowed = line.split(":")
            rules[folder.strip()] = set(allowed.split()) | {folder.strip()}
    return rules


def check_order(rules):
    """The rules themselves must be acyclic."""
    done, path = set(), []

    def visit(folder):
        if folder in path:
            sys.exit("cycle in layers.txt: " + " -> ".join(path[path.index(folder):] + [folder]))
        if folder not in done:
            path.append(folder)
            for below in sorted(rules.get(folder, set()) - {folder}):
                visit(below)
            path.pop()
            done.add(folder)

    for folder in rules:
        visit(folder)


def layer_of(name, rules):
    """The longest folder of the rules that contains the file."""
    return max((f for f in rules if name.startswith(f + "/")), key=len, default=None)


def check_file(source, rules, edges):
    name = source.relative_to(ROOT).as_posix()
    layer = layer_of(name, rules)
    if layer is None:
        return [f"{name}: no layer in tools/layers.txt"]
    bad = []
    for number, line in enumerate(source.read_text().splitlines(), 1):
        if layer in SYSTEM_HEADERS_PURE and IMPURE.search(line):
            bad.append(f"{name}:{number}: {layer} holds no thread, file, socket or clock: {line.strip()}")
        found = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
        if not found:
            continue
        target = layer_of(found[1], rules)
        allowed = rules[layer] | (LOCAL_CLUSTER_MAY if name == LOCAL_CLUSTER else set())
        if target is None:
            bad.append(f'{name}:{number}: include "{found[1]}" is not root-relative')
        elif target not in allowed:
            bad.append(f"{name}:{number}: {layer} may not include {target}")
        elif target != layer:
            edges.add((layer, target))
    return bad


def main():
    rules = read_layers(ROOT / "tools/layers.txt")
    check_order(rules)
    bad, edges = [], set()
    for top in sorted({folder.split("/")[0] for folder in rules}):
        for source in sorted((ROOT / top).rglob("*.[ch]")):
            bad += check_file(source, rules, edges)
    if "--dot" in sys.argv:
        print("digraph layers { rankdir=BT; node [shape=box];")
        print("".join(f'  "{a}" -> "{b}";\n' for a, b in sorted(edges)) + "}")
    print("\n".join(bad), file=sys.stderr, end="\n" if bad else "")
    sys.exit(1 if bad else 0)


main()
