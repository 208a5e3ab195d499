#!/usr/bin/env python3
"""Golden jobs: every job here runs in one process (run --local) in several ways, always with the same result.

tests/jobs/NAME.yaml      has the parameters in (the folder in/) and out (an empty directory), comments
                          "# compare OUTPUT: WAY" (bag, ordered, latest, materialized) and "# runs: once | stateless"
examples/NAME.test.yaml   run by `millstream test`, which has ways of its own
tests/jobs/expected/NAME.OUTPUT   the lines of ${out}/OUTPUT/part-*, or what was printed (OUTPUT "stdout")

run.py [--accept] [NAME...]: --accept writes the expected files anew: read them before you commit them.
The last line counts the tests.
"""
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PROGRAM = pathlib.Path(os.environ.get("MILLSTREAM_BIN", ROOT / "build/bin")) / "millstream"
TIMEOUT_S = 40
WAYS = [(1, "rocksdb", {}), (2, "rocksdb", {}), (1, "memory", {}), (2, "memory", {}),
        (1, "rocksdb", {"MILLSTREAM_CPU": "scalar"})]


def run_job(path, parallelism, backend, environment, parameters, directory):
    """Exit code and what was printed; the log is in the directory."""
    command = [str(PROGRAM), "run", "--local", "-p", str(parallelism)]
    options = {"state.backend.type": backend, "restart-strategy.type": "none", "log.level": "warn"}
    if backend == "rocksdb":  # so small that state leaves the cache
        options["taskmanager.memory.state-cache.size"] = "1m"
    for key, value in options.items():
        command += ["-D", f"{key}={value}"]
    for name, value in parameters.items():
        command += ["--param", f"{name}={value}"]
    with open(directory / "log", "wb") as log:
        done = subprocess.run([*command, str(path)], stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL,
                              timeout=TIMEOUT_S, env={**os.environ, **environment})
    return done.returncode, done.stdout.decode(errors="replace")


def part_order(path):
    return [int(number) for number in re.findall(r"\d+", path.stem)]


def read_outputs(out, printed):
    """By name: lines. Parts of one subtask in the order in which they were written."""
    outputs = {}
    rows = [re.sub(r"^\S+> ", "", line) for line in printed.split("\n") if line]
    if rows:
        outputs["stdout"] = rows
    for directory in sorted(out.iterdir()):
        lines = []
        for part in sorted(directory.glob("part-*"), key=part_order):
            lines += part.read_text().split("\n")[:-1]
        hidden = [p.name for p in directory.iterdir() if p.name.startswith(".")]
        assert not hidden, f"left behind in {directory.name}: {hidden}"
        outputs[directory.name] = lines
    return outputs


def key_of(line):
    return re.split(r"[,\]]", re.sub(r"^[+-][IUD]\[", "", line))[0]


def canonical(lines, way):
    if way == "ordered":  # per key, in order
        return sorted(lines, key=key_of)  # stable
    if way == "latest":
        return sorted({key_of(line): line for line in lines}.values())
    if way == "materialized":
        left = []
        for line in lines:
            if line[0] == "+":
                left.append("+I" + line[2:])
            else:
                assert "+I" + line[2:] in left, f"{line} takes back a row that was not there"
                left.remove("+I" + line[2:])
        return sorted(left)
    return sorted(lines)


def difference(got, expected):
    for i in range(max(len(got), len(expected))):
        a = got[i] if i < len(got) else "nothing"
        b = expected[i] if i < len(expected) else "nothing"
        if a != b:
            return f"row {i + 1} is {a!r}, expected {b!r} ({len(got)} rows, expected {len(expected)})"
    return None


def test(path, way, is_accepting):
    """None, or what is wrong."""
    text = path.read_text()
    compare = dict(re.findall(r"^# compare (\w+): (\w+)", text, re.M))
    directory = pathlib.Path(tempfile.mkdtemp(prefix="millstream-jobs-"))
    try:
        (directory / "out").mkdir()
        code, printed = run_job(path, *way, {"in": HERE / "in", "out": directory / "out"}, directory)
        if code != 0:
            return f"exit {code}: {(directory / 'log').read_text(errors='replace')[-1500:]}"
        outputs = read_outputs(directory / "out", printed)
        if is_accepting:
            for name, lines in outputs.items():
                lines = canonical(lines, compare.get(name, "bag"))
                (HERE / "expected" / f"{path.stem}.{name}").write_text("".join(line + "\n" for line in lines))
        for file in sorted((HERE / "expected").glob(f"{path.stem}.*")):
            name = file.suffix[1:]
            expected = file.read_text().split("\n")[:-1]
            kind = compare.get(name, "bag")
            problem = difference(canonical(outputs.pop(name, []), kind), expected)
            if problem:
                return f"{name}: {problem}"
        extra = [name for name, lines in outputs.items() if lines]
        return f"no expected file for {extra}" if extra else None
    except (AssertionError, subprocess.TimeoutExpired) as error:
        return str(error)[-1500:]
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def test_file(path):
    """What `millstream test` says of it; None if it passes."""
    done = subprocess.run([str(PROGRAM), "test", str(path)], capture_output=True, text=True, timeout=3 * TIMEOUT_S)
    return None if done.returncode == 0 else f"exit {done.returncode}\n{done.stdout}{done.stderr}"


