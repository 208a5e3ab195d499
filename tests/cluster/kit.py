"""Real daemons for tests: each Cluster has its own directory and ports, and ends what it started."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BIN = pathlib.Path(os.environ.get("MILLSTREAM_BIN", ROOT / "build/bin"))
# A sanitizer's shadow takes several times the memory.
IS_SANITIZED = any(word in (BIN / "millstream-taskmanager").read_bytes() for word in (b"__asan_init", b"__tsan_init"))
TERMINAL = ("FINISHED", "FAILED", "CANCELED")


class Daemon:
    """One process, its log and its ports."""

    def __init__(self, name, directory, program, options, prefix=()):
        self.name = name
        self.log_path = directory / f"{name}.log"
        self.out_path = directory / f"{name}.out"
        command = [*prefix, str(BIN / program)]
        for key, value in options.items():
            command += ["-D", f"{key}={value}"]
        self.command = command
        with open(self.log_path, "ab") as log, open(self.out_path, "ab") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=log, stdin=subprocess.DEVNULL)

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        return self.log_path.read_text(errors="replace")

    def started(self, timeout=20):
        """The fields of the last line of the log that says "started"."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            lines = [l for l in self.log().splitlines() if re.search(r" started ", l)]
            if lines:
                return dict(f.split("=", 1) for f in lines[-1].split() if "=" in f)
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        raise AssertionError(f"{self.name} did not start:\n{self.log()[-2000:]}")

    def end(self):
        """SIGTERM, whatever it does at the moment; its exit code, which is 0 of a daemon without leaks."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self.kill()
            return "it runs on"

    def kill(self, number=signal.SIGKILL):
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout=30)


class Cluster:
    """with Cluster(taskmanagers=2) as cluster: ..."""

    def __init__(self, taskmanagers=1, slots=1, options=None):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="millstream-test-"))
        self.options = {"log.level": "info", **(options or {})}
        self.slots = slots
        self.task_managers = []
        self.job_manager = None
        self.made = 0
        self.rest_port = 0
        self.rpc_port = 0
        self.wanted = taskmanagers
        self.job_manager_prefix = ()

    def __enter__(self):
        try:
            self.start_job_manager()
            for _ in range(self.wanted):
                self.add_task_manager()
            self.wait_task_managers(self.wanted)
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None:
            for path in sorted(self.directory.glob("*.log")):
                print(f"--- {path.name}\n{path.read_text(errors='replace')[-4000:]}")
        codes = {}
        for daemon in [*self.task_managers, self.job_manager]:
            if daemon is not None and kind is None and daemon.process.poll() is None:
                codes[daemon] = daemon.end()
            elif daemon is not None:
                daemon.kill()
        unclean = {d.name: (code, d.log()[-3000:]) for d, code in codes.items() if code != 0}
        shutil.rmtree(self.directory, ignore_errors=True)
        assert not unclean, f"SIGTERM did not end them cleanly: {unclean}"

    def start_job_manager(self):
        """Starts it, or starts it again on the same ports and job store."""
        options = {
            "process.working-dir": self.directory / "jm",
            "execution.checkpointing.dir": self.directory / "checkpoints",
            "high-availability.storageDir": self.directory / "ha",
            "jobmanager.rpc.port": self.rpc_port,
            "rest.port": self.rest_port,
            **self.options,
        }
        self.job_manager = Daemon("jobmanager", self.directory, "millstream-jobmanager", options,
                                  self.job_manager_prefix)
        # A daemon that is started again appends to its log: wait for its own line.
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            mine = [l for l in self.job_manager.log().split(f"pid={self.job_manager.pid} ")[1:]]
            found = re.findall(r" started rpc=(\S+) rest=(\d+)", mine[-1]) if mine else []
            if found:
                self.rpc_port = int(found[-1][0].rsplit(":", 1)[1])
                self.rest_port = int(found[-1][1])
                return self.job_manager
            if self.job_manager.process.poll() is not None:
                break
            time.sleep(0.01)
        raise AssertionError(f"the JobManager did not start:\n{self.job_manager.log()[-2000:]}")

    def add_task_manager(self, prefix=(), **options):
        self.made += 1
        merged = {
            "process.working-dir": self.directory / "tm",
            "execution.checkpointing.dir": self.directory / "checkpoints",
            "jobmanager.rpc.address": "127.0.0.1",
            "jobmanager.rpc.port": self.rpc_port,
            "taskmanager.numberOfTaskSlots": self.slots,
            "taskmanager.http.port": 0,
            **self.options,
            **{key.replace("__", "."): value for key, value in options.items()},
        }
        daemon = Daemon(f"taskmanager-{self.made}", self.directory, "millstream-taskmanager", merged, prefix)
        self.task_managers.append(daemon)
        return daemon

    def kill_task_manager(self, daemon, number=signal.SIGKILL):
        code = daemon.kill(number)
        self.task_managers.remove(daemon)
        return code

    # ---- REST ----

    def rest(self, path, method="GET", body=None):
        """(HTTP status, answer); the answer is JSON where it can be."""
        data = None if body is None else (body if isinstance(body, bytes) else json.dumps(body).encode())
        request = urllib.request.Request(f"http://127.0.0.1:{self.rest_port}{path}", data=data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                text, status = answer.read(), answer.status
        except urllib.error.HTTPError as error:
            text, status = error.read(), error.code
        try:
            return status, json.loads(text)
        except ValueError:
            return status, text.decode(errors="replace")

    def get(self, path):
        status, answer = self.rest(path)
        assert status == 200, (path, status, answer)
        return answer

    def wait_for(self, condition, what, timeout=30):
        deadline = time.monotonic() + timeout
        last = None
        while time.monotonic() < deadline:
            try:
                last = condition()
                if last:
                    return last
            except (OSError, AssertionError) as error:
                last = error
            time.sleep(0.02)
        raise AssertionError(f"waited {timeout} s for {what}; last: {last}")

    def wait_task_managers(self, count, timeout=20):
        self.wait_for(lambda: self.get("/overview")["taskmanagers"] == count, f"{count} TaskManagers", timeout)

    def job(self, job_id):
        return self.get(f"/jobs/{job_id}")

    def wait_state(self, job_id, *states, timeout=60):
        def reached():
            job = self.job(job_id)
            if job["state"] in states:
                return job
            assert job["state"] not in TERMINAL, f"the job is {job['state']}: {job['millstream']['last-failure']}"
            return None

        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            try:
                job = reached()
            except OSError:
                job = None
            if job:
                return job
            time.sleep(0.02)
        raise AssertionError(f"waited {timeout} s for {states}; the job is {self.job(job_id)}")

    def completed_checkpoints(self, job_id):
        return self.get(f"/jobs/{job_id}/checkpoints")["counts"]["completed"]

    # ---- CLI ----

    def cli(self, *arguments, check=True, timeout=120, stdin=None):
        command = [str(BIN / "millstream"), arguments[0], "-m", f"127.0.0.1:{self.rest_port}", *map(str, arguments[1:])]
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, input=stdin)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def submit(self, job_path, *options, **parameters):
        given = [f"--param={name}={value}" for name, value in parameters.items()]
        done = self.cli("run", "-d", *given, *options, job_path)
        return re.search(r"JobID ([0-9a-f]{32})", done.stdout)[1]


def write_text(path, lines, words=10, distinct=1000, seed=1):
    """A text and the counts of its words."""
    import random

    generator = random.Random(seed)
    counts = {}
    with open(path, "w") as out:
        for _ in range(lines):
            line = [f"w{int(distinct * generator.random() ** 3)}" for _ in range(words)]
            for word in line:
                counts[word] = counts.get(word, 0) + 1
            out.write(" ".join(line) + "\n")
    return counts


def read_counts(directory):
    counts = {}
    for path in sorted(pathlib.Path(directory).glob("part-*.csv")):
        for line in path.read_text().splitlines():
            word, count = line.rsplit(",", 1)
            assert word not in counts, f"{word} twice"
            counts[word] = int(count)
    return counts
