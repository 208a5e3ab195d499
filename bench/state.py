"""Keyed state beyond its cache, and what a checkpoint of much state costs the task."""
import json
import math
import os
import shutil
import statistics
import time

from measure import (BUILD, JOBS, Cluster, budget, cpu_of, figure, group_peak, in_group, line, memory_group, memory_of,
                     metrics, print_budget, quantile, run, table, title)

MIB = 2**20


def rows_read(task_manager):
    """Rows the only task has read so far; 0 before it runs."""
    found = [v for n, v in metrics(task_manager).items() if n.startswith("millstream_task_records_in_total{")]
    return max(found, default=0)


def sample(cluster, task_manager, job_id, timeout):
    """[(rows, seconds, CPU seconds), ...] and [budget, ...] from now until the job has ended."""
    samples = [(0, time.monotonic(), cpu_of(task_manager.pid))]
    budgets = []
    deadline = time.monotonic() + timeout
    while cluster.get(f"/jobs/{job_id}")["state"] in ("CREATED", "RUNNING"):
        assert time.monotonic() < deadline, f"the job has not ended after {timeout} s: {samples[-1]}"
        budgets.append(budget(task_manager))
        samples.append((rows_read(task_manager), time.monotonic(), cpu_of(task_manager.pid)))
        time.sleep(0.05)
    cluster.wait_state(job_id, "FINISHED")
    return samples, budgets


def between(samples, first, last):
    """Rate and CPU microseconds a row from the sample at row `first` to the one at row `last`."""
    inside = [s for s in samples if first <= s[0] <= last]
    if len(inside) < 2 or inside[-1][0] == inside[0][0]:
        return {"rate": math.nan, "cpu": math.nan}
    rows = inside[-1][0] - inside[0][0]
    return {"rate": rows / (inside[-1][1] - inside[0][1]), "cpu": (inside[-1][2] - inside[0][2]) / rows * 1e6}


