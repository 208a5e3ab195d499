"""Secrets: only the process that opens a connector has them, and nothing that is kept or shown does."""
import re
import socket
import threading
import unittest

from kit import Cluster

CANARY = "canary-7f31c0ffee"

JOB = """
name: greeted
parameters: {port}
nodes:
  rows: {source: {datagen: {rate: 200}}, schema: {id: bigint}}
  out: {from: rows, sink: {socket: {address: "127.0.0.1:${port}", greeting: "${secret:out-password}"}}, format: csv}
"""


class Server:
    """Takes connections and keeps the first line of each."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.greetings = []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.take, args=(connection,), daemon=True).start()

    def take(self, connection):
        with connection, connection.makefile("rb") as lines:
            self.greetings.append(lines.readline().decode().strip())
            while lines.readline():
                pass


def holders(directory, but):
    """Files below the directory that hold the canary."""
    return [str(path) for path in directory.rglob("*")
            if path.is_file() and path != but and CANARY.encode() in path.read_bytes()]


class Secrets(unittest.TestCase):
    def test_a_secret_reaches_only_the_connector(self):
        server = Server()
        with Cluster(taskmanagers=0, options={"log.level": "debug"}) as cluster:
            secrets = cluster.directory / "secrets"
            secrets.mkdir()
            (secrets / "out-password").write_text(CANARY + "\n")
            first = cluster.add_task_manager(security__secrets__dir=secrets)
            cluster.wait_task_managers(1)
            job_path = cluster.directory / "greeted.yaml"
            job_path.write_text(JOB)
            job = cluster.submit(job_path, "-D", "execution.checkpointing.interval=100ms", port=server.port)
            cluster.wait_for(lambda: server.greetings == [CANARY], "the greeting")
            cluster.wait_for(lambda: cluster.completed_checkpoints(job) >= 2, "checkpoints")

            # Read again at each restart: here another value, on another TaskManager.
            (secrets / "out-password").write_text(CANARY + "-2")
            cluster.kill_task_manager(first)
            cluster.add_task_manager(security__secrets__dir=secrets)
            cluster.wait_for(lambda: server.greetings[1:] == [CANARY + "-2"], "the second greeting")

            vertex = cluster.job(job)["vertices"][0]["id"]
            for path in [f"/jobs/{job}", f"/jobs/{job}/plan", f"/jobs/{job}/config", f"/jobs/{job}/checkpoints",
                         f"/jobs/{job}/exceptions", f"/jobs/{job}/definition", f"/jobs/{job}/vertices/{vertex}",
                         "/jobs/overview", "/taskmanagers", "/config", "/jobmanager/config", "/metrics"]:
                status, answer = cluster.rest(path)
                self.assertNotIn(CANARY, str(answer), path)
                if path.endswith("/definition"):
                    self.assertIn("${secret:out-password}", str(answer))
            for command in [("info", "--definition", job), ("info", job_path, "--param", f"port={server.port}"),
                            ("status", job)]:
                done = cluster.cli(*command)
                self.assertNotIn(CANARY, done.stdout + done.stderr)
            self.assertEqual(holders(cluster.directory, secrets / "out-password"), [])
            self.assertTrue(list((cluster.directory / "checkpoints").rglob("_metadata")), "no checkpoint was searched")
            self.assertTrue(list((cluster.directory / "ha").rglob("*")), "no job store was searched")
            cluster.cli("cancel", job)
            self.assertEqual(holders(cluster.directory, secrets / "out-password"), [])

    def test_a_missing_secret_fails_at_once_and_is_named(self):
        with Cluster(taskmanagers=1) as cluster:
            job_path = cluster.directory / "greeted.yaml"
            job_path.write_text(JOB)
            job = cluster.submit(job_path, port=1)
            cluster.wait_for(lambda: cluster.job(job)["state"] == "FAILED", "the failure", timeout=10)
            failure = cluster.get(f"/jobs/{job}/exceptions")["exceptionHistory"]["entries"][0]["stacktrace"]
            self.assertRegex(failure, 'node "out", option greeting: secret "out-password" is missing on '
                             + re.escape(socket.gethostname()))
            self.assertIn("security.secrets.dir", failure)
            self.assertIn("MILLSTREAM_SECRET_OUT_PASSWORD", failure)
            self.assertEqual(sum(v["metrics"]["write-records"] for v in cluster.job(job)["vertices"]), 0)

    def test_a_secret_in_the_job_itself_is_a_warning(self):
        with Cluster(taskmanagers=0) as cluster:
            job_path = cluster.directory / "greeted.yaml"
            job_path.write_text(JOB.replace("${secret:out-password}", "hunter2"))
            done = cluster.cli("info", job_path, "--param", "port=1")
            self.assertRegex(done.stderr + done.stdout, 'the secret option "greeting" is written in the job itself')
            job_path.write_text(JOB.replace('"127.0.0.1:${port}"', '"${secret:address}"'))
            done = cluster.cli("info", job_path, "--param", "port=1", check=False)
            self.assertEqual(done.returncode, 2)
            self.assertIn('option "address" is not secret', done.stderr)


if __name__ == "__main__":
    unittest.main()
