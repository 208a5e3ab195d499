"""millstream test: what it says and how it exits."""
import pathlib
import subprocess
import tempfile
import unittest

from kit import BIN, ROOT

TEST = (ROOT / "tests/author/windowed.test.yaml").read_text().replace("windowed.yaml",
                                                                      str(ROOT / "tests/author/windowed.yaml"))


def run(text):
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / "x.test.yaml"
        path.write_text(text)
        done = subprocess.run([BIN / "millstream", "test", path], capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


class Author(unittest.TestCase):
    def check(self, old, new, code, *parts):
        self.assertIn(old, TEST)
        got, out = run(TEST.replace(old, new))
        for part in parts:
            self.assertIn(part, out)
        self.assertEqual(got, code, out)

    def test_what_is_expected_comes_in_all_ways(self):
        code, out = run(TEST)
        self.assertEqual((code, out.endswith(": ok\n")), (0, True), out)

    def test_a_difference_is_shown(self):
        self.check("clicks: 2,", "clicks: 3,", 1, "sink result (- expected, + got)",
                   "- +I[ada, 2024-01-31 10:00:00.000, 2024-01-31 10:01:00.000, 3, 4.75]",
                   "+ +I[ada, 2024-01-31 10:00:00.000, 2024-01-31 10:01:00.000, 2, 4.75]", "FAILED straight")

    def test_a_row_too_many_and_one_too_few(self):
        self.check("  dead:\n", "  dead: [{cause: x}]\n", 1, "sink dead", "- +I[null, x, null")
        self.check("  late:\n    - {user: bob, price: 7, at: 2024-01-31 10:00:59}\n", "  late: []\n", 1,
                   "sink late", "+ +I[bob, 7.00, 2024-01-31 10:00:59.000]")

    def test_what_is_wrong_is_named_with_its_line(self):
        self.check("price: 1.50", "price: x", 1, 'line 5: column "price": DECIMAL(10, 2) expected, got x')
        self.check("{user: ada, price: 1.50", "{usr: ada, price: 1.50", 1,
                   'line 5: there is no column "usr" in (user STRING')
        self.check("watermark: 2024-01-31 10:01:30", "watermark: soon", 1, "line 10: a watermark is a time")
        self.check("  clicks:\n", "  click:\n", 1, 'the job has no source "click"')
        self.check("  late:\n", "  later:\n", 1, 'the job has no sink "later"')
        self.check("sources:", "source:", 2, 'unknown key "source": did you mean sources')
        self.check("job: ", "job: /nowhere", 2, "No such file or directory")
        self.check("job: ", "jobs: [", 2, "error:")


if __name__ == "__main__":
    unittest.main()
