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
import contextlib
import functools
import json
import math
import os
import sys
import time

from . import advice, metrics, page
from .machine import machine
from .model import NOTHING, judge, overall
from .picture import picture
from .pollers import SAMPLE_SECONDS, add_pollers, add_threads
from .programs import (PATIENCE_SECONDS, add_rates, as_text, closed, packet_counts, programs,
                       runtime_folders)
from .text import check_line, table


def look(spec, with_caches=True):
    """Everything, as it is now or as a file says it was."""
    if spec.read:
        return read_state(spec.read)
    folders = spec.runtime_dir or runtime_folders()
    found, others = programs(spec.file_prefix, folders, spec.timeout)
    number, hidden = closed(folders)
    state = {'machine': machine(with_caches), 'programs': found, 'others': others,
             'closed': number, 'closed_folders': hidden,
             'prefixes': list(map(as_text, spec.file_prefix)), 'time': round(time.time())}
    with_rates = spec.advise or spec.html
    before = packet_counts(found, spec.timeout) if with_rates else {}
    add_threads(state['programs'], spec.sample, state['machine']['nodes'])
    if with_rates:
        add_rates(found, before, packet_counts(found, spec.timeout))
    add_pollers(state['programs'])
    judge(state)
    return state


def read_state(path):
    with open(path) as file:
        try:
            state = json.load(file)
            if not state['machine']['nodes']:
                raise LookupError('no node')
            judge(state)
        except (LookupError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f'{path} is not what --json prints') from error
    return state


def write(path, text):
    """The whole file at once, for whoever reads it meanwhile; '-' is stdout."""
    if path == '-':
        sys.stdout.write(text)
        return
    partial = f'{path}.{os.getpid()}'
    try:
        with open(partial, 'w') as file:
            file.write(text)
        os.replace(partial, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(partial)
        raise OSError(error.errno, error.strerror, path) from None


def page_again(spec, state):
    """The page, which goes on with the history of the one in its place."""
    return page.document(state, overall(state), read_if_there(spec.html), spec.watch)


def read_if_there(path):
    if path == '-':
        return ''
    try:
        with open(path, errors='replace') as file:
            return file.read()
    except FileNotFoundError:
        return ''


def show(state, spec):
    """All that was asked for; the table, unless something else was."""
    files = [(spec.svg, picture), (spec.openmetrics, metrics.text),
             (spec.html, functools.partial(page_again, spec))]
    for path, text in files:
        if path:
            write(path, text(state))
    if spec.json and spec.advise:
        print(json.dumps(advice.as_data(state), indent=1))
    elif spec.json:
        print(json.dumps(state, indent=1))
    elif spec.advise:
        print(advice.as_text(state), flush=True)
    elif spec.check:
        print(check_line(state, overall(state)), flush=True)
    elif not any(path for path, _ in files) or spec.watch and '-' not in dict(files):
        clear = '\033[H\033[2J' if spec.watch and sys.stdout.isatty() else ''
        print(clear + table(state, sys.stdout.isatty()), flush=True)


def seconds(text):
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f'{text}: more than 0 is needed')
    return value


def metrics_target(text):
    if ':' in text and '/' not in text and not metrics.address_of(text):
        raise argparse.ArgumentTypeError(f'{text}: no such address (a file of that name is '
                                         f'./{text})')
    return text


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='Exit status: 0; 1 after an error; with --check 0 if all guests that run are\n'
        'local, 3 if anything is remote, 4 if there is nothing to check (no program, no\n'
        'guest that runs), 5 if it is not known of a guest where it is, or a program does\n'
        "not answer.  Threads and pools of another user's program, or pages of any, may\n"
        'need root.')
    parser.add_argument('-f', '--file-prefix', action='append', default=[], metavar='PREFIX',
                        help='only the program with this EAL file prefix; may be repeated')
    parser.add_argument('--json', action='store_true', help='print all that is known')
    parser.add_argument('--svg', metavar='FILE', help='draw it')
    parser.add_argument('--html', metavar='FILE',
                        help='write a page with the picture, the table, and what has moved '
                        'since it was first written')
    parser.add_argument('--openmetrics', metavar='FILE|[HOST]:PORT', type=metrics_target,
                        help='write metrics for Prometheus; or serve them over HTTP, without '
                        'a HOST on the loopback only')
    parser.add_argument('--watch', type=seconds, nargs='?', const=2, metavar='SECONDS',
                        help='again and again, every 2 seconds')
    parser.add_argument('--advise', action='store_true',
                        help='say what to type so that nothing is remote any more')
    parser.add_argument('--check', action='store_true',
                        help='say in one line and by the exit status whether anything is remote; '
                        'with --json or --advise that is printed instead of the line')
    parser.add_argument('--allow-none', action='store_true',
                        help='with --check: nothing to check is as good as local')
    parser.add_argument('--read', metavar='FILE',
                        help='show what an earlier --json has printed')
    parser.add_argument('--runtime-dir', action='append', metavar='DIR',
                        help="folder of EAL's run-time folders (/var/run/dpdk and others)")
    parser.add_argument('--sample', type=seconds, default=SAMPLE_SECONDS, metavar='SECONDS',
                        help=f'how long to look at the threads ({SAMPLE_SECONDS:g})')
    parser.add_argument('--timeout', type=seconds, default=PATIENCE_SECONDS, metavar='SECONDS',
                        help=f'how long to wait for an answer ({PATIENCE_SECONDS})')
    return parser.parse_args(arguments)


def run(spec):
    """Show, once or for ever; the exit status."""
    address = spec.openmetrics and metrics.address_of(spec.openmetrics)
    if address:
        from . import server    # only now: it is slow to import
        # of cores and caches metrics tell nothing
        server.serve(address, functools.partial(look, spec, with_caches=False))
    while True:
        state = look(spec)
        show(state, spec)
        if not spec.watch:
            break
        time.sleep(spec.watch)
    if not spec.check:
        return 0
    status = overall(state)
    return 0 if status == NOTHING and spec.allow_none else status


def main(arguments=None):
    spec = parse_arguments(arguments)
    try:
        return run(spec)
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:     # whoever reads has enough; the interpreter shall not complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (OSError, ValueError, OverflowError) as error:
        print(f'dpdk-vhost-numa: {error}', file=sys.stderr)
        return 1
