"""The REST API of a real cluster: Flink's names and types, errors in Flink's form, and what no client should send."""
import json
import re
import socket
import unittest
import urllib.error
import urllib.request

from kit import ROOT, Cluster, write_text

WORDCOUNT = ROOT / "examples/wordcount-file.yaml"
NOBODY = "0" * 32


def fields(text, **nested):
    """"name:type ..." as a dictionary; types: s text, n number, b boolean, 0 null, s? text or null."""
    return {**dict(part.split(":") for part in text.split()), **nested}


def either(*shapes):
    return tuple(shapes)


METRICS = fields("read-bytes:n read-bytes-complete:b write-bytes:n write-bytes-complete:b read-records:n "
                 "read-records-complete:b write-records:n write-records-complete:b "
                 "accumulated-backpressured-time:n accumulated-idle-time:n accumulated-busy-time:n")
TASK_STATES = fields("CREATED:n FINISHED:n DEPLOYING:n CANCELED:n RUNNING:n CANCELING:n FAILED:n "
                     "RECONCILING:n SCHEDULED:n INITIALIZING:n")
PLAN = fields("jid:s name:s type:s", nodes=[fields(
    "id:s operator:s parallelism:n operator_strategy:s description:s", optimizer_properties={})])
PLAN_INPUT = fields("id:s num:n exchange:s ship_strategy:s")
VERTEX = fields("id:s slotSharingGroupId:s name:s maxParallelism:n parallelism:n status:s start-time:n end-time:n "
                "duration:n", tasks=TASK_STATES, metrics=METRICS)
JOB = fields("jid:s name:s isStoppable:b state:s job-type:s start-time:n end-time:n duration:n maxParallelism:n "
             "now:n pending-operators:n",
             timestamps=fields("RESTARTING:n RUNNING:n CREATED:n CANCELLING:n SUSPENDED:n FAILED:n CANCELED:n "
                               "FINISHED:n RECONCILING:n INITIALIZING:n FAILING:n"),
             vertices=[VERTEX], plan=PLAN, **{"status-counts": TASK_STATES})
AGGREGATE = fields("min:n max:n avg:n sum:n median:n p25:n p75:n p95:n")
DURATIONS = "CREATED SCHEDULED DEPLOYING INITIALIZING RUNNING"
SUBTASK = fields("subtask:n status:s attempt:n endpoint:s start-time:n start_time:n end-time:n duration:n "
                 "taskmanager-id:s", metrics=METRICS,
                 **{"status-duration": {name: "n" for name in DURATIONS.split()}})
VERTEX_DETAIL = fields("id:s name:s parallelism:n maxParallelism:n now:n", subtasks=[SUBTASK], aggregated={
    "metrics": {name: AGGREGATE for name in METRICS if not name.endswith("complete")},
    "status-duration": {name: AGGREGATE for name in DURATIONS.split()}})
SUMMARY = fields("min:n max:n avg:n p50:n p90:n p95:n p99:n p999:n")
CHECKPOINT = fields("className:s id:n status:s is_savepoint:b savepointFormat:s? trigger_timestamp:n "
                    "latest_ack_timestamp:n checkpointed_size:n state_size:n end_to_end_duration:n "
                    "alignment_buffered:n processed_data:n persisted_data:n num_subtasks:n "
                    "num_acknowledged_subtasks:n checkpoint_type:s", tasks={})
COMPLETED = {**CHECKPOINT, **fields("external_path:s discarded:b")}
FAILED = {**CHECKPOINT, **fields("failure_timestamp:n failure_message:s")}
CHECKPOINTS = {
    "counts": fields("restored:n total:n in_progress:n completed:n failed:n"),
    "summary": {name: SUMMARY for name in ("checkpointed_size", "state_size", "end_to_end_duration",
                                           "alignment_buffered", "processed_data", "persisted_data")},
    "latest": {"completed": either(COMPLETED, "0"), "savepoint": "0", "failed": either(FAILED, "0"),
               "restored": either(fields("id:n restore_timestamp:n is_savepoint:b external_path:s"), "0")},
    "history": [CHECKPOINT],
}
FIGURES = fields("id:n status:s latest_ack_timestamp:n checkpointed_size:n state_size:n end_to_end_duration:n "
                 "alignment_buffered:n processed_data:n persisted_data:n num_subtasks:n num_acknowledged_subtasks:n")
