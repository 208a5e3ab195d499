"""The word count and the JSON sum against plain programs, in one process, two threads, two processes."""
import json
import os
import shutil

from measure import (BUILD, JOBS, Cluster, cluster_cpu, daemons, header, interleave, local, memory_of, ratio,
                     row, run, wall_of)

TEXT = (2000000, 10, 100000, 1)
TEXT_QUICK = (200000, 10, 100000, 1)


def checkpoints(result):
    for text in result["text"].splitlines():
        if text.startswith("{") and "checkpoints" in text:
            return json.loads(text)["checkpoints"]
    found = [w for text in result["text"].splitlines() for w in [text.split("checkpoint ")] if len(w) > 1]
    return int(found[-1][-1].split()[0]) if found else 0


def make_text(arguments):
    """The files of the word count: links to one text."""
    text = BUILD / ("bench-data/text-quick.txt" if arguments.quick else "bench-data/text.txt")
    if not text.exists():
        text.parent.mkdir(parents=True, exist_ok=True)
        run([BUILD / "bench/generate_text", *(TEXT_QUICK if arguments.quick else TEXT), text])
    directory = BUILD / "bench-data/in"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for i in range(arguments.links):
        os.link(text, directory / f"text-{i:02}.txt")
    return sorted(directory.iterdir()), f"{arguments.links} x {text.stat().st_size / 1e6:.0f} MB"


def bench_wordcount(arguments, directory):
    files, size = make_text(arguments)
    commands = {
        "plain program": [BUILD / "bench/baseline/wordcount", *files],
        "parallelism 1, emit: batch": local("wordcount.yaml", directory, input=files[0].parent),
        "parallelism 1, emit: each": local("wordcount.yaml", directory, input=files[0].parent, emit="each"),
    }
    results = interleave(arguments.runs, commands)
    header(f"Word count, {size}, RocksDB state, a checkpoint every second")
    for name, goal in zip(commands, ("1", "1.5", "2.5")):
        row(name, results, "plain program", goal)
    print(f"\ncheckpoints completed inside a run: {checkpoints(results['parallelism 1, emit: batch'][-1])} "
          "(goal: at least 5)")


def on_cluster(job, directory, **parameters):
    """A function that runs the job over two TaskManagers of one slot: its own time, the CPU of all."""

    def measure():
        with Cluster(taskmanagers=2, slots=1) as cluster:
            before = cluster_cpu(cluster)
            job_id = cluster.submit(JOBS / job, "-p", "2", "-D", "execution.checkpointing.interval=1s", **parameters)
            ended = cluster.wait_state(job_id, "FINISHED", timeout=300)
            return {"cpu": cluster_cpu(cluster) - before, "wall": wall_of(ended), "text": "",
                    "rss": sum(memory_of(d.pid, "VmHWM") for d in daemons(cluster))}

    return measure


def bench_parallel(arguments, directory):
    files, size = make_text(arguments)
    folder = files[0].parent
    commands = {
        "plain, 1 thread": [BUILD / "bench/baseline/wordcount", *files],
        "plain, 2 threads and an exchange": [BUILD / "bench/baseline/wordcount_exchange", *files],
    }
    for emit in ("batch", "each"):
        commands[f"{emit}: parallelism 1"] = local("wordcount.yaml", directory, input=folder, emit=emit)
        commands[f"{emit}: parallelism 2"] = local("wordcount.yaml", directory, "-p", "2", input=folder, emit=emit)
        commands[f"{emit}: 2 TaskManagers"] = on_cluster("wordcount.yaml", directory, input=folder, emit=emit)
    results = interleave(max(1, arguments.runs - 1), commands, warm_up=False)
    header(f"Word count at parallelism 2, {size}")
    for name in commands:
        row(name, results, "plain, 1 thread", "")
    plain = ratio(results, "plain, 2 threads and an exchange", "plain, 1 thread", "wall")
    goals = {"batch: parallelism 2": "0.65", "batch: 2 TaskManagers": "0.80",
             "each: parallelism 2": f"{1.15 * plain:.2f}"}
    # On a machine that others use too, half of the CPU ratio is what wall time would tend to.
    print("\n| over parallelism 1 | wall | goal | half of the CPU |\n|---|---|---|---|")
    half = ratio(results, "plain, 2 threads and an exchange", "plain, 1 thread") / 2
    print(f"| plain, 2 threads and an exchange | {plain:.2f} | | {half:.2f} |")
    for name in list(commands)[2:]:
        base = name.split(":")[0] + ": parallelism 1"
        if name != base:
            print(f"| {name} | {ratio(results, name, base, 'wall'):.2f} | {goals.get(name, '')} | "
                  f"{ratio(results, name, base) / 2:.2f} |", flush=True)


def bench_json(arguments, directory):
    count = 500000 if arguments.quick else 5000000
    rows = BUILD / f"bench-data/rows-{count}.json"
    if not rows.exists():
        rows.parent.mkdir(parents=True, exist_ok=True)
        run([BUILD / "bench/generate_json", count, 100000, 1, rows])
    commands = {
        "plain program": [BUILD / "bench/baseline/json_sum", rows],
        "keyed sum, emit: batch": local("json-sum.yaml", directory, input=rows),
    }
    results = interleave(arguments.runs, commands)
    header("Keyed sum over JSON rows of 200 bytes, 100,000 keys, uniform")
    for name, goal in zip(commands, ("1", "2.0")):
        row(name, results, "plain program", goal)
