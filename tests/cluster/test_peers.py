"""Peers that greet wrongly, say too much or register twice: each is refused in words and harms nobody."""
import socket
import threading
import unittest

import wire
from kit import ROOT, Cluster, read_counts, write_text

WORDCOUNT = ROOT / "examples/wordcount-file.yaml"


def data_port(daemon):
    return int(daemon.started()["data"].rsplit(":", 1)[1])


def wait_log(cluster, daemon, words):
    return cluster.wait_for(lambda: [l for l in daemon.log().splitlines() if words in l], f'"{words}" in {daemon.name}\'s log')


class Greetings(unittest.TestCase):
    def test_another_major_is_refused_on_both_ports(self):
        with Cluster(taskmanagers=1) as cluster:
            with wire.dial(cluster.rpc_port) as peer:
                peer.sendall(wire.rpc_hello(2, 7))
                answer = wire.closed_by_peer(peer)
            self.assertIn(b"MSRP\x01\x00", answer, "the refused side must learn the version too")
            line = wait_log(cluster, cluster.job_manager, "speaks RPC version 2.7")[0]
            self.assertIn("rpc_connection_refused peer=127.0.0.1", line)
            self.assertIn("this one 1.0: upgrade the older one", line)

            worker = cluster.task_managers[0]
            with wire.dial(data_port(worker)) as peer:
                peer.sendall(wire.exchange_hello(2, 7))
                wire.closed_by_peer(peer)
            wait_log(cluster, worker, "data protocol 2.7 does not work with 1.0 here")
            with wire.dial(data_port(worker)) as peer:
                peer.sendall(wire.exchange_hello(1, 0, cluster=b"other"))
                wire.closed_by_peer(peer)
            wait_log(cluster, worker, "cluster.id is 'other' there and 'default' here")
            self.assertEqual(cluster.get("/overview")["taskmanagers"], 1)

    def test_a_task_manager_says_that_its_job_manager_is_of_another_major(self):
        with Cluster(taskmanagers=0) as cluster, socket.create_server(("127.0.0.1", 0)) as listener:
            def serve():
                while True:
                    try:
                        peer, _ = listener.accept()
                    except OSError:
                        return
                    peer.sendall(wire.rpc_hello(9))
                    wire.closed_by_peer(peer)

            threading.Thread(target=serve, daemon=True).start()
            worker = cluster.add_task_manager(jobmanager__rpc__port=listener.getsockname()[1])
            wait_log(cluster, worker, "the other side speaks RPC version 9.0, this one 1.0")
            self.assertIsNone(worker.process.poll(), "it has to try again: the JobManager may be upgraded")

    def test_too_much_before_the_registration(self):
        with Cluster(taskmanagers=1) as cluster:
            oversized = (wire.PAYLOAD_MAX + 1).to_bytes(4, "little") + b"\1" + bytes(11)
            many = wire.frame(wire.KIND_MESSAGE, bytes(40_000), wire.FLAG_MORE)
            cases = [
                (cluster.rpc_port, cluster.job_manager, oversized, "frame of 262145 bytes, at most 262144"),
                (cluster.rpc_port, cluster.job_manager, wire.rpc_hello(1) + wire.frame(wire.KIND_MESSAGE, bytes(65_537)),
                 "more than 64 KiB before the registration"),
                (cluster.rpc_port, cluster.job_manager, wire.rpc_hello(1) + many * 2,
                 "more than 64 KiB before the registration"),
                (cluster.rpc_port, cluster.job_manager, wire.frame(wire.KIND_MESSAGE, b"x"),
                 "does not speak Millstream's RPC"),
                (data_port(cluster.task_managers[0]), cluster.task_managers[0], oversized,
                 "frame of 262145 bytes, at most 262144"),
                (data_port(cluster.task_managers[0]), cluster.task_managers[0],
                 wire.frame(5, bytes(wire.PAYLOAD_MAX)), "the first frame is no HELLO"),
            ]
            for port, daemon, data, words in cases:
                with wire.dial(port) as peer:
                    try:
                        peer.sendall(data)
                    except ConnectionError:
                        pass  # closed while we spoke
                    wire.closed_by_peer(peer)
                wait_log(cluster, daemon, words)
            self.assertEqual(cluster.get("/overview")["taskmanagers"], 1)


class Registrations(unittest.TestCase):
    def test_a_task_manager_that_registers_twice(self):
        """The second registration of an incarnation ends the first; the process comes back and the job goes on."""
        with Cluster(taskmanagers=0) as cluster:
            relay = wire.Relay(cluster.rpc_port)
            cluster.add_task_manager(jobmanager__rpc__port=relay.port)
            cluster.wait_task_managers(1)
            expected = write_text(cluster.directory / "in.txt", 20000)
            job = cluster.submit(WORDCOUNT, "-D", "execution.checkpointing.interval=100ms",
                                 input=cluster.directory / "in.txt", output=cluster.directory / "out", rate=10000)
            cluster.wait_for(lambda: cluster.completed_checkpoints(job) >= 2, "checkpoints")
            first = relay.registrations[0]
            with wire.dial(cluster.rpc_port) as twin:
                twin.sendall(first)
                wait_log(cluster, cluster.job_manager, "it has registered again")
                # One of them at a time: never twice the slots.
                self.assertLessEqual(cluster.get("/overview")["slots-total"], 1)
                cluster.wait_for(lambda: len(relay.registrations) >= 2, "the process itself again")
            self.assertEqual(cluster.wait_state(job, "FINISHED")["state"], "FINISHED")
            self.assertEqual(read_counts(cluster.directory / "out"), expected)
            self.assertGreaterEqual(cluster.job(job)["millstream"]["restarts"], 1)
            self.assertEqual(cluster.get("/overview")["taskmanagers"], 1)
            relay.close()

    def test_two_processes_of_one_name(self):
        """The second is refused while the first lives, and takes its place when it is gone."""
        name = {"taskmanager.resource-id": "red"}
        with Cluster(taskmanagers=0) as cluster:
            first = cluster.add_task_manager(**name)
            cluster.wait_task_managers(1)
            second = cluster.add_task_manager(**name)
            line = wait_log(cluster, second, "registration_refused")[0]
            self.assertIn("another TaskManager of the name red", line)
            self.assertIn("taskmanager.resource-id", line)
            self.assertNotIn("jobmanager_lost", first.log())
            cluster.kill_task_manager(first)
            wait_log(cluster, second, " registered ")
            cluster.wait_task_managers(1)


if __name__ == "__main__":
    unittest.main()
