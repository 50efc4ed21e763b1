# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""A toy of which it is known what becomes of each mutant."""

import collections
import contextlib
import io
import pathlib
import tempfile

FILES = {
    'meson.build': '''
project('toy', 'c', default_options: ['c_std=gnu11'])
subdir('lib')
subdir('app/test')
''',
    'lib/meson.build': '''
inc = include_directories('librte_vhost')
lib = static_library('rte_vhost', 'librte_vhost/toy.c', include_directories: inc,
	dependencies: dependency('threads'))
''',
    'lib/librte_vhost/toy.h': '''
static inline int
toy_twice(int a)
{
	return a + a;
}

static inline int
toy_of_no_use(int a)
{
	return -a;
}
''',
    'lib/librte_vhost/toy.c': '''
#include <pthread.h>
#include <stdlib.h>
#include "toy.h"

#define TOY_OR(a, b) ((a) || (b))

int
toy_is_adult(int age)	/* tested where it changes: 17 < 18 */
{
	return age >= 18;
}

int
toy_is_old(int age)
{
	return age >= 65;
}

int
toy_of_nobody(int a)
{
	return a == 3;
}

int
toy_max(int a, int b)
{
	return a > b ? a : b;
}

int
toy_last(int a)
{
	int last;

	last = 1;
	last = a;
	return last;
}

int
toy_either(int a, int b)
{
	return TOY_OR(a == toy_twice(2), b);
}

const char *
toy_name(int a)
{
	switch (a) {
	case 1:
		return "one";
	case 2:
		return "two";
	}
	return NULL;
}

int
toy_store(int *place)
{
	int *copy = malloc(sizeof(*copy));

	if (!copy)
		return -1;
	*copy = *place;
	*place = *copy;
	free(copy);
	return 0;
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int counter;

void *
toy_count(void *unused)
{
	pthread_mutex_lock(&lock);
	counter++;
	pthread_mutex_unlock(&lock);
	return unused;
}
''',
    'app/test/meson.build': '''
exe = executable('dpdk-test', 'test.c', include_directories: inc, link_whole: lib,
	dependencies: dependency('threads'))
foreach name : ['ages', 'words', 'threads']
	test(name, exe, args: ['--file-prefix', name], env: {'DPDK_TEST': name},
		suite: 'fast-tests', timeout: 20)
endforeach
''',
    'app/test/test.c': '''
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int toy_is_adult(int), toy_is_old(int), toy_max(int, int), toy_last(int), toy_either(int, int);
int toy_store(int *);
const char *toy_name(int);
void *toy_count(void *);

static int
ages(void)
{
	return toy_is_adult(18) && !toy_is_adult(17) && toy_is_old(90) && !toy_is_old(10) &&
		toy_max(1, 2) == 2 && toy_max(2, 1) == 2 && toy_max(1, 1) == 1 && toy_last(7) == 7;
}

static int
words(void)
{
	int a = 3;

	return toy_either(4, 0) && toy_either(3, 1) && !toy_either(3, 0) &&
		strcmp(toy_name(1), "one") == 0 && strcmp(toy_name(2), "two") == 0 &&
		toy_name(0) == NULL && toy_name(3) == NULL && toy_store(&a) == 0 && a == 3;
}

static int
threads(void)
{
	pthread_t other;

	pthread_create(&other, NULL, toy_count, &other);
	toy_count(NULL);
	pthread_join(other, NULL);
	return 1;
}

int
main(void)
{
	const char *name = getenv("DPDK_TEST");
	int passed = strcmp(name, "ages") == 0 ? ages() : strcmp(name, "words") == 0 ? words() :
		threads();

	printf(" + case   0 : %-52s %s (0.00 s)\\n", name, passed ? "passed" : "FAILED");
	return passed ? 0 : 255;
}
''',
    'mutate.d/equivalent': '''# of the toy
toy.c toy_max boundary: return a > b ? a : b;
    They are equal then.
toy.c toy_max boundary: return a < b ? a : b;
    There is no such line.
''',
    'mutate.d/suites': '''# of the toy
ages 0.1
words 0.1
threads 0.1
toy.c: ages words
toy.h: words threads
''',
}
# function, kind: what becomes of its mutants, in their order
KNOWN = {
    ('toy_twice', 'sum'): ['caught'],
    ('toy_of_no_use', 'return'): ['same code'],
    ('toy_is_adult', 'boundary'): ['caught'],
    ('toy_is_adult', 'more'): ['caught'],
    ('toy_is_adult', 'less'): ['caught'],
    ('toy_is_old', 'boundary'): ['survived'],
    ('toy_is_old', 'more'): ['survived'],
    ('toy_is_old', 'less'): ['survived'],
    ('toy_of_nobody', 'equal'): ['unreached'],
    ('toy_of_nobody', 'more'): ['unreached'],
    ('toy_of_nobody', 'less'): ['unreached'],
    ('toy_max', 'boundary'): ['equivalent'],
    ('toy_max', 'negated'): ['caught'],
    ('toy_last', 'assign'): ['same code', 'caught'],
    ('toy_last', 'more'): ['same code'],
    ('toy_last', 'less'): ['same code'],
    ('toy_either', 'equal'): ['caught'],
    ('toy_either', 'more'): ['caught'],
    ('toy_either', 'less'): ['caught'],
    ('toy_name', 'more'): ['does not compile', 'caught'],
    ('toy_name', 'less'): ['caught', 'does not compile'],
    ('toy_store', 'negated'): ['caught'],
    ('toy_store', 'return'): ['unreached', 'caught'],
    ('toy_store', 'more'): ['caught'],      # 0
    ('toy_store', 'assign'): ['caught', 'same code'],
    ('toy_store', 'call'): ['caught'],      # by the leak
    ('toy_count', 'lock'): ['caught', 'caught'],
    ('toy_count', 'sum'): ['survived'],
    ('toy_count', 'return'): ['survived'],
}
WRONG = [
    'toy.c toy_max boundary: return a < b ? a : b;: there is no such place',
    'devtools/mutate.d/suites: toy.h: threads does not reach it',
]


def write(folder):
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.lstrip('\n'))


def self_test(mutate, args):
    """Judge all mutants of the toy; 0 if each is judged as it should be."""
    args.count, args.least, args.patience = 1000, 0, 120
    with tempfile.TemporaryDirectory(prefix='mutate-toy-') as folder:
        folder = pathlib.Path(folder)
        write(folder)
        args.work = folder / 'work'
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            verdicts, wrong = mutate(args, folder, folder / 'mutate.d')
            args.table, args.count = True, 5
            some, _ = mutate(args, folder, folder / 'mutate.d')
            again, _ = mutate(args, folder, folder / 'mutate.d')
    found = collections.defaultdict(list)
    for verdict in sorted(verdicts, key=lambda verdict: verdict.place.start):
        found[verdict.place.function, verdict.place.kind].append(verdict.name)
    mistakes = [f'{function}, {kind}: {found.get((function, kind))}, not {known}'
                for (function, kind), known in KNOWN.items()
                if found.get((function, kind)) != known]
    mistakes += [f'{function}, {kind}: not expected' for function, kind in found.keys() - KNOWN]
    mistakes += [f'complaint: {line}' for line in set(wrong) ^ set(WRONG)]
    if {(v.place, v.name) for v in some} != {(v.place, v.name) for v in again}:
        mistakes.append('two runs of one seed draw different mutants')
    if mistakes:
        print(said.getvalue(), *mistakes, sep='\n')
    print(f'{sum(map(len, KNOWN.values()))} known mutants, {len(mistakes)} mistakes')
    return 1 if mistakes else 0
