# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Choose cases, run one after the other, and tell of each how it ended.

A group of cases is a module with cases(), which yields names and functions; a
function takes a Bench. Cases run one after the other: emulated guests and
polling threads want the whole machine.
"""

import fnmatch
import importlib
import os
import signal
import sys
import tempfile
import time

from processes import Bench, Failure, Skip


def add_arguments(parser, groups):
    """What every runner understands; groups are names of groups and their modules."""
    parser.add_argument("--list", action="store_true", help="print the names of the cases and stop")
    parser.add_argument("--artifacts", metavar="DIR", help="where logs of failed cases go (default: a new folder)")
    parser.add_argument("--durations", action="store_true", help="tell how long each case took")
    parser.add_argument("selection", nargs="*", metavar="GROUP|PATTERN",
                        help="groups (" + " ".join(groups) + ") or names of cases, * allowed; default: all")


def selected_cases(groups, selection):
    """(name, function) of every case in a selected group or with a selected name."""
    chosen = []
    for group, module in groups.items():
        for name, function in importlib.import_module(module).cases():
            if not selection or any(fnmatch.fnmatch(name, wish) or wish == group for wish in selection):
                chosen.append((name, function))
    return chosen


def run_case(name, function, library, artifacts):
    """Run one case in a bench of its own; the line to print."""
    bench = Bench(library)
    logs = None
    try:
        function(bench)
        return f"PASS {name}"
    except Skip as reason:
        return f"SKIP {name}: {reason}"
    except Exception as error:  # a fault of the test itself must not end the run
        logs = os.path.join(artifacts(), name)
        kind = "" if isinstance(error, Failure) else type(error).__name__ + ": "
        return f"FAIL {name}: {kind}{error}"
    finally:
        bench.close(logs)


class Artifacts:
    """The folder for logs, made when the first case fails."""

    def __init__(self, wanted):
        self.path = wanted
        self.used = False

    def __call__(self):
        self.path = self.path or tempfile.mkdtemp(prefix="vhost-interop-")
        self.used = True
        return self.path


def run_cases(cases, library, options):
    """Run the cases, print a line for each and the counts; the exit status."""
    artifacts = Artifacts(options.artifacts)
    # To be ended early is no reason to leave processes and files behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    count = {"PASS": 0, "FAIL": 0, "SKIP": 0}
    for name, function in cases:
        start = time.monotonic()
        line = run_case(name, function, library, artifacts)
        print(line, flush=True)
        if options.durations:
            print(f"  {time.monotonic() - start:.1f} s", flush=True)
        count[line[:4]] += 1
    if artifacts.used:
        print(f"logs: {artifacts.path}")
    skipped = f", {count['SKIP']} skipped" if count["SKIP"] else ""
    print(f"{count['PASS']} passed, {count['FAIL']} failed{skipped}")
    return 1 if count["FAIL"] else 0
