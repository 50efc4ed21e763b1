# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Do what dpdk-vhost-numa.py --advise says, word for word, and see whether it helps."""

import json
import os
import subprocess
import time

TOOL = os.path.join(os.path.dirname(os.path.realpath(__file__)),
                    '../../usertools/dpdk-vhost-numa.py')
ROUNDS = 4              # one remedy may be what makes another one possible


def ask(arguments, env):
    """What the tool says; it may not fail."""
    done = subprocess.run([TOOL, *arguments], capture_output=True, text=True, env=env,
                          timeout=300, check=True)
    return json.loads(done.stdout)


def verdicts(where, env):
    """{guest: list of what is remote}"""
    return {guest['name']: guest['remote'] for each in ask([*where, '--json'], env)['programs']
            for guest in each['devices']}


def follow(where, env, say, patience=60):
    """Type all commands of the advice, round by round, until nothing is remote: whether it is.

    where are the tool's options that name the programs.
    """
    for _ in range(ROUNDS):
        for advice in ask([*where, '--advise', '--json'], env):
            say(f'advice for {advice["guest"]}, {", ".join(advice["what"])}: {advice["why"]}')
            for command in advice['commands']:
                say(f'  # {command}')
                done = subprocess.run(['sh', '-c', command], capture_output=True, text=True,
                                      env=env, timeout=300, check=False)
                if done.returncode:
                    say(f'  exit status {done.returncode}: {done.stderr}')
        end = time.monotonic() + patience
        while any(verdicts(where, env).values()) and time.monotonic() < end:
            time.sleep(1)
        if not any(verdicts(where, env).values()):
            return True
    say(f'still remote: {verdicts(where, env)}')
    return False
