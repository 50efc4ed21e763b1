# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Running other programs, and what they say."""

import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess

TREE = pathlib.Path(__file__).resolve().parent.parent.parent

# A finding is a text that starts with "path:line:" and may go on for some lines.
FINDING = re.compile(r'^(\S+?):(\d+):(?:\d+:)? (?:fatal error|error|warning|style|performance|'
                     r'portability|information): ', re.MULTILINE)
LONGEST = 24    # lines of it
# Lines that are part of none.
NO_FINDING = re.compile(r'\d+ (warnings?|errors?) generated\.|cc1: .*')


class Broken(Exception):
    """A checker is missing, or did not do its work."""


def program(*names):
    """The first of them that is installed; without any there is nothing that could be said."""
    for name in names:
        if shutil.which(name):
            return name
    raise Broken(f'no {names[0]}: install it (devtools/setup-debian does)')


def run(command, cwd=TREE):
    return subprocess.run([str(word) for word in command], cwd=cwd, text=True, errors='replace',
                          capture_output=True, check=False)


def cores():
    return len(os.sched_getaffinity(0))


def in_parallel(function, things):
    with concurrent.futures.ThreadPoolExecutor(cores()) as pool:
        return list(pool.map(function, things))


def findings(text, folder):
    """Cut what a compiler that ran in a folder says into its findings."""
    starts = [found.start() for found in FINDING.finditer(text)] + [len(text)]
    return [normal(text[start:end].rstrip(), folder) for start, end in zip(starts, starts[1:])]


def normal(finding, folder):
    """The same for every unit that has it, by paths from the top, and not too long."""
    lines = finding.splitlines()
    found = FINDING.match(lines[0])
    path = pathlib.Path(folder, found.group(1)).resolve()
    lines[0] = os.path.relpath(path, TREE) + lines[0][found.end(1):]
    lines = [line for line in lines if not NO_FINDING.fullmatch(line)]
    return '\n'.join(lines[:LONGEST])


def said(done, name, folder=TREE):
    """What a checker that ended found; if it failed without a word of that, it is broken."""
    found = findings(done.stdout + done.stderr, folder)
    if done.returncode != 0 and not found:
        raise Broken(f'{name}: exit status {done.returncode}\n{done.stdout}{done.stderr}')
    return found
