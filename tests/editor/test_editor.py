#!/usr/bin/env python3
"""docs/job.schema.json in an editor: a YAML language server checks the examples, completes and explains.

    test_editor.py PATH-OF-YAML-LANGUAGE-SERVER
"""
import pathlib
import re
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE))
from language_server import LanguageServer  # noqa: E402

PROGRAM = None
NODE = "name: x\nnodes:\n  lines:\n    "
KAFKA = NODE + "source:\n      kafka:\n        brokers: a:1\n        "


class Editor(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = LanguageServer(PROGRAM, ROOT / "docs/job.schema.json")
        cls.server.__enter__()
        cls.addClassCleanup(cls.server.__exit__)

    def offers(self, text, *names, but=()):
        offered = self.server.complete(text)
        self.assertEqual([n for n in names if n not in offered], [], sorted(offered))
        self.assertEqual([n for n in but if n in offered], [], sorted(offered))

    def test_examples_are_right_and_a_wrong_key_in_them_is_not(self):
        examples = [p for p in sorted((ROOT / "examples").glob("*.yaml")) if not p.name.endswith(".test.yaml")]
        self.assertGreater(len(examples), 5)
        for path in examples:
            with self.subTest(path.name):
                text = path.read_text()
                self.assertEqual(self.server.check(text), [])
                wrong = re.sub(r"(?m)^(    )from:", r"\1form:", text, count=1)
                line = wrong[:wrong.index("    form:")].count("\n") + 1
                found = self.server.check(wrong)
                self.assertIn(line, [at for at, message in found if "form" in message], found)

    def test_golden_jobs_are_right(self):
        for path in sorted((ROOT / "tests/jobs").glob("*.yaml")):
            with self.subTest(path.name):
                self.assertEqual(self.server.check(path.read_text()), [])

    def test_keys_of_a_job(self):
        self.offers("name: x\n@\n", "nodes", "parameters", "config", "parallelism", "on_error", but=["name", "source"])
        self.offers("name: x\non_error: @\n", "fail", "skip")

    def test_clauses_of_a_node(self):
        self.offers(NODE + "@\n", "source", "from", "select", "where", "unnest", "key_by", "window", "aggregate", "emit",
                    "sink", "format", "schema", "watermark", "on_error")
        self.offers(NODE + "from: a\n    @\n", "where", but=["from"])
        self.offers(NODE + "from: a\n    emit: @\n", "each", "end")
        self.offers(NODE + "from: a\n    window:\n      t@\n", "tumbling", "hopping", "session")

    def test_connectors_formats_and_their_options(self):
        self.offers(NODE + "source:\n      k@\n", "kafka", "file", "socket", "datagen", but=["print", "blackhole"])
        self.offers(NODE + "source: @\n", "kafka", "file")
        self.offers(NODE + "from: a\n    sink:\n      k@\n", "kafka", "file", "print", but=["datagen"])
        self.offers(NODE + "from: a\n    sink: @\n", "print", "blackhole")
        self.offers(NODE + "format: @\n", "csv", "json", "raw")
        self.offers(KAFKA + "@\n", "topics", "group", "start", "end", but=["brokers", "path"])
        self.offers(KAFKA + "start: @\n", "earliest", "latest")
        self.offers(NODE + "source:\n      file:\n        @\n", "path", "rate", but=["topics"])

    def test_options_are_explained(self):
        self.assertIn("host:port", self.server.hover(NODE + "source:\n      kafka:\n        bro@kers: a:1\n").lower())
        self.assertIn("writes rows", self.server.hover(NODE + "from: a\n    si@nk: print\n").lower())

    def test_what_is_wrong_is_marked(self):
        for text, line, word in (
                (KAFKA + "topik: t\n", 7, "topik"),
                (NODE + "source: {nothing: {}}\n", 4, "kafka"),
                (NODE + "form: a\n", 4, "form"),
                ("name: x\nnods: {}\n", 2, "nods"),
                (NODE + "from: a\n    emit: sometimes\n", 5, "each"),
                (NODE + "from: a\n    on_error: ignore\n", 5, "skip"),
                ("name: x\nnodes:\n  Upper:\n    from: a\n", 3, "")):
            with self.subTest(text):
                found = self.server.check(text)
                self.assertTrue([m for at, m in found if at == line and word in m], found)


if __name__ == "__main__":
    PROGRAM = sys.argv[1]
    program = unittest.main(argv=sys.argv[:1], exit=False, verbosity=2)
    result = program.result
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - bad} passed, {bad} failed")
    sys.exit(1 if bad else 0)
