"""tools/quickstart-kafka.sh as `make quickstart-kafka` runs it, elsewhere: equal counts, and nothing stays behind."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

from kit import BIN, ROOT

sys.path.insert(0, str(ROOT / "tools/kafka"))
from broker import free_ports  # noqa: E402


class Quickstart(unittest.TestCase):
    def processes(self, directory):
        """Those whose command line names the directory."""
        found = []
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                command = path.read_bytes()
            except OSError:
                continue
            if str(directory).encode() in command:
                found.append(command)
        return found

    @unittest.skipUnless(BIN.resolve() == (ROOT / "build/bin").resolve(), "the script runs what is in build/bin")
    def test_counts_are_equal_and_everything_is_stopped(self):
        rest, rpc = free_ports(2)
        with tempfile.TemporaryDirectory(prefix="millstream-test-") as directory:
            environment = {
                **os.environ, "QUICKSTART_DIR": directory, "QUICKSTART_LINES": "20000", "CLUSTER_REST": f"127.0.0.1:{rest}",
                "CLUSTER_OPTIONS": f"-D rest.port={rest} -D jobmanager.rpc.port={rpc} -D taskmanager.http.port=0"}
            done = subprocess.run([str(ROOT / "tools/quickstart-kafka.sh")], env=environment, capture_output=True,
                                  text=True, timeout=300)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertRegex(done.stdout, r"\nequal: \d+ different words, 200000 in all\n")
            self.assertIn("RUNNING for", done.stdout)
            self.assertRegex(done.stdout, r", [1-9]\d* restarts\n")
            self.assertGreaterEqual(int(re.search(r"\nrecords: \d+; (\d+) came", done.stdout).group(1)), 0)
            self.assertIn("stopped. The same by hand:", done.stdout)
            self.assertEqual(self.processes(directory), [])
            self.assertEqual(sorted(p.name for p in pathlib.Path(directory).iterdir()),
                             ["actual", "broker", "expected", "records", "submitted", "text.txt"])


if __name__ == "__main__":
    unittest.main()