SUBTASK_FIGURES = (
    fields("className:s index:n ack_timestamp:n end_to_end_duration:n checkpointed_size:n state_size:n start_delay:n "
           "unaligned_checkpoint:b aborted:b status:s", checkpoint=fields("sync:n async:n"),
           alignment=fields("buffered:n processed:n persisted:n duration:n")),
    fields("index:n status:s"),
)
CHECKPOINT_SUBTASKS = {
    **FIGURES,
    "summary": {**{name: SUMMARY for name in ("checkpointed_size", "state_size", "end_to_end_duration", "start_delay")},
                "checkpoint_duration": {"sync": SUMMARY, "async": SUMMARY},
                "alignment": {name: SUMMARY for name in ("buffered", "processed", "persisted", "duration")}},
    "subtasks": [SUBTASK_FIGURES],
}
CHECKPOINTS_CONFIG = fields("mode:s interval:n timeout:n min_pause:n max_concurrent:n state_backend:s "
                            "checkpoint_storage:s unaligned_checkpoints:b tolerable_failed_checkpoints:n "
                            "aligned_checkpoint_timeout:n checkpoints_after_tasks_finish:b "
                            "state_changelog_enabled:b changelog_periodic_materialization_interval:n "
                            "changelog_storage:s",
                            externalization=fields("enabled:b delete_on_cancellation:b"))
RESOURCE = fields("cpuCores:n taskHeapMemory:n taskOffHeapMemory:n managedMemory:n networkMemory:n",
                  extendedResources={})
TASK_MANAGER = fields("id:s path:s dataPort:n jmxPort:n timeSinceLastHeartbeat:n slotsNumber:n freeSlots:n",
                      totalResource=RESOURCE, freeResource=RESOURCE,
                      hardware=fields("cpuCores:n physicalMemory:n freeMemory:n managedMemory:n"),
                      memoryConfiguration=fields(
                          "frameworkHeap:n taskHeap:n frameworkOffHeap:n taskOffHeap:n networkMemory:n "
                          "managedMemory:n jvmMetaspace:n jvmOverhead:n totalFlinkMemory:n totalProcessMemory:n"))
TASK_MANAGER_DETAIL = {
    **TASK_MANAGER,
    "allocatedSlots": [fields("jobId:s", resource=RESOURCE)],
    "metrics": fields("heapUsed:n heapCommitted:n heapMax:n nonHeapUsed:n nonHeapCommitted:n nonHeapMax:n "
                      "directCount:n directUsed:n directMax:n mappedCount:n mappedUsed:n mappedMax:n "
                      "nettyShuffleMemorySegmentsAvailable:n nettyShuffleMemorySegmentsUsed:n "
                      "nettyShuffleMemorySegmentsTotal:n nettyShuffleMemoryAvailable:n nettyShuffleMemoryUsed:n "
                      "nettyShuffleMemoryTotal:n", garbageCollectors=[fields("name:s count:n time:n")]),
}
EXCEPTION = fields("exceptionName:s stacktrace:s timestamp:n taskName:s? endpoint:s? taskManagerId:s?",
                   failureLabels={}, concurrentExceptions=[])
EXCEPTIONS = {"exceptionHistory": fields("truncated:b", entries=[EXCEPTION])}
OVERVIEW = fields("taskmanagers:n slots-total:n slots-available:n jobs-running:n jobs-finished:n jobs-cancelled:n "
                  "jobs-failed:n flink-version:s flink-commit:s")
CONFIG = fields("refresh-interval:n timezone-name:s timezone-offset:n flink-version:s flink-revision:s",
                features=fields("web-submit:b web-cancel:b web-rescale:b web-history:b"))
