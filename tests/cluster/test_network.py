"""A cluster over several hosts: each daemon in a network namespace with an address of its own."""
import contextlib
import ctypes
import os
import subprocess
import unittest

from kit import ROOT, Cluster, read_counts, write_text

WORDCOUNT = ROOT / "examples/wordcount-file.yaml"
CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True)


class Network:
    """Namespaces 10.77.0.1 to .N, joined by a bridge in a namespace of its own: the host's stays as it is."""

    def __init__(self, test, count):
        self.name = f"mst{os.getpid()}"
        self.hosts = [f"{self.name}-{i + 1}" for i in range(count)]
        test.addCleanup(self.remove)
        try:
            run("ip", "netns", "add", self.name)
            run("ip", "-n", self.name, "link", "add", "bridge", "type", "bridge")
            run("ip", "-n", self.name, "link", "set", "bridge", "up")
            for i, host in enumerate(self.hosts):
                run("ip", "netns", "add", host)
                run("ip", "-n", self.name, "link", "add", f"port{i + 1}", "type", "veth", "peer", "name", "eth0",
                    "netns", host)
                run("ip", "-n", self.name, "link", "set", f"port{i + 1}", "master", "bridge", "up")
                run("ip", "-n", host, "addr", "add", f"10.77.0.{i + 1}/24", "dev", "eth0")
                run("ip", "-n", host, "link", "set", "eth0", "up")
                run("ip", "-n", host, "link", "set", "lo", "up")
        except (OSError, subprocess.CalledProcessError) as error:
            test.skipTest(f"SKIPPED: no network namespaces can be made here: {getattr(error, 'stderr', error)}")

    def prefix(self, number):
        return ("ip", "netns", "exec", self.hosts[number - 1])

    def set_link(self, number, state):
        """The bridge's side: the host itself sees no carrier change that would end its connections."""
        run("ip", "-n", self.name, "link", "set", f"port{number}", state)

    @contextlib.contextmanager
    def inside(self, number):
        """This thread in that namespace."""
        with open("/proc/self/ns/net") as home, open(f"/run/netns/{self.hosts[number - 1]}") as there:
            if LIBC.setns(there.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            try:
                yield
            finally:
                assert LIBC.setns(home.fileno(), CLONE_NEWNET) == 0

    def remove(self):
        for name in [*self.hosts, self.name]:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


class NetworkCluster(Cluster):
    """The JobManager on host 1, a TaskManager on each other one."""

    def __init__(self, network, options):
        super().__init__(taskmanagers=len(network.hosts) - 1, options={
            "security.insecure": "true", "jobmanager.bind-host": "0.0.0.0", "rest.bind-address": "0.0.0.0",
            "taskmanager.bind-host": "0.0.0.0", "jobmanager.rpc.address": "10.77.0.1", **options})
        self.network = network
        self.job_manager_prefix = network.prefix(1)
        self.next_host = 2

    def add_task_manager(self, **options):
        host, self.next_host = self.next_host, self.next_host + 1
        return super().add_task_manager(prefix=self.network.prefix(host), **options)

    def rest(self, path, method="GET", body=None):
        with self.network.inside(1):
            return super().rest(path, method, body)

    def cli(self, *arguments, **options):
        with self.network.inside(1):
            return super().cli(*arguments, **options)


@unittest.skipUnless(os.geteuid() == 0, "SKIPPED: network namespaces need root")
class Hosts(unittest.TestCase):
    def test_different_addresses_and_a_killed_host(self):
        network = Network(self, 3)
        with NetworkCluster(network, {"execution.checkpointing.interval": "200ms"}) as cluster:
            paths = sorted(t["path"].rsplit(":", 1)[0] for t in cluster.get("/taskmanagers")["taskmanagers"])
            self.assertEqual(paths, ["10.77.0.2", "10.77.0.3"], "a TaskManager advertises its connection's address")
            expected = write_text(cluster.directory / "in.txt", 30000)
            job = cluster.submit(WORDCOUNT, "-p", "2", input=cluster.directory / "in.txt",
                                 output=cluster.directory / "out", rate=8000)
            cluster.wait_for(lambda: cluster.completed_checkpoints(job) >= 2, "two checkpoints")
            cluster.kill_task_manager(cluster.task_managers[0])
            cluster.next_host = 2
            cluster.add_task_manager()
            view = cluster.wait_state(job, "FINISHED", timeout=90)
            self.assertGreaterEqual(view["millstream"]["restarts"], 1)
            self.assertEqual(read_counts(cluster.directory / "out"), expected)

    def test_a_host_that_is_cut_off_and_comes_back(self):
        """Longer than the heartbeat timeout: the job is restarted where it can, and the lost host registers again."""
        network = Network(self, 3)
        options = {"execution.checkpointing.interval": "200ms", "heartbeat.interval": "300ms", "heartbeat.timeout": "1500ms"}
        with NetworkCluster(network, options) as cluster:
            expected = write_text(cluster.directory / "in.txt", 40000)
            job = cluster.submit(WORDCOUNT, "-p", "2", input=cluster.directory / "in.txt",
                                 output=cluster.directory / "out", rate=8000)
            cluster.wait_for(lambda: cluster.completed_checkpoints(job) >= 2, "two checkpoints")
            lost = cluster.task_managers[1]
            network.set_link(3, "down")
            cluster.wait_task_managers(1)
            cluster.wait_for(lambda: cluster.job(job)["state"] != "RUNNING" or cluster.job(job)["millstream"]["waiting-for"],
                             "the job to notice")
            failure = cluster.job(job)["millstream"]["last-failure"]["message"]
            self.assertRegex(failure, "heartbeat|no longer reachable|lost")
            # The lost one must stop its tasks by itself: its leader cannot tell it.
            cluster.wait_for(lambda: "heartbeat" in lost.log() or "cancel" in lost.log(), "the lost one to notice")
            network.set_link(3, "up")
            cluster.wait_task_managers(2, timeout=60)
            view = cluster.wait_state(job, "FINISHED", timeout=90)
            self.assertGreaterEqual(view["millstream"]["restarts"], 1)
            self.assertEqual(read_counts(cluster.directory / "out"), expected)
            self.assertEqual(lost.process.poll(), None)


if __name__ == "__main__":
    unittest.main(verbosity=2)
