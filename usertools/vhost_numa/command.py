# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Show on which NUMA nodes the guests of vhost switches have what they need.

For every guest of every running program that uses this vhost library: where
its memory is, where the device and queue structures, the packet buffers and
the polling cores are, and what of it is remote, that is, on another node than
the guest's memory.

It asks the programs through DPDK telemetry, the kernel through /proc and /sys,
hwloc's lstopo for the machine's topology if it is installed, and Open vSwitch
through ovs-appctl which core polls what.
"""

import argparse
import json
import os
import sys
import time

from .machine import machine
from .model import judge
from .picture import picture
from .pollers import SAMPLE_SECONDS, add_pollers, add_threads
from .programs import closed_folders, programs, runtime_folders
from .text import table


def look(spec):
    """Everything, as it is now or as a file says it was."""
    if spec.read:
        return read_state(spec.read)
    folders = spec.runtime_dir or runtime_folders()
    state = {'machine': machine(), 'programs': programs(spec.file_prefix, folders),
             'closed': closed_folders(folders)}
    add_threads(state['programs'], spec.sample, state['machine']['nodes'])
    add_pollers(state['programs'])
    judge(state)
    return state


def read_state(path):
    with open(path) as file:
        state = json.load(file)
    try:
        judge(state)
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(f'{path} is not what --json prints') from error
    return state


def show(state, spec):
    if spec.svg:
        partial = f'{spec.svg}.{os.getpid()}'
        with open(partial, 'w') as file:
            file.write(picture(state))
        os.replace(partial, spec.svg)
    if spec.json:
        print(json.dumps(state, indent=1))
    elif not spec.svg or spec.watch:
        clear = '\033[H\033[2J' if spec.watch and sys.stdout.isatty() else ''
        print(clear + table(state, sys.stdout.isatty()), flush=True)


def something_remote(state):
    return any(guest['remote'] for each in state['programs'] for guest in each['devices'])


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='Exit status: 0; with --check 3 if anything is remote.  Threads and pools '
        "of another user's program, or pages of any, may need root.")
    parser.add_argument('-f', '--file-prefix', action='append', default=[], metavar='PREFIX',
                        help='only the program with this EAL file prefix; may be repeated')
    parser.add_argument('--json', action='store_true', help='print all that is known')
    parser.add_argument('--svg', metavar='FILE', help='draw it')
    parser.add_argument('--watch', type=float, nargs='?', const=2, metavar='SECONDS',
                        help='again and again, every 2 seconds')
    parser.add_argument('--check', action='store_true',
                        help='tell by the exit status whether anything is remote')
    parser.add_argument('--read', metavar='FILE',
                        help='show what an earlier --json has printed')
    parser.add_argument('--runtime-dir', action='append', metavar='DIR',
                        help="folder of EAL's run-time folders (/var/run/dpdk and others)")
    parser.add_argument('--sample', type=float, default=SAMPLE_SECONDS, metavar='SECONDS',
                        help=f'how long to look at the threads ({SAMPLE_SECONDS:g})')
    return parser.parse_args(arguments)


def main(arguments=None):
    spec = parse_arguments(arguments)
    try:
        while True:
            state = look(spec)
            show(state, spec)
            if not spec.watch:
                return 3 if spec.check and something_remote(state) else 0
            time.sleep(spec.watch)
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:     # whoever reads has enough; the interpreter shall not complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (OSError, ValueError) as error:
        print(f'dpdk-vhost-numa: {error}', file=sys.stderr)
        return 1