JOBS_OVERVIEW = {"jobs": [fields("jid:s name:s start-time:n end-time:n duration:n state:s last-modification:n "
                                 "pending-operators:n",
                                 tasks=fields("running:n canceling:n canceled:n total:n created:n scheduled:n "
                                              "deploying:n reconciling:n finished:n initializing:n failed:n"))]}
JOB_CONFIG = fields("jid:s name:s", **{"execution-config": fields(
    "restart-strategy:s job-parallelism:n object-reuse-mode:b", **{"user-config": {}})})


def kind(value):
    if isinstance(value, bool):
        return "b"
    return {str: "s", int: "n", float: "n", type(None): "0", dict: "{}", list: "[]"}[type(value)]


def differences(shape, value, where):
    """What is missing or of another type in value; names that shape does not have are extensions."""
    if isinstance(shape, tuple):
        found = [differences(one, value, where) for one in shape]
        return [] if [] in found else found[0]
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return [f"{where}: {kind(value)} instead of an object"]
        missing = [f"{where}.{name} is missing" for name in shape if name not in value]
        return missing + [d for name in shape if name in value
                          for d in differences(shape[name], value[name], f"{where}.{name}")]
    if isinstance(shape, list):
        if not isinstance(value, list):
            return [f"{where}: {kind(value)} instead of a list"]
        return [d for i, one in enumerate(value) for d in (differences(shape[0], one, f"{where}[{i}]") if shape else [])]
    allowed = (shape[0], "0") if shape.endswith("?") else (shape,)
    return [] if kind(value) in allowed else [f"{where}: {kind(value)} instead of {shape}"]


PROMETHEUS = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*",?)*\})? '
                        r'(-?[0-9.]+(?:e[+-]?[0-9]+)?|NaN|[+-]Inf)$')


def parse_prometheus(text):
    """{name: {labels: value}}; fails where the text is not of the form."""
    assert text.endswith("\n"), "the last line has no end"
    types, values = {}, {}
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            continue
        if line.startswith("# TYPE "):
            _, _, name, type_name = line.split(" ")
            assert name not in types, f"{name} is typed twice"
            assert type_name in ("counter", "gauge", "histogram", "summary"), line
            types[name] = type_name
            continue
        found = PROMETHEUS.match(line)
        assert found, f"no sample: {line!r}"
        name, labels, value = found.groups()
        assert name in types, f"{name} has no type"
        assert name == list(types)[-1], f"{name} is not in one group"
        assert labels not in values.setdefault(name, {}), f"twice: {line}"
        values[name][labels] = float(value)
    return values


ENDLESS = """
name: 'endless "quoted" \\ job'
nodes:
  rows:
    source: {datagen: {rate: 2000, fields.k.max: 100}}
    schema: {k: bigint, v: bigint}
  sums: {from: rows, key_by: k, aggregate: {total: sum(v)}, emit: batch}
  out: {from: sums, sink: blackhole}
"""

FAILING = """
name: failing
nodes:
  rows:
    source: {file: {path: "%s"}}
    format: csv
    schema: {word: string, n: bigint}
  out: {from: rows, sink: blackhole}
"""


def answers(cluster, job):
    """(path, shape) of all that is known of a job and its cluster."""
    one = f"/jobs/{job}"
    vertices = [v["id"] for v in cluster.job(job)["vertices"]]
    known = cluster.get(one + "/checkpoints")["history"]
    return [
        ("/overview", OVERVIEW), ("/config", CONFIG), ("/jobmanager/config", [fields("key:s value:s")]),
        ("/taskmanagers", {"taskmanagers": [TASK_MANAGER]}),
        *[(f"/taskmanagers/{t['id']}", TASK_MANAGER_DETAIL) for t in cluster.get("/taskmanagers")["taskmanagers"]],
        ("/jobs", {"jobs": [fields("id:s status:s")]}), ("/jobs/overview", JOBS_OVERVIEW), (one, JOB),
        (one + "/status", fields("status:s")), (one + "/plan", {"plan": PLAN}), (one + "/config", JOB_CONFIG),
        (one + "/exceptions", EXCEPTIONS), (one + "/checkpoints", CHECKPOINTS),
        (one + "/checkpoints/config", CHECKPOINTS_CONFIG),
        (one + "/definition", fields("jid:s name:s definition:s submitter:s", parameters={})),
        *[(f"{one}/vertices/{vertex}", VERTEX_DETAIL) for vertex in vertices],
        *[(f"{one}/vertices/{vertex}/watermarks", [fields("id:s value:s idle:b")]) for vertex in vertices],
        *[(f"{one}/checkpoints/details/{c['id']}",
           {"COMPLETED": COMPLETED, "FAILED": FAILED, "IN_PROGRESS": CHECKPOINT}[c["status"]]) for c in known[:1]],
        *[(f"{one}/checkpoints/details/{c['id']}/subtasks/{vertex}", CHECKPOINT_SUBTASKS)
          for c in known[:1] for vertex in vertices],
    ]