def phases_of_job(cluster, task_manager, keys, uniform, zipf):
    """{phase: rate and CPU per row} of the job with three phases, and its budgets. What settles the
    caches is left out: a tenth of the uniform keys, half of Zipf's, whose rare keys take long to
    show which of them come again."""
    total = keys + uniform + zipf
    job_id = cluster.submit(JOBS / "state-sum.yaml", "-D", "execution.checkpointing.interval=10s", keys=keys,
                            tail=round(1 - keys**-0.05, 9), uniform_end=keys + uniform, rows=total)
    samples, budgets = sample(cluster, task_manager, job_id, 900)
    return {"fill": between(samples, 1, keys),
            "uniform": between(samples, keys + uniform // 10, keys + uniform),
            "zipf": between(samples, keys + uniform + zipf // 2, total)}, budgets


def bench_cold(arguments, directory):
    scale = 20 if arguments.quick else 1
    keys, uniform, zipf = 10000000 // scale, 1000000 // scale, 20000000 // scale
    cache = 64 * MIB // scale
    process = 128 * MIB if arguments.quick else 512 * MIB
    limit = process + process // 8
    title(f"{keys / 1e6:g} M keys beyond a state cache of {cache / MIB:.0f} MiB, cgroup of {limit / MIB:.0f} MiB")
    with memory_group(limit) as group:
        database = directory + "/plain"
        os.mkdir(database)
        done = run([BUILD / "bench/baseline/state_loop", database, keys, uniform, zipf // 20, cache, "batch"],
                   preexec_fn=lambda: in_group(group))
        found = json.loads(done["text"].splitlines()[-1])
        plain = {name: {"rate": found[name]["updates"] / found[name]["wall"],
                        "cpu": found[name]["cpu"] / found[name]["updates"] * 1e6} for name in ("fill", "uniform", "zipf")}
        plain_peak = done["rss"]
        shutil.rmtree(database)
    with memory_group(limit) as group:
        options = {"taskmanager.memory.process.size": process, "taskmanager.memory.state-cache.size": cache}
        with Cluster(taskmanagers=1, slots=1, options=options) as cluster:
            task_manager = cluster.task_managers[0]
            in_group(group, task_manager.pid)
            ours, budgets = phases_of_job(cluster, task_manager, keys, uniform, zipf)
            ours_peak = memory_of(task_manager.pid, "VmHWM")
            group_mib, hits = group_peak(group)
            alive = task_manager.process.poll() is None
    table("run", "fill k/s", "uniform k/s", "uniform CPU us", "Zipf k/s", "Zipf CPU us", "peak MiB")
    for name, result, peak in (("plain loop", plain, plain_peak), ("keyed sum", ours, ours_peak)):
        line(name, f"{result['fill']['rate'] / 1e3:.0f}", f"{result['uniform']['rate'] / 1e3:.0f}", f"{result['uniform']['cpu']:.1f}",
             f"{result['zipf']['rate'] / 1e3:.0f}", f"{result['zipf']['cpu']:.1f}", f"{peak:.0f}")
    print("\nThe plain loop fills in key order by writes alone; its cache is RocksDB's block cache.\n")
    table("figure", "measured", "goal")
    figure("uniform, rate over the plain loop's", f"{ours['uniform']['rate'] / plain['uniform']['rate']:.2f}", ">= 0.7")
    figure("uniform, the plain loop's CPU over ours", f"{plain['uniform']['cpu'] / ours['uniform']['cpu']:.2f}", "")
    figure("Zipf, rate over 0.7 of the plain loop's uniform one",
           f"{ours['zipf']['rate'] / plain['uniform']['rate'] / 0.7:.1f}", ">= 10")
    figure("Zipf over uniform, rate", f"{ours['zipf']['rate'] / ours['uniform']['rate']:.1f}", "")
    if group is not None:
        figure("peak of the cgroup, with the files' pages", f"{group_mib:.0f} MiB", f"<= {limit / MIB:.0f}, alive: {alive}")
    print("\nMemory of the TaskManager in that job:\n")
    print_budget(budgets)


def completed(cluster, job_id, seen):
    """Adds the completed checkpoints of the history to seen; REST remembers 20."""
    for record in cluster.get(f"/jobs/{job_id}/checkpoints")["history"]:
        if record["status"] == "COMPLETED":
            seen[record["id"]] = record
    return seen


# The last merge of the fill comes when its turn does: seen up to 28 small checkpoints behind it.
SETTLED = 40


def is_small(record):
    return record["checkpointed_size"] < 0.05 * record["state_size"]


def settled(seen):
    """The checkpoint behind the first SETTLED small ones in a row; None if there are not that many."""
    row = []
    for number in sorted(seen):
        row = row + [number] if is_small(seen[number]) else []
        if len(row) == SETTLED:
            return number + 1
    return None


def bench_pause(arguments, directory):
    keys = 100000 if arguments.quick else 1000000
    wanted = 10 if arguments.quick else 40
    with Cluster(taskmanagers=1, slots=1) as cluster:
        job_id = cluster.submit(JOBS / "state-dirty.yaml", "-D", "execution.checkpointing.interval=500ms", keys=keys)
        cluster.wait_for(lambda: rows_read(cluster.task_managers[0]) >= keys, "the fill", 600)
        # The first checkpoints still carry the fill and its merges: SETTLED in a row without them
        # end that phase.
        seen = {}
        first = None
        deadline = time.monotonic() + 400
        while time.monotonic() < deadline and (first is None or len([n for n in seen if n >= first]) < wanted):
            time.sleep(0.5)
            completed(cluster, job_id, seen)
            first = first or settled(seen)
        before = [r for n, r in seen.items() if first is None or n < first]
        seen = {n: r for n, r in seen.items() if first is not None and n >= first}
        status = cluster.get(f"/jobs/{job_id}")["state"]
        cluster.rest(f"/jobs/{job_id}", "PATCH")
    title("Checkpoints of much state of which a hundredth is dirty")
    if not seen:
        print(f"no checkpoint completed; the job is {status}")
        return
    records = list(seen.values())
    state = statistics.median(r["state_size"] for r in records)
    uploaded = [r["checkpointed_size"] / state * 100 for r in records]
    pauses = [r["millstream"]["pause-max-us"] / 1000 for r in records]
    table("figure", "measured", "goal")
    figure("state", f"{state / MIB:.0f} MiB", "1024 MiB")
    figure("checkpoints measured", f"{len(records)}, behind {len(before)} of the fill and its merges", "")
    figure("checkpoints of the fill and its merges with 5 % or more", sum(not is_small(r) for r in before), "")
    figure("pause of the task, p50", f"{quantile(pauses, 0.5):.2f} ms", "")
    figure("pause of the task, p99", f"{quantile(pauses, 0.99):.2f} ms", "< 20 ms")
    figure("uploaded bytes of the state, p50", f"{quantile(uploaded, 0.5):.1f} %", "")
    figure("uploaded bytes of the state, largest", f"{max(uploaded):.1f} %", "< 5 %")
    figure("duration of a checkpoint, p50", f"{quantile([r['end_to_end_duration'] for r in records], 0.5)} ms", "")