def test_example(name, parameters, check):
    """Runs examples/NAME.yaml at parallelism 2; check(directory, printed) asserts."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="millstream-jobs-"))
    try:
        given = {key: str(value).replace("@", str(directory)) for key, value in parameters.items()}
        code, printed = run_job(ROOT / f"examples/{name}.yaml", 2, "rocksdb", {}, given, directory)
        if code != 0:
            return f"exit {code}: {(directory / 'log').read_text(errors='replace')[-1500:]}"
        check(directory, printed)
        return None
    except (AssertionError, subprocess.TimeoutExpired) as error:
        return str(error)[-1500:] or "not what was expected"
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def parts(directory):
    return sorted(line for part in directory.glob("part-*") for line in part.read_text().splitlines())


def same(got, expected):
    assert got == expected, f"got {got}, expected {expected}"


def check_words(directory, _):
    words = (HERE / "in/words.txt").read_text().split()
    same(parts(directory / "out"), sorted(f"{word},{words.count(word)}" for word in set(words)))


def check_rolling(_, printed):
    words = (HERE / "in/words.txt").read_text().lower().split()
    expected = [f"+I[{word}, {i}]" for word in set(words) for i in range(1, words.count(word) + 1)]
    same(sorted(line.split("> ")[1] for line in printed.splitlines()), sorted(expected))


def check_highest(_, printed):
    latest = {key_of(line.split("> ")[1]): line.split("> ")[1] for line in printed.splitlines()}
    same(sorted(latest.values()), ["+I[cellar, 12.5]", "+I[roof, 31.25]"])


def check_sums(directory, _):
    latest = {line.split(",")[0]: line for line in sorted(parts(directory / "out"))}
    same(sorted(latest), ['{"shop":"north"', '{"shop":"south"'])
    assert '"orders":3' in latest['{"shop":"north"'], latest


def check_dead(directory, _):
    same(parts(directory / "out"), ["a,10", "b,-3"])
    assert len(parts(directory / "dead")) == 3, parts(directory / "dead")


EXAMPLES = [
    ("wordcount-file", {"input": HERE / "in/words.txt", "output": "@/out"}, check_words),
    ("rolling-count", {"input": HERE / "in/words.txt"}, check_rolling),
    ("reduce", {"input": HERE / "in/readings.csv"}, check_highest),
    ("json-sum", {"input": HERE / "in/orders.json", "output": "@/out"}, check_sums),
    ("dead-letters", {"input": HERE / "in/divisions.csv", "output": "@/out", "rejected": "@/dead"}, check_dead),
]


def main():
    arguments = sys.argv[1:]
    is_accepting = "--accept" in arguments
    names = [a for a in arguments if not a.startswith("--")]
    tests = []
    for path in sorted(HERE.glob("*.yaml")):
        if names and path.stem not in names:
            continue
        ways = WAYS[:1] if is_accepting else WAYS
        runs = re.search(r"^# runs: (\w+)", path.read_text(), re.M)
        if runs:  # stateless: the backend makes no difference
            ways = [way for way in ways if way[1] == "rocksdb"][: 1 if runs[1] == "once" else None]
        for way in ways:
            what = f"{path.stem} parallelism {way[0]}, {way[1]}{' scalar' if way[2] else ''}"
            tests.append((what, lambda path=path, way=way: test(path, way, is_accepting)))
    for name, parameters, check in EXAMPLES:
        if not names or name in names:
            tests.append((f"example {name}", lambda a=(name, parameters, check): test_example(*a)))
    files = {p.name.removesuffix(".test.yaml"): p for p in (ROOT / "examples").glob("*.test.yaml")}
    for name, path in files.items():
        if not names or name in names:
            tests.append((f"example {path.name}", lambda path=path: test_file(path)))
    covered = {name for name, _, _ in EXAMPLES} | files.keys()
    missing = [p.stem for p in (ROOT / "examples").glob("*.yaml")
               if p.stem not in covered and not p.name.endswith(".test.yaml")]
    tests.append(("every example has a test", lambda: f"no test for {missing}" if missing else None))
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(max_workers=3) as pool:
        for (what, _), problem in zip(tests, pool.map(lambda t: t[1](), tests)):
            if problem:
                failed += 1
                print(f"FAILED {what}: {problem}")
    print(f"{len(tests) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