class Answers(unittest.TestCase):
    def check_all(self, cluster, job, state):
        self.assertEqual(cluster.job(job)["state"], state)
        for path, shape in answers(cluster, job):
            for prefix in ("", "/v1"):
                with self.subTest(f"{state} {prefix}{path}"):
                    self.assertEqual(differences(shape, cluster.get(prefix + path), ""), [])

    def check_metrics(self, cluster, job):
        """Names without ?get=, values with it; nothing for names that do not exist."""
        vertex = cluster.job(job)["vertices"][0]["id"]
        rows = f"/jobs/{job}/vertices/{vertex}/metrics?get=0.rows.numRecordsOut"
        cluster.wait_for(lambda: sum(int(v["value"]) for v in cluster.get(rows)) > 0, "rows in the metrics")
        manager = cluster.get("/taskmanagers")["taskmanagers"][0]["id"]
        for path, some in ((f"/jobs/{job}/metrics", ["numRestarts", "numberOfCompletedCheckpoints", "lastCheckpointSize"]),
                           (f"/jobs/{job}/vertices/{vertex}/metrics", ["0.numRecordsOut", "0.rows.numRecordsOut"]),
                           (f"/jobs/{job}/vertices/{vertex}/subtasks/0/metrics", ["numRecordsOut", "accumulateBusyTimeMs"]),
                           ("/jobmanager/metrics", ["taskSlotsTotal", "numRunningJobs"]),
                           (f"/taskmanagers/{manager}/metrics", ["Status.JVM.Memory.Heap.Used"])):
            names = cluster.get(path)
            self.assertTrue(all(list(n) == ["id"] for n in names), names)
            self.assertLessEqual(set(some), {n["id"] for n in names})
            values = cluster.get(f"{path}?get={','.join(some)},noSuchThing")
            self.assertEqual([v["id"] for v in values], [n["id"] for n in names if n["id"] in some])
            for value in values:
                self.assertRegex(value["value"], r"^-?\d+$")
        slots, = cluster.get("/jobmanager/metrics?get=taskSlotsTotal")
        self.assertEqual(slots["value"], str(cluster.get("/overview")["slots-total"]))
        self.assertEqual(cluster.rest(f"/jobs/{job}/vertices/{vertex}/subtasks/99/metrics")[0], 404)

    def check_figures(self, cluster, job):
        """The parts of a checkpoint add up to the whole."""
        base = f"/jobs/{job}/checkpoints/details/"
        done = cluster.get(f"/jobs/{job}/checkpoints")["latest"]["completed"]["id"]
        whole = cluster.get(f"{base}{done}")
        self.assertEqual(set(whole["tasks"]), {v["id"] for v in cluster.job(job)["vertices"]})
        for name in ("checkpointed_size", "state_size", "num_subtasks", "num_acknowledged_subtasks"):
            self.assertEqual(sum(t[name] for t in whole["tasks"].values()), whole[name], name)
        self.assertEqual(max(t["latest_ack_timestamp"] for t in whole["tasks"].values()), whole["latest_ack_timestamp"])
        self.assertGreater(whole["state_size"], 0)
        for vertex, task in whole["tasks"].items():
            part = cluster.get(f"{base}{done}/subtasks/{vertex}")
            self.assertEqual({k: part[k] for k in task}, task)
            self.assertEqual([s["index"] for s in part["subtasks"]], list(range(task["num_subtasks"])))
            for name in ("checkpointed_size", "state_size"):
                self.assertEqual(sum(s[name] for s in part["subtasks"]), task[name])
                self.assertEqual(part["summary"][name]["max"], max(s[name] for s in part["subtasks"]))
            for subtask in part["subtasks"]:
                self.assertGreaterEqual(subtask["ack_timestamp"], whole["trigger_timestamp"])

    def test_names_and_types_of_every_answer(self):
        options = {"execution.checkpointing.interval": "100ms"}
        with Cluster(taskmanagers=1, slots=2, options=options) as cluster:
            path = cluster.directory / "job.yaml"
            path.write_text(ENDLESS)
            running = cluster.submit(path)
            cluster.wait_for(lambda: cluster.completed_checkpoints(running) >= 1, "a checkpoint")
            self.check_all(cluster, running, "RUNNING")
            self.check_figures(cluster, running)
            self.check_metrics(cluster, running)
            for node in cluster.job(running)["plan"]["nodes"]:
                for given in node.get("inputs", []):
                    self.assertEqual(differences(PLAN_INPUT, given, "input"), [])
            self.assertEqual(cluster.rest(f"/jobs/{running}?mode=bogus", "PATCH")[0], 400)
            self.assertEqual(cluster.rest(f"/jobs/{running}?mode=cancel", "PATCH"), (202, {}))
            cluster.wait_for(lambda: cluster.job(running)["state"] == "CANCELED", "CANCELED")
            self.check_all(cluster, running, "CANCELED")
            self.assertEqual(cluster.rest(f"/jobs/{running}?mode=cancel", "PATCH"), (202, {}))

            write_text(cluster.directory / "in.txt", 100)
            finished = cluster.submit(WORDCOUNT, input=cluster.directory / "in.txt", output=cluster.directory / "out")
            cluster.wait_state(finished, "FINISHED")
            self.check_all(cluster, finished, "FINISHED")

            (cluster.directory / "bad.csv").write_bytes(b"a,1\nb,\xff\xfe\"x\n")
            path.write_text(FAILING % (cluster.directory / "bad.csv"))
            failed = cluster.submit(path, "-D", "restart-strategy.type=none")
            cluster.wait_for(lambda: cluster.job(failed)["state"] == "FAILED", "FAILED")
            self.check_all(cluster, failed, "FAILED")
            entry = cluster.get(f"/jobs/{failed}/exceptions")["exceptionHistory"]["entries"][0]
            for part in ("rows", "bad.csv", "BIGINT"):
                self.assertIn(part, entry["stacktrace"])

    def test_metrics_health_and_readiness_of_both_daemons(self):
        with Cluster(taskmanagers=1) as cluster:
            path = cluster.directory / "job.yaml"
            path.write_text(ENDLESS)
            job = cluster.submit(path)
            cluster.wait_state(job, "RUNNING")
            for name in ("/health", "/ready"):
                self.assertEqual(cluster.rest(name)[0], 200)
            values = parse_prometheus(cluster.rest("/metrics")[1])
            self.assertEqual(values["millstream_taskmanagers"][None], 1)
            labels, = values["millstream_job_running"]
            self.assertEqual(values["millstream_job_running"][labels], 1)
            self.assertIn('job_name="endless \\"quoted\\" \\\\ job"', labels)
            port = cluster.get("/taskmanagers")["taskmanagers"][0]["millstream"]["http-port"]

            def of_task_manager(name):
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}{name}", timeout=10) as answer:
                        return answer.status, answer.read().decode()
                except urllib.error.HTTPError as error:
                    return error.code, error.read().decode()

            self.assertEqual(of_task_manager("/health")[0], 200)
            self.assertEqual(of_task_manager("/ready")[0], 200)
            values = parse_prometheus(of_task_manager("/metrics")[1])
            self.assertGreater(values["process_resident_memory_bytes"][None], 0)
            cluster.wait_for(lambda: "millstream_task_records_out_total" in parse_prometheus(of_task_manager("/metrics")[1]),
                             "the task's rows")
            status, text = of_task_manager("/nothing")
            self.assertEqual(status, 404)
            self.assertEqual(list(json.loads(text)), ["errors"])
            cluster.job_manager.kill()
            cluster.wait_for(lambda: of_task_manager("/ready")[0] == 503, "not ready without a JobManager")
            self.assertEqual(of_task_manager("/health")[0], 200)


