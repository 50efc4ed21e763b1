# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""What the tests of usertools/dpdk-vhost-numa.py share: the tool, and a recorded state.

The recording is of Open vSwitch and two guests in the emulated machine, all placed.
"""

import contextlib
import io
import json
import pathlib
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
TOOL = HERE.parent.parent.parent / 'usertools/dpdk-vhost-numa.py'
RECORDED = json.loads((HERE / 'placed.json').read_text())
sys.path.insert(0, str(TOOL.parent))
# pylint: disable=wrong-import-position
from vhost_numa import command as tool  # noqa: E402


def run(*arguments, state=None):
    """The tool's (exit status, stdout); it may not complain."""
    status, out, err = run_all(*arguments, state=state)
    assert err == '', err
    return status, out


def run_all(*arguments, state=None):
    """(exit status, stdout, stderr), in this process: an interpreter is slow to start."""
    out, err = io.StringIO(), io.StringIO()
    with tempfile.NamedTemporaryFile('w', suffix='.json') as file, \
            contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        if state is not None:
            json.dump(state, file)
            file.flush()
            arguments = ('--read', file.name, *arguments)
        try:
            status = tool.main(list(map(str, arguments)))
        except SystemExit as ended:     # argparse
            status = ended.code
    return status, out.getvalue(), err.getvalue()


def guest_of(state, name):
    return next(guest for guest in state['programs'][0]['devices'] if guest['name'] == name)


def main(module):
    """Run the tests of a program, and count them as devtools/test does."""
    result = unittest.TextTestRunner(verbosity=2).run(
        unittest.defaultTestLoader.loadTestsFromModule(module))
    failed = len(result.failures) + len(result.errors)
    print(f'{result.testsRun - failed} passed, {failed} failed', flush=True)
    return 1 if failed or not result.testsRun else 0
