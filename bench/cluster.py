"""Figures of real daemons: between processes, starting, idling, memory."""
import json
import os
import pathlib
import select
import socket
import statistics
import subprocess
import threading
import time
import urllib.error
import urllib.request

import words
from measure import (BUILD, JOBS, TICKS, Cluster, budget, cpu_of, daemons, figure, interleave, line, median, memory_of,
                     print_budget, quantile, ratio, run, table, title)

MIB = 2**20


def stream(kind, size, piece):
    """What bench/exchange.c found, as run() gives it."""

    def measure():
        result = run([BUILD / "bench/exchange", kind, size, piece])
        found = json.loads([l for l in result["text"].splitlines() if l.startswith("{")][-1])
        return {**result, "rate": found["mb-per-second"]}

    return measure


def bench_exchange(arguments, directory):
    size = 500000000 if arguments.quick else 4000000000
    commands = {
        "bare stream, tcp, 64 KiB": stream("tcp", size, 64 << 10),
        "bare stream, tcp, 256 KiB": stream("tcp", size, 256 << 10),
        "bare stream, ipc, 256 KiB": stream("ipc", size, 256 << 10),
        "exchange, rows of 1,000 bytes": stream("ours", size, 1000),
        "exchange, rows of 100 bytes": stream("ours", size, 100),
    }
    results = interleave(arguments.runs, commands)
    title("Bytes from one process to another")
    table("run", "MB/s", "CPU s per GB", "rate over tcp, 64 KiB", "over tcp, 256 KiB", "goal", "64 KiB's CPU over it")
    for name in commands:
        rate = median(results[name], "rate")
        over = [statistics.median(a["rate"] / b["rate"] for a, b in zip(results[name], results[f"bare stream, tcp, {k} KiB"]))
                for k in (64, 256)]
        line(name, f"{rate:.0f}", f"{median(results[name], 'cpu') / (size / 1e9):.2f}", f"{over[0]:.2f}", f"{over[1]:.2f}",
             ">= 0.6" if name.startswith("exchange, rows of 1,000") else "",
             # On a machine that others use too, what the rate would tend to.
             f"{1 / ratio(results, name, 'bare stream, tcp, 64 KiB'):.2f}")


# ---- latency ----


def listener():
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen(8)
    return server


def serve_lines(server, sent, count, stop):
    """Sends one line every 20 ms to who connects, once the job runs."""
    connection, _ = server.accept()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stop["ready"].wait(30)
    for i in range(count):
        sent[i] = time.monotonic()
        connection.sendall(b"%d\n" % i)
        time.sleep(0.02)
    stop["sent"].set()
    stop["end"].wait(30)
    connection.close()


def take_lines(server, taken, stop):
    """Notes when each line came back."""
    connections = {}
    while not stop["end"].is_set():
        ready, _, _ = select.select([server, *connections], [], [], 0.05)
        now = time.monotonic()
        for one in ready:
            if one is server:
                connections[server.accept()[0]] = b""
                continue
            try:
                got = one.recv(65536)
            except OSError:
                got = b""
            if not got:
                del connections[one]
                continue
            *lines, connections[one] = (connections[one] + got).split(b"\n")
            for number in (text.split(b",")[0] for text in lines):
                if number:  # an unfinished line ends as an empty one
                    taken.setdefault(int(number), now)


def bench_latency(arguments, directory):
    count = 100 if arguments.quick else 300
    source, sink = listener(), listener()
    sent, taken = {}, {}
    stop = {name: threading.Event() for name in ("ready", "sent", "end")}
    threads = [threading.Thread(target=serve_lines, args=(source, sent, count, stop), daemon=True),
               threading.Thread(target=take_lines, args=(sink, taken, stop), daemon=True)]
    for thread in threads:
        thread.start()
    with Cluster(taskmanagers=2, slots=1) as cluster:
        job_id = cluster.submit(JOBS / "echo.yaml", input="127.0.0.1:%d" % source.getsockname()[1],
                                output="127.0.0.1:%d" % sink.getsockname()[1])
        cluster.wait_state(job_id, "RUNNING")
        time.sleep(0.5)
        stop["ready"].set()
        stop["sent"].wait(60)
        time.sleep(0.5)
        stop["end"].set()
        cluster.rest(f"/jobs/{job_id}", "PATCH")
    times = [(taken[i] - sent[i]) * 1000 for i in sent if i in taken]
    title("Latency of single records through two processes, socket to socket, default settings")
    table("figure", "measured", "goal")
    figure("records", f"{len(times)} of {count}", "")
    if times:
        figure("p50", f"{quantile(times, 0.5):.2f} ms", "")
        figure("p99", f"{quantile(times, 0.99):.2f} ms", "< 20 ms")
        figure("largest", f"{max(times):.2f} ms", "")


