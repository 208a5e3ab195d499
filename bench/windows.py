"""Windows against a plain program that keeps the same ones, and what many open ones cost."""
from measure import BUILD, figure, header, interleave, line, local, median, ratio, row, run, table, title

KEYS = 10000
USUAL = ("-D", "execution.checkpointing.interval=10s")


def make_rows(arguments):
    count = 500000 if arguments.quick else 5000000
    rows = BUILD / f"bench-data/windows-{count}.json"
    if not rows.exists():
        rows.parent.mkdir(parents=True, exist_ok=True)
        run([BUILD / "bench/generate_json", count, KEYS, 1, rows])
    return rows


def bench_windows(arguments, directory):
    rows = make_rows(arguments)
    spread = 100  # generate_json has a row for each millisecond
    commands = {
        "plain program, tumbling 10 s": [BUILD / "bench/baseline/windowed_counts", 10000, spread, rows],
        "tumbling 10 s": local("windowed-counts.yaml", directory, *USUAL, input=rows, spread=spread),
        "hopping 10 s by 1 s": local("hopping-counts.yaml", directory, *USUAL, input=rows, spread=spread),
    }
    results = interleave(arguments.runs, commands)
    base = "plain program, tumbling 10 s"
    header(f"Windowed counts over JSON rows of 200 bytes, {KEYS:,} keys, 100,000 rows a second of event time")
    for name, goal in zip(commands, ("1", "2.0", "")):
        row(name, results, base, goal)
    table("ratio", "value", "goal")
    figure("hopping / tumbling, CPU", f"{ratio(results, 'hopping 10 s by 1 s', 'tumbling 10 s'):.2f}", "at most 1.5")
    bench_open(arguments, directory)


def bench_open(arguments, directory):
    scale = 10 if arguments.quick else 1
    count = 12000000 // scale
    cache = ("-D", f"taskmanager.memory.state-cache.size={64 // scale}m")
    gaps = {f"{10000 // scale:,} open": f"{800 // scale}ms", f"{1000000 // scale:,} open": f"{80000 // scale}ms"}
    commands = {name: local("session-sum.yaml", directory, *USUAL, *cache, gap=gap, rows=count)
                for name, gap in gaps.items()}
    results = interleave(max(1, arguments.runs - 1), commands, warm_up=False)
    few, much = commands
    title(f"Windows of eight rows that stay open, each with a timer; state cache {64 // scale} MiB, {count:,} rows")
    table("run", "rows a second", "CPU s", "peak MiB")
    for name in commands:
        line(name, f"{count / median(results[name], 'wall'):,.0f}", f"{median(results[name], 'cpu'):.1f}",
             f"{median(results[name], 'rss'):.0f}")
    table("ratio", "value", "goal")
    figure(f"speed, {much} / {few}", f"{ratio(results, few, much, 'wall'):.2f}", "at least 0.5")
    figure(f"CPU, {few} / {much}", f"{ratio(results, few, much):.2f}", "")
