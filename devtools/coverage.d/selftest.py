# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Whether coverage sees what is not reached: in a small program of which all is known."""

import os
import pathlib
import tempfile

import counters
import listing

# Its child is killed, as backends are in tests: what it reached counts all the same.
PROGRAM = r'''
#include <signal.h>
#include <unistd.h>
#include <sys/wait.h>
#include "toy.h"

static int
never_asked(int n)
{
	return n + 1;
}

static int
sign(int n)
{
	if (n < 0)
		return -1;
	return n > 0;
}

int
main(int argc, char **argv)
{
	(void)argv;
	if (fork() == 0) {
		twice(-1);
		kill(getpid(), SIGKILL);
	}
	wait(NULL);
	return sign(argc) == 1 && twice(argc) == 2 ? 0 : never_asked(argc);
}
'''
HEADER = r'''
static inline int
twice(int n)
{
	if (n < 0)
		return 0;
	return 2 * n;
}
'''
ALLOWED = '''
toy.c main 0 3 nobody it has one argument
toy.c never_asked 3 0 nobody as it says
toy.c sign 1 1 faults
'''


def run():
    """Print what is seen; whether it is what is there."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder).resolve()
        (folder / 'toy.c').write_text(PROGRAM)
        (folder / 'toy.h').write_text(HEADER)
        counters.run(['clang', *counters.FLAGS.split(), '-o', folder / 'toy', folder / 'toy.c'])
        profiles = folder / 'profiles'
        profiles.mkdir()
        counters.run([folder / 'toy'],
                     env=dict(os.environ, LLVM_PROFILE_FILE=str(profiles / counters.PATTERN)))
        found = counters.functions(folder / 'toy', profiles, folder)
        (folder / 'list').write_text(ALLOWED)
        entries = listing.read(folder / 'list')
    good = [_tell('as in the list', listing.compare(found, entries, ['fast']) == ([], [])),
            _tell('what faults should reach is not', _worse(found, entries, ['fast', 'faults'], 'sign'))]
    for entry in entries:
        less = [other for other in entries if other is not entry]
        good.append(_tell(f'{entry.key[1]}() is not in it',
                          _worse(found, less, ['fast'], entry.key[1])))
        entry.ways, ways = entry.ways + 1, entry.ways
        good.append(_tell(f'{entry.key[1]}() is better',
                          len(listing.compare(found, entries, ['fast'])[1]) == 1))
        entry.ways = ways
    return all(good)


def _worse(found, entries, ran, name):
    """Whether this function, and no other, is worse than these entries."""
    worse, better = listing.compare(found, entries, ran)
    return len(worse) == 1 and f' {name}()' in worse[0][1] and not better


def _tell(what, good):
    print(f'{what}: {"seen" if good else "NOT SEEN"}')
    return good