class Errors(unittest.TestCase):
    def refused(self, cluster, status, part, path, method="GET", body=None):
        with self.subTest(f"{method} {path[:80]}"):
            got, answer = cluster.rest(path, method, body)
            self.assertEqual(got, status, answer)
            self.assertIsInstance(answer, dict)
            self.assertTrue(answer["errors"])
            self.assertIn(part, "\n".join(answer["errors"]))
            return answer

    def test_errors_have_flinks_codes_and_form(self):
        with Cluster(taskmanagers=0) as cluster:
            path = cluster.directory / "job.yaml"
            path.write_text(ENDLESS)
            job = cluster.submit(path)
            self.refused(cluster, 404, "/nosuch", "/nosuch")
            self.refused(cluster, 404, NOBODY, f"/jobs/{NOBODY}")
            for below in ("plan", "config", "status", "exceptions", "definition", "checkpoints", "checkpoints/config",
                          "checkpoints/details/1", f"vertices/{NOBODY}", "metrics", f"vertices/{NOBODY}/metrics"):
                self.refused(cluster, 404, NOBODY, f"/jobs/{NOBODY}/{below}")
                self.refused(cluster, 400, "jobid", f"/jobs/xyz/{below}")
            self.refused(cluster, 404, NOBODY, f"/jobs/{NOBODY}?mode=cancel", "PATCH")
            self.refused(cluster, 400, "xyz", "/jobs/xyz?mode=cancel", "PATCH")
            self.refused(cluster, 400, "bogus", f"/jobs/{job}?mode=bogus", "PATCH")
            self.refused(cluster, 404, NOBODY, f"/jobs/{job}/vertices/{NOBODY}")
            self.refused(cluster, 400, "vertexid", f"/jobs/{job}/vertices/xyz")
            self.refused(cluster, 404, "999999", f"/jobs/{job}/checkpoints/details/999999")
            self.refused(cluster, 400, "xyz", f"/jobs/{job}/checkpoints/details/xyz")
            self.refused(cluster, 404, "999999", f"/jobs/{job}/checkpoints/details/999999/subtasks/{NOBODY}")
            for bad in ("-1", "99999999999999999999999999", "1e3", "0x1", "%20%31"):
                self.refused(cluster, 400, "checkpoint", f"/jobs/{job}/checkpoints/details/{bad}")
            self.refused(cluster, 404, "nobody", "/taskmanagers/nobody")
            for bad in ("0", "-1", "x", ""):
                self.refused(cluster, 400, "maxExceptions", f"/jobs/{job}/exceptions?maxExceptions={bad}")
            self.refused(cluster, 405, "DELETE", "/jobs", "DELETE")
            self.refused(cluster, 405, "PUT", f"/jobs/{job}/status", "PUT", b"{}")
            for huge in ("a" * 900, "f" * 33, "%00", "%2e%2e", "..%2f..%2fetc%2fpasswd", "%ff%fe", "%f0%9f%92%a9"):
                status, answer = cluster.rest(f"/jobs/{huge}")
                self.assertIn(status, (400, 404), huge)
                self.assertTrue(answer["errors"], huge)
            self.assertEqual(cluster.rest("/" + "a" * 2000)[0], 414)
            self.assertEqual(cluster.rest("/jobs/" + "a" * 2000)[0], 414)
            self.assertIn(cluster.rest("/jobs?" + "a" * 200_000)[0], (400, 413, 414, 431))
            self.assertEqual(cluster.get("/overview")["jobs-running"], 1)

    def test_submissions_that_are_none(self):
        with Cluster(taskmanagers=0) as cluster:
            good = {"jobId": "1" * 32, "definition": ENDLESS}
            for body, part in (
                    (b"", "JSON"), (b"{", "JSON"), (b"\xff\xfe", "JSON"), (b"[]", "object"), (b"nonsense", "JSON"),
                    (b'{"jobId": "a", "jobId": "b"}', "JSON"), (b"[" * 100_000, "JSON"),
                    ({}, "jobId"), ({**good, "jobId": 7}, "jobId"), ({**good, "jobId": "xyz"}, "xyz"),
                    ({"jobId": "1" * 32}, "definition"), ({**good, "definition": ["a"]}, "definition"),
                    ({**good, "colour": "red"}, "colour"), ({**good, "parallelism": -1}, "parallelism"),
                    ({**good, "parallelism": "2"}, "parallelism"), ({**good, "parallelism": 10**9}, "parallelism"),
                    ({**good, "parameters": {"a": 1}}, "parameters"), ({**good, "parameters": []}, "parameters"),
                    ({**good, "parameters": {"nobody": "1"}}, "nobody"), ({**good, "config": {"a.b": "1"}}, "a.b"),
                    ({**good, "submitter": 1}, "submitter"), ({**good, "environment": "x"}, "environment"),
                    ({**good, "savepointPath": 3}, "savepointPath"),
                    ({**good, "savepointPath": "/nowhere/chk-1"}, "/nowhere/chk-1"),
                    ({**good, "definition": "a\0b"}, ""), ({**good, "definition": "\x01\x02"}, "")):
                status = 404 if part == "/nowhere/chk-1" else 400
                got, answer = cluster.rest("/jobs", "POST", body)
                self.assertIn(got, (400, status), (str(body)[:100], answer))
                self.assertIn(part, "\n".join(answer["errors"]), str(body)[:100])
            status, answer = cluster.rest("/jobs", "POST", b" " * (17 << 20))
            self.assertEqual(status, 413)
            self.assertIn("larger", answer["errors"][0])
            self.assertEqual(cluster.get("/jobs"), {"jobs": []})
            self.assertEqual(cluster.rest("/jobs", "POST", good)[0], 202)
            # The same submission again is the same job: a client that heard no answer may repeat it.
            self.assertIn(cluster.rest("/jobs", "POST", good)[0], (202, 409))
            self.assertEqual(len(cluster.get("/jobs")["jobs"]), 1)

    def test_slow_and_broken_requests_do_not_hold_others(self):
        with Cluster(taskmanagers=0) as cluster:
            address = ("127.0.0.1", cluster.rest_port)
            held = []
            try:
                for start in (b"", b"GET", b"GET /jobs HTTP/1.1\r\nHost: x\r\n",
                              b"POST /jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{",
                              b"POST /jobs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\nabc"):
                    for _ in range(8):
                        peer = socket.create_connection(address, timeout=5)
                        peer.sendall(start)
                        held.append(peer)
                for _ in range(3):
                    self.assertEqual(cluster.get("/overview")["taskmanagers"], 0)
                for broken in (b"\0" * 100, b"GET / HTTP/9.9\r\n\r\n", b"BREW /jobs HTTP/1.1\r\nHost: x\r\n\r\n",
                               b"POST /jobs HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
                               b"POST /jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
                               b"GET /jobs HTTP/1.1\r\n" + b"X: y\r\n" * 20000 + b"\r\n"):
                    with socket.create_connection(address, timeout=10) as peer:
                        try:
                            peer.sendall(broken)
                            peer.shutdown(socket.SHUT_WR)
                            answer = peer.recv(100)
                        except OSError:
                            answer = b""
                    self.assertFalse(answer.startswith(b"HTTP/1.1 2"), (broken[:30], answer))
            finally:
                for peer in held:
                    peer.close()
            self.assertEqual(cluster.get("/overview")["taskmanagers"], 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
