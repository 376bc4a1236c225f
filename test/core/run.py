#!/usr/bin/env python3
"""Runs Bitcoin Core's functional tests against karatd and compares with expected.txt. README.md tells more.

    run.py [--jobs N] [--timeout SECONDS] [TEST…]

Exit codes: 0 all as expected, 1 not so, 77 not run.
"""

import argparse
import concurrent.futures
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.realpath(__file__))
PASS, FAIL, OUT = "pass", "fail", "out"
VERDICTS = {0: PASS, 77: "skip"}
CLIENTS = {"interface_bitcoin_cli"}  # what runs bitcoin-cli, which BITCOINCLI names


def not_run(why):
    print(f"NOT RUN: Bitcoin Core's functional tests: {why}", file=sys.stderr)
    sys.exit(77)


def read_expected():
    """What is expected of each test, and why, as NAME: (pass, fail or out, reason)."""
    expected = {}
    with open(os.path.join(HERE, "expected.txt"), encoding="utf-8") as lines:
        for line in lines:
            words = line.split(None, 2)
            if not words or words[0].startswith("#"):
                continue
            name, verdict, reason = words + [""] * (3 - len(words))
            assert verdict in (PASS, FAIL, OUT) and (verdict == PASS or reason), f"expected.txt: {line}"
            assert name not in expected, f"expected.txt has {name} twice"
            expected[name] = verdict, reason.strip()
    return expected


class Result:
    def __init__(self, name, verdict, seconds, output):
        self.name, self.verdict, self.seconds, self.output = name, verdict, seconds, output

    def notes(self):
        return [line[5:] for line in self.output.splitlines() if line.startswith("NOTE ")]

    def last_words(self):
        """The line that says what went wrong."""
        lines = self.output.splitlines()
        start = max((i for i, line in enumerate(lines) if line.startswith("Traceback")), default=0)
        words = [line for line in lines[start + 1:] if line and not line.startswith((" ", "20", "NOTE", "[node"))]
        return words[0] if words else ""


def free_ports():
    """A seed from which Core's framework computes the ports of up to 12 nodes: one whose ports nobody uses."""
    while True:
        seed = random.randrange(1 << 30)
        first = 11000 + 12 * seed % (5000 - 1 - 12)
        try:
            for port in [first + n + span for span in (0, 5000) for n in range(12)]:
                with socket.socket() as s:
                    s.bind(("127.0.0.1", port))
            return seed
        except OSError:
            continue


def run(name, folder, timeout, factor):
    """Runs one test in a group of processes of its own, so that its nodes end with it."""
    began = time.monotonic()
    path = os.path.join(folder, name)
    with open(path + ".log", "w+", encoding="utf-8", errors="replace") as log:
        process = subprocess.Popen([sys.executable, os.path.join(HERE, "launch.py"), name, f"--tmpdir={path}", f"--timeout-factor={factor}",
                                    f"--portseed={free_ports()}"], stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            verdict = VERDICTS.get(process.wait(timeout), FAIL)
        except subprocess.TimeoutExpired:
            verdict = FAIL
            log.write(f"\nTraceback\ntook longer than {timeout} seconds\n")
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
        log.seek(0)
        return Result(name, verdict, time.monotonic() - began, log.read())


def judge(result, expected):
    """What is to be said of a result, and whether it is as expected."""
    want, reason = expected.get(result.name, ("", ""))
    if result.verdict == "skip" and result.name in CLIENTS and not os.environ.get("BITCOINCLI"):
        return "NOT RUN: BITCOINCLI names no bitcoin-cli", True
    words = f"{result.name:38} {result.verdict:4} {result.seconds:5.0f} s"
    if result.verdict == want:
        return f"{words}  {reason}" + (f"\n    {result.last_words()}" if want == FAIL else ""), True
    if not want:
        return f"{words}  (not in expected.txt)  {result.last_words()}", True
    return f"{words}  EXPECTED TO {want.upper()} {reason}\n    {result.last_words()}", False


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=2, help="tests at once")
    parser.add_argument("--timeout", type=int, default=900, help="seconds for a test")
    parser.add_argument("--timeout-factor", type=float, default=4, help="Core's own time limits are so many times as long")
    parser.add_argument("--notes", action="store_true", help="say also what each test was not asked")
    parser.add_argument("tests", nargs="*")
    return parser.parse_args()


def main():
    asked = parse()
    source = os.environ.get("KARAT_CORE_SOURCE", "")
    if not os.path.exists(os.path.join(source, "test", "functional", "test_framework", "test_node.py")):
        not_run("KARAT_CORE_SOURCE names no checkout of Bitcoin Core" if source else "KARAT_CORE_SOURCE is not set")
    os.environ.setdefault("KARATD", os.path.join(HERE, "..", "..", "bin", "karatd"))
    expected = read_expected()
    names = [os.path.basename(test).removesuffix(".py") for test in asked.tests] or [name for name, (want, _) in expected.items() if want != OUT]
    folder = tempfile.mkdtemp(prefix="karat-core-")
    good = True
    with concurrent.futures.ThreadPoolExecutor(asked.jobs) as pool:
        runs = [pool.submit(run, name, folder, asked.timeout, asked.timeout_factor) for name in names]
        for done in concurrent.futures.as_completed(runs):
            result = done.result()
            words, as_expected = judge(result, expected)
            good = good and as_expected
            print(words, flush=True)
            if asked.notes:
                print("".join(f"      {note}\n" for note in result.notes()), end="", flush=True)
    if good:
        shutil.rmtree(folder)
        print(f"{len(names)} tests, all as expected")
        return 0
    print(f"not all is as expected; output and data folders of the tests are in {folder}")
    return 1


sys.exit(main())
