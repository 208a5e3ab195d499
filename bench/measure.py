"""What the benchmarks share: processes and their cost, clusters, tables."""
import contextlib
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("MILLSTREAM_BUILD", ROOT / "build"))
MILLSTREAM = BUILD / "bin/millstream"
JOBS = ROOT / "bench/jobs"
MEMORY_GROUPS = pathlib.Path("/sys/fs/cgroup/memory")
TICKS = os.sysconf("SC_CLK_TCK")

os.environ.setdefault("MILLSTREAM_BIN", str(BUILD / "bin"))
sys.path.insert(0, str(ROOT / "tests/cluster"))
from kit import Cluster  # noqa: E402, F401 - the path is set above; used by what imports this


def run(command, **more):
    """CPU seconds, wall seconds, peak resident MiB and output of one process and its children."""
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
    return {"cpu": usage.ru_utime + usage.ru_stime, "wall": wall, "rss": usage.ru_maxrss / 1024, "text": text}


def local(job, directory, *more, **parameters):
    """One process, RocksDB state, a checkpoint every second."""
    options = [f"--param={name}={value}" for name, value in parameters.items()]
    return [MILLSTREAM, "run", "--local", "-D", "execution.checkpointing.interval=1s",
            "-D", f"process.working-dir={directory}/work", *options, *more, JOBS / job]


def interleave(runs, commands, warm_up=True):
    """{name: [result, ...]} with the commands in turn, after one warm-up of each. A command is a list
    of arguments, or a function that returns what run() returns."""
    results = {name: [] for name in commands}
    for turn in range(runs + warm_up):
        for name, command in commands.items():
            result = command() if callable(command) else run(command)
            if turn >= warm_up:
                results[name].append(result)
    return results


def median(results, field):
    return statistics.median(r[field] for r in results)


def ratio(results, name, base, field="cpu"):
    return statistics.median(a[field] / b[field] for a, b in zip(results[name], results[base]))


def quantile(values, q):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


# ---- tables ----


def title(text):
    print(f"\n### {text}\n")


def table(*columns):
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")


def line(*cells):
    print(f"| {' | '.join(str(c) for c in cells)} |", flush=True)


def header(text):
    title(text)
    table("run", "CPU s", "wall s", "peak MiB", "CPU ratio", "goal")


def row(name, results, base, goal):
    line(name, f"{median(results[name], 'cpu'):.2f}", f"{median(results[name], 'wall'):.2f}",
         f"{median(results[name], 'rss'):.0f}", f"{ratio(results, name, base):.2f}", goal)


def figure(name, value, goal):
    line(name, value, goal)


# ---- processes that go on ----


def cpu_of(pid):
    """CPU seconds of a running process."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_of(pid, field="VmRSS"):
    """Resident MiB (VmRSS), or their peak (VmHWM)."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"{field}:\s+(\d+) kB", status)[1]) / 1024


def daemons(cluster):
    return [cluster.job_manager, *cluster.task_managers]


def cluster_cpu(cluster):
    return sum(cpu_of(daemon.pid) for daemon in daemons(cluster))


def wall_of(job):
    return (job["end-time"] - job["start-time"]) / 1000


def metrics(daemon):
    """The lines of a TaskManager's /metrics as {name with labels: value}."""
    port = re.findall(r" http=(?:\S*:)?(\d+)", daemon.log())
    with urllib.request.urlopen(f"http://127.0.0.1:{port[-1]}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return {l.rsplit(" ", 1)[0]: float(l.rsplit(" ", 1)[1]) for l in lines if l and l[0] != "#"}


def budget(daemon):
    """MiB of a TaskManager: {part of its budget: in use}, resident, the whole budget."""
    found = metrics(daemon)
    parts = {re.search(r'part="([^"]*)"', n)[1]: v / 2**20 for n, v in found.items()
             if n.startswith("millstream_memory_used_bytes")}
    return parts, found["process_resident_memory_bytes"] / 2**20, found["millstream_memory_process_bytes"] / 2**20


def print_budget(samples):
    """The parts in use when the most was resident, and their sum."""
    parts, resident, whole = max(samples, key=lambda s: s[1])
    table("figure", "measured", "goal")
    for name, size in parts.items():
        figure(f"in use: {name}", f"{size:.1f} MiB", "")
    total = sum(parts.values())
    figure("sum", f"{total:.1f} MiB", "")
    figure("resident at its peak", f"{resident:.1f} MiB", f"<= {whole:.0f} MiB, the budget")
    figure("sum over resident", f"{total / resident:.2f}", "0.85 to 1.15")


@contextlib.contextmanager
def memory_group(limit_bytes):
    """A memory cgroup (version 1) of that size; None, and a word about it, where there can be none."""
    path = MEMORY_GROUPS / f"millstream-bench-{os.getpid()}"
    try:
        path.mkdir()
        (path / "memory.limit_in_bytes").write_text(str(limit_bytes))
    except OSError as error:
        print(f"**Without a memory cgroup: {error}; memory is not limited here.**\n")
        yield None
        return
    try:
        yield path
    finally:
        for _ in range(50):
            try:
                path.rmdir()
                break
            except OSError:
                time.sleep(0.1)


def in_group(group, pid=0):
    """Puts a process (0: this one, between fork and exec) into the group."""
    if group is not None:
        (group / "cgroup.procs").write_text(str(pid or os.getpid()))


def group_peak(group):
    """(peak MiB, times the limit was hit)"""
    if group is None:
        return 0, 0
    return (int((group / "memory.max_usage_in_bytes").read_text()) / 2**20,
            int((group / "memory.failcnt").read_text()))