# ---- starting, idling, memory ----


def free_ports(count):
    sockets = [listener() for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for one in sockets:
        one.close()
    return ports


def call(port, method, path, body=None):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data=body, method=method)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{method} {path}: {error.code} {error.read().decode(errors='replace')}") from None


def retry(action, deadline):
    while True:
        try:
            return action()
        except (OSError, AssertionError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.001)


def start_once(directory, n):
    """Milliseconds from the start of both daemons to REST, and to a RUNNING job."""
    rpc, rest = free_ports(2)
    place = pathlib.Path(directory) / f"start-{n}"
    place.mkdir()
    shared = ["-D", f"execution.checkpointing.dir={place}/checkpoints", "-D", f"jobmanager.rpc.port={rpc}",
              "-D", "jobmanager.rpc.address=127.0.0.1"]
    body = json.dumps({"jobId": os.urandom(16).hex(), "definition": (JOBS / "idle.yaml").read_text()}).encode()
    processes = []
    with open(place / "log", "wb") as log:
        started = time.monotonic()
        for program, options in (("millstream-jobmanager", [f"rest.port={rest}", f"process.working-dir={place}/jm"]),
                                 ("millstream-taskmanager", ["taskmanager.http.port=0", f"process.working-dir={place}/tm"])):
            command = [BUILD / "bin" / program, *shared]
            for option in options:
                command += ["-D", option]
            processes.append(subprocess.Popen(command, stdout=log, stderr=log))
        try:
            deadline = started + 20
            retry(lambda: call(rest, "GET", "/overview"), deadline)
            answered = time.monotonic()
            # A JobManager that is up answers 503 until it has read its job store.
            job_id = retry(lambda: call(rest, "POST", "/jobs", body), deadline)["jobid"]
            while True:
                job = call(rest, "GET", f"/jobs/{job_id}")
                states = [v["status"] for v in job["vertices"]]
                if job["state"] == "RUNNING" and all(s in ("RUNNING", "FINISHED") for s in states):
                    break
                if time.monotonic() > deadline:
                    raise AssertionError(f"the job is {job['state']}, {states}")
                time.sleep(0.001)
            running = time.monotonic()
        finally:
            for process in processes:
                process.kill()
                process.wait()
    return (answered - started) * 1000, (running - started) * 1000


def bench_start(arguments, directory):
    runs = 5 if arguments.quick else 15
    times = [start_once(directory, n) for n in range(runs)]
    title("From the start of both daemons to a running job")
    table("figure", "measured", "goal")
    figure("REST answers, p50", f"{statistics.median(t[0] for t in times):.0f} ms", "")
    figure("the job is RUNNING, p50", f"{statistics.median(t[1] for t in times):.0f} ms", "< 100 ms")
    figure("the job is RUNNING, least and most",
           f"{min(t[1] for t in times):.0f} and {max(t[1] for t in times):.0f} ms", "")


def bench_idle(arguments, directory):
    seconds = 5 if arguments.quick else 10
    with Cluster(taskmanagers=1, slots=1) as cluster:
        time.sleep(5)
        names = ("JobManager", "TaskManager")
        resident = [memory_of(d.pid) for d in daemons(cluster)]
        before = [cpu_of(d.pid) for d in daemons(cluster)]
        time.sleep(seconds)
        ticks = [round((cpu_of(d.pid) - b) * TICKS) for d, b in zip(daemons(cluster), before)]
    title("An idle cluster, 5 s after its start")
    table("figure", "measured", "goal")
    for name, size, goal in zip(names, resident, ("20", "30")):
        figure(f"resident memory, {name}", f"{size:.1f} MiB", f"< {goal} MB")
    for name, used in zip(names, ticks):
        figure(f"CPU in {seconds} s, {name}", f"{used} ticks of {1000 // TICKS} ms", "0")


def bench_memory(arguments, directory):
    files, _ = words.make_text(arguments)
    samples = []
    with Cluster(taskmanagers=1, slots=1) as cluster:
        job_id = cluster.submit(JOBS / "wordcount.yaml", "-D", "execution.checkpointing.interval=1s",
                                input=files[0].parent)
        while cluster.get(f"/jobs/{job_id}")["state"] in ("CREATED", "RUNNING"):
            samples.append(budget(cluster.task_managers[0]))
            time.sleep(0.25)
    title("Memory of a TaskManager in the word count: parts of the budget in use, and resident")
    print_budget(samples)
