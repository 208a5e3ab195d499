#!/usr/bin/env python3
"""Measures Millstream against plain programs in one run, as ratios of CPU seconds.

The machine is noisy: runs are interleaved, each figure is a median, and what counts is the ratio.
    bench/run.py [--runs N] [--links N] [--only NAME]
"""
import argparse
import json
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
MILLSTREAM = BUILD / "bin/millstream"


def run(command, **more):
    """CPU seconds, wall seconds, peak resident MiB and output of one process and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen([str(c) for c in command], stdout=out, stderr=subprocess.STDOUT, **more)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        text = out.read().decode(errors="replace")
    wall = time.monotonic() - start
    if process.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: exit {process.returncode}\n{text[-2000:]}")
    del before
    return {"cpu": usage.ru_utime + usage.ru_stime, "wall": wall, "rss": usage.ru_maxrss / 1024, "text": text}


def local(job, directory, *more, **parameters):
    """One process, RocksDB state, a checkpoint every second."""
    options = [f"--param={name}={value}" for name, value in parameters.items()]
    return [MILLSTREAM, "run", "--local", "-D", "execution.checkpointing.interval=1s",
            "-D", f"process.working-dir={directory}/work", *options, *more, ROOT / "bench/jobs" / job]


def interleave(runs, commands):
    """{name: [result, ...]} with the commands in turn, after one warm-up of each."""
    results = {name: [] for name in commands}
    for turn in range(runs + 1):
        for name, command in commands.items():
            result = run(command)
            if turn > 0:
                results[name].append(result)
    return results


def median(results, field):
    return statistics.median(r[field] for r in results)


def ratio(results, name, base, field="cpu"):
    return statistics.median(a[field] / b[field] for a, b in zip(results[name], results[base]))


def checkpoints(result):
    for line in result["text"].splitlines():
        if line.startswith("{") and "checkpoints" in line:
            return json.loads(line)["checkpoints"]
    found = [w for line in result["text"].splitlines() for w in [line.split("checkpoint ")] if len(w) > 1]
    return int(found[-1][-1].split()[0]) if found else 0


def make_text(directory, links):
    text = BUILD / "bench-data/text.txt"
    if not text.exists():
        text.parent.mkdir(parents=True, exist_ok=True)
        run([BUILD / "bench/generate_text", 2000000, 10, 100000, 1, text])
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for i in range(links):
        os.link(text, directory / f"text-{i:02}.txt")
    return sorted(directory.iterdir())


def row(name, results, base, goal):
    print(f"| {name} | {median(results[name], 'cpu'):.2f} | {median(results[name], 'wall'):.2f} | "
          f"{median(results[name], 'rss'):.0f} | {ratio(results, name, base):.2f} | {goal} |", flush=True)


def header(title):
    print(f"\n### {title}\n\n| run | CPU s | wall s | peak MiB | CPU ratio | goal |\n|---|---|---|---|---|---|")


def bench_wordcount(arguments, directory):
    files = make_text(BUILD / "bench-data/in", arguments.links)
    commands = {
        "plain program": [BUILD / "bench/baseline/wordcount", *files],
        "parallelism 1, emit: batch": local("wordcount.yaml", directory, input=files[0].parent),
        "parallelism 1, emit: each": local("wordcount.yaml", directory, input=files[0].parent, emit="each"),
        "parallelism 2, emit: batch": local("wordcount.yaml", directory, "-p", "2", input=files[0].parent),
    }
    results = interleave(arguments.runs, commands)
    header(f"Word count, {arguments.links} x 134 MB, RocksDB state, a checkpoint every second")
    for name, goal in zip(commands, ("1", "1.5", "2.5", "")):
        row(name, results, "plain program", goal)
    batch = results["parallelism 1, emit: batch"]
    wall = statistics.median(a["wall"] / b["wall"] for a, b in zip(results["parallelism 2, emit: batch"], batch))
    print(f"\ncheckpoints completed inside a run: {checkpoints(batch[-1])} (goal: at least 5); "
          f"wall at parallelism 2 over 1: {wall:.2f} (goal 0.65)")


def bench_json(arguments, directory):
    rows = BUILD / "bench-data/rows.json"
    if not rows.exists():
        rows.parent.mkdir(parents=True, exist_ok=True)
        run([BUILD / "bench/generate_json", 5000000, 100000, 1, rows])
    commands = {
        "plain program": [BUILD / "bench/baseline/json_sum", rows],
        "keyed sum, emit: batch": local("json-sum.yaml", directory, input=rows),
    }
    results = interleave(arguments.runs, commands)
    header("Keyed sum over JSON rows of 200 bytes, 100,000 keys, uniform")
    for name, goal in zip(commands, ("1", "2.0")):
        row(name, results, "plain program", goal)


BENCHES = {"wordcount": bench_wordcount, "json": bench_json}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--links", type=int, default=10)
    parser.add_argument("--only", choices=sorted(BENCHES))
    arguments = parser.parse_args()
    for name, bench in BENCHES.items():
        if arguments.only in (None, name):
            with tempfile.TemporaryDirectory(prefix="millstream-bench-") as directory:
                bench(arguments, directory)


main()
