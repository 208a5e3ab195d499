#!/usr/bin/env python3
"""Measures Millstream against plain programs in one run, as ratios of CPU seconds.

The machine is noisy: runs are interleaved, each figure is a median, and what counts is the ratio.
    bench/run.py [--runs N] [--links N] [--quick] [--only NAME]...
"""
import argparse
import os
import tempfile
import time

import cluster
import kafka
import state
import windows
import words

BENCHES = {
    "wordcount": words.bench_wordcount,
    "parallel": words.bench_parallel,
    "json": words.bench_json,
    "windows": windows.bench_windows,
    "cold": state.bench_cold,
    "pause": state.bench_pause,
    "exchange": cluster.bench_exchange,
    "latency": cluster.bench_latency,
    "start": cluster.bench_start,
    "idle": cluster.bench_idle,
    "memory": cluster.bench_memory,
    "kafka": kafka.bench_kafka,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--links", type=int, default=10)
    parser.add_argument("--quick", action="store_true", help="small inputs: does it work, not how fast it is")
    parser.add_argument("--only", choices=sorted(BENCHES), action="append")
    arguments = parser.parse_args()
    start = time.monotonic()
    for name, bench in BENCHES.items():
        if arguments.only is None or name in arguments.only:
            with tempfile.TemporaryDirectory(prefix="millstream-bench-") as directory:
                bench(arguments, directory)
    print(f"\n{time.monotonic() - start:.0f} s, {os.cpu_count()} CPUs, load at the end {os.getloadavg()[0]:.1f}")


main()
