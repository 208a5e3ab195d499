"""The command line against a real cluster: texts, JSON, references to jobs, exit codes, and what is refused."""
import json
import re
import subprocess
import unittest

from kit import BIN, ROOT, Cluster, write_text

WORDCOUNT = ROOT / "examples/wordcount-file.yaml"

ENDLESS = """
name: %s
nodes:
  rows:
    source: {datagen: {rate: 500}}
    schema: {k: bigint}
  out: {from: rows, sink: blackhole}
"""

PARAMETERS = """
# a comment that is kept
name: with-parameters
parameters: {rate, label: "a b"}
nodes:
  rows:
    source: {datagen: {rate: "${rate}"}}
    schema: {k: bigint}
  named: {from: rows, set: {label: "'${label}'"}}
  out: {from: named, sink: blackhole}
"""


def millstream(*arguments, stdin=None):
    return subprocess.run([str(BIN / "millstream"), *map(str, arguments)], capture_output=True, text=True,
                          timeout=60, input=stdin)


class Jobs(unittest.TestCase):
    def submit_endless(self, cluster, name):
        path = cluster.directory / f"{name}.yaml"
        path.write_text(ENDLESS % name)
        return cluster.submit(path)

    def test_list_status_cancel(self):
        with Cluster(taskmanagers=1, slots=3) as cluster:
            first = self.submit_endless(cluster, "first")
            twins = [self.submit_endless(cluster, "twin"), self.submit_endless(cluster, "twin")]
            for job in (first, *twins):
                cluster.wait_state(job, "RUNNING")
            shown = cluster.cli("list").stdout
            self.assertIn("Running/Restarting Jobs", shown)
            self.assertRegex(shown, rf"\d\d\.\d\d\.\d{{4}} \d\d:\d\d:\d\d : {first} : first \(RUNNING\)")
            self.assertIn("No Scheduled Jobs.", shown)
            listed = json.loads(cluster.cli("list", "--output", "json").stdout)
            self.assertEqual({j["jid"] for j in listed}, {first, *twins})

            # By id, by a prefix of it and by name.
            for reference in (first, first.upper(), first[:8], "first"):
                self.assertIn(first, cluster.cli("status", reference).stdout, reference)
            self.assertEqual(json.loads(cluster.cli("status", "--output", "json", "first").stdout)["jid"], first)
            screen = cluster.cli("status", "first").stdout
            for part in ("Job first", "RUNNING for", "0 restarts", "rows", "out", "rows/s", "checkpoint"):
                self.assertIn(part, screen)
            self.assertNotIn("restarts, -", screen)
            self.assertLess(len(screen.splitlines()), 25)
            ambiguous = cluster.cli("cancel", "twin", check=False)
            self.assertEqual(ambiguous.returncode, 1)
            self.assertIn("2 jobs", ambiguous.stderr)
            for unknown in ("nobody", "0" * 32, first[:3], "", "../overview", first + "0"):
                done = cluster.cli("status", unknown, check=False)
                self.assertEqual(done.returncode, 1, unknown)
                self.assertIn("no job", done.stderr)

            overview = cluster.cli("status").stdout
            self.assertIn("1 TaskManagers, 3 slots, 0 free", overview)
            self.assertIn("3 jobs running", overview)
            answer = json.loads(cluster.cli("status", "--output", "json").stdout)
            self.assertEqual(answer["overview"]["slots-total"], 3)
            self.assertEqual(len(answer["jobs"]), 3)

            self.assertEqual(cluster.cli("cancel", "first").stdout, f"Cancelled job {first}.\n")
            again = cluster.cli("cancel", first, check=False)
            self.assertEqual((again.returncode, again.stdout), (0, f"Cancelled job {first}.\n"))
            self.assertNotIn(first, cluster.cli("list").stdout)
            self.assertIn(f"{first} : first (CANCELED)", cluster.cli("list", "-a").stdout)
            # A name stands for an unfinished job only; the id for ever.
            self.assertEqual(cluster.cli("status", "first", check=False).returncode, 1)
            self.assertIn("CANCELED", cluster.cli("status", first[:10]).stdout)
            canceled = json.loads(cluster.cli("cancel", "--output", "json", twins[0]).stdout)
            self.assertEqual(canceled, {"jobid": twins[0], "status": "CANCELED"})
            self.assertIn(twins[1], cluster.cli("status", "twin").stdout)

    def test_cancel_of_a_finished_job_says_so(self):
        with Cluster(taskmanagers=1) as cluster:
            write_text(cluster.directory / "in.txt", 10)
            job = cluster.submit(WORDCOUNT, input=cluster.directory / "in.txt", output=cluster.directory / "out")
            cluster.wait_state(job, "FINISHED")
            done = cluster.cli("cancel", job, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn("ended", done.stderr)
            self.assertEqual(cluster.job(job)["state"], "FINISHED")

    def test_run_follows_and_exits_as_the_job_ends(self):
        with Cluster(taskmanagers=1) as cluster:
            write_text(cluster.directory / "in.txt", 10)
            given = [f"--param=input={cluster.directory}/in.txt", f"--param=output={cluster.directory}/out"]
            done = cluster.cli("run", *given, WORDCOUNT)
            self.assertRegex(done.stdout, r"^Job has been submitted with JobID [0-9a-f]{32}\nJob [0-9a-f]{32} has finished")
            done = cluster.cli("run", "--output=json", *given, WORDCOUNT)
            self.assertEqual(json.loads(done.stdout)["status"], "FINISHED")
            done = cluster.cli("run", "-d", "--output", "json", *given, WORDCOUNT)
            self.assertRegex(json.loads(done.stdout)["jobid"], "^[0-9a-f]{32}$")
            bad = cluster.directory / "bad.yaml"
            bad.write_text("name: bad\nnodes:\n  rows:\n    source: {file: {path: \"%s\"}}\n    format: csv\n"
                           "    schema: {n: bigint}\n  out: {from: rows, sink: blackhole}\n" % (cluster.directory / "in.txt"))
            done = cluster.cli("run", "-D", "restart-strategy.type=none", bad, check=False)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn("in.txt", done.stderr)
            # From standard input, and interrupted: the job runs on.
            command = [str(BIN / "millstream"), "run", "-m", f"127.0.0.1:{cluster.rest_port}", "-"]
            for option, state in ((), "RUNNING"), (("-sae",), "CANCELED"):
                process = subprocess.Popen([*command[:-1], *option, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                           stderr=subprocess.PIPE, text=True)
                process.stdin.write(ENDLESS % "endless")
                process.stdin.close()
                job = re.search(r"JobID ([0-9a-f]{32})", process.stdout.readline())[1]
                cluster.wait_state(job, "RUNNING")
                process.send_signal(2)
                self.assertEqual(process.wait(timeout=30), 130)
                said = process.stderr.read()
                process.stdout.close()
                process.stderr.close()
                self.assertIn(job, said)
                if option:
                    cluster.wait_for(lambda: cluster.job(job)["state"] == state, state)
                else:
                    self.assertEqual(cluster.job(job)["state"], state)
                    cluster.cli("cancel", job)

    def test_definition_and_plan(self):
        with Cluster(taskmanagers=1) as cluster:
            path = cluster.directory / "job.yaml"
            path.write_text(PARAMETERS)
            job = cluster.submit(path, rate="700")
            shown = cluster.cli("info", "--definition", job).stdout
            self.assertTrue(shown.endswith(PARAMETERS))
            self.assertRegex(shown, rf"# job {job}, submitted by \S+@\S+\n")
            self.assertIn("# --param rate=700\n", shown)
            answer = json.loads(cluster.cli("info", "--definition", "--output=json", "with-parameters").stdout)
            self.assertEqual(answer["definition"], PARAMETERS)
            self.assertEqual(answer["parameters"]["rate"], "700")
        plan = millstream("info", "-p", 3, "--param", "rate=1", "-", stdin=PARAMETERS)
        self.assertEqual(plan.returncode, 0, plan.stderr)
        for name in ("rows", "named", "out"):
            self.assertIn(name, plan.stdout)
        nodes = json.loads(millstream("info", "-p3", "--param=rate=1", "--output=json", "-", stdin=PARAMETERS).stdout)["nodes"]
        self.assertEqual({node["parallelism"] for node in nodes}, {3})


class Usage(unittest.TestCase):
    def refused(self, part, *arguments, code=2, stdin=None):
        with self.subTest(" ".join(arguments)):
            done = millstream(*arguments, stdin=stdin)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertIn(part, done.stderr)
            self.assertEqual(done.stdout, "")

    def test_unknown_commands_and_options(self):
        self.refused("did you mean status", "statsu")
        self.refused("millstream help", "xyzzy")
        self.refused("", )
        self.refused("did you mean --param", "run", "--parm", "a=b", "x.yaml")
        self.refused("did you mean --definition", "info", "--definitoin", "x")
        self.refused("unknown option --local", "list", "--local")
        self.refused("unknown option", "list", "-d")
        self.refused("needs a value", "run", "--param")
        self.refused("name=value", "run", "--param", "novalue", "x.yaml")
        self.refused("name=value", "run", "-D", "=x", "x.yaml")
        self.refused("usage", "run")
        self.refused("usage", "cancel")
        self.refused("usage", "cancel", "a", "b")
        self.refused("expected text or json", "list", "--output", "xml")
        for number in ("0", "-1", "x", "", "1.5", "99999999999999999999"):
            self.refused("expected a number", "run", "-p", number, "x.yaml")
        self.refused("/nowhere.yaml", "run", "/nowhere.yaml")
        self.refused("/tmp", "run", "/tmp")
        self.assertEqual(millstream("help").returncode, 0)
        self.assertIn("millstream run", millstream("--help").stdout)
        self.assertRegex(millstream("--version").stdout, r"^millstream \d+\.\d+\.\d+\n$")
        self.refused("usage", "schema")
        json.loads(millstream("schema", "job").stdout)

    def test_parameters_and_keys(self):
        self.refused("rate", "info", "-", stdin=PARAMETERS)
        self.refused("ratio", "info", "--param", "rate=1", "--param", "ratio=2", "-", stdin=PARAMETERS)
        self.refused("rest.port", "info", "--param", "rate=1", "-D", "rest.port=1", "-", stdin=PARAMETERS)
        self.refused("execution.checkpointing.interval", "info", "--param", "rate=1",
                     "-D", "execution.checkpointing.intervall=1s", "-", stdin=PARAMETERS)
        self.refused("execution.checkpointing.interval", "info", "--param", "rate=1",
                     "-D", "execution.checkpointing.interval=soon", "-", stdin=PARAMETERS)

    def test_cluster_keys_are_refused_by_a_cluster(self):
        with Cluster(taskmanagers=0) as cluster:
            done = cluster.cli("run", "-d", "--param=rate=1", "-D", "taskmanager.numberOfTaskSlots=4", "-",
                               stdin=PARAMETERS, check=False)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn("taskmanager.numberOfTaskSlots", done.stderr)
            self.assertEqual(cluster.get("/jobs"), {"jobs": []})

    def test_what_is_no_cluster(self):
        self.refused("127.0.0.1:1", "status", "-m", "127.0.0.1:1", code=3)
        self.refused("nobody.invalid", "list", "-m", "nobody.invalid:8081", code=3)
        self.refused("", "list", "-m", "not an address", code=3)


class Strangers(unittest.TestCase):
    def test_another_server_at_the_address(self):
        """Whatever answers there, the client says that it is no JobManager."""
        import http.server
        import threading

        class Other(http.server.BaseHTTPRequestHandler):
            body = b""
            status = 200

            def answer(self):
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.send_response(self.status)
                self.send_header("Content-Length", str(len(self.body)))
                self.end_headers()
                self.wfile.write(self.body)

            do_GET = do_POST = do_PATCH = answer

            def log_message(self, *ignored):
                pass

        server = http.server.HTTPServer(("127.0.0.1", 0), Other)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            address = f"127.0.0.1:{server.server_address[1]}"
            for status, body in ((200, b"<html>"), (200, b"{}"), (200, b"[]"), (200, b"null"), (500, b"oops"),
                                 (200, b'{"jobs":[{"jid":7}]}'), (404, b'{"errors":[1]}'), (302, b"")):
                Other.status, Other.body = status, body
                for command in (["list"], ["status"], ["status", "abcd"], ["cancel", "abcd"], ["info", "--definition", "x"],
                                ["run", "--param=rate=1", "-"]):
                    done = millstream(command[0], "-m", address, *command[1:],
                                      stdin=PARAMETERS if command[0] == "run" else None)
                    empty = body.startswith(b'{"jobs"') and command == ["list"]
                    self.assertIn(done.returncode, (0,) if empty else (1, 2, 3), (status, body, command, done))
                    self.assertTrue(done.stderr or empty, (status, body, command))
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


if __name__ == "__main__":
    unittest.main(verbosity=2)
