#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Check that the guide's page of locks and barriers and the library agree.

- Each mutex, spinlock, read-write lock and condition variable of the library is
  in the page's table of locks, and each one there is in the library.
- A comment that begins with a letter and a digit labels the barrier below it.
  Each label is in the table of barriers, with its file, and each one there is
  in that file.
- A label that pairs with others is named by them; one that pairs with nobody
  here says with whom: the driver, the frontend, hardware, a function.
- An atomic operation that is stronger than relaxed has a label in its function,
  or its variable is in the table of words that need none.

usage: check-locks.py [--self-test]
"""

import collections
import pathlib
import re
import sys
import tempfile

from complaints import tell, tell_self_test

TREE = pathlib.Path(__file__).resolve().parent.parent
LIBRARY = TREE / 'lib' / 'librte_vhost'
PAGE = TREE / 'doc/guides/prog_guide/vhost_lib_locks.rst'

LOCK = re.compile(r'^(?P<indent>[ \t]*)(?:static\s+)?'
                  r'(?:pthread_(?:mutex|rwlock|cond|spinlock)_t|rte_(?:spinlock|rwlock)\w*_t)\s+'
                  r'(?P<name>\w+)[^;()]*;', re.MULTILINE)
STRUCT = re.compile(r'^(?:static\s+)?struct\s*(?P<tag>\w*)[^;{}()\n]*\{\n(?P<body>.*?)^\}'
                    r'(?P<variable>[^;\n=]*)', re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r'/\*.*?\*/', re.DOTALL)
LABEL = re.compile(r'/\*+\s*(?:\*\s*)?([A-Z]\d)\b')
OTHER_LABEL = re.compile(r'\b([A-Z]\d)\b')
OUTSIDE = re.compile(r'driver|frontend|hardware|\w\(\)|\b2\.\d+\.\d+')
STRONG = re.compile(r'(?:__atomic_\w+|rte_atomic_\w+)\s*\(((?:(?!_atomic_)[^;])*?)__ATOMIC_'
                    r'(?:ACQUIRE|RELEASE|ACQ_REL|SEQ_CST|CONSUME)', re.DOTALL)
# a definition of DPDK's style: a name at the start of a line, its body in column 0
FUNCTION = re.compile(r'^(?:\w[^\n;{}]*\n)?(\w+)\([^;{}]*\)\n\{\n.*?^\}', re.MULTILINE | re.DOTALL)
ROW = re.compile(r'^   \* - ``([\w./]+)``\n     - (?:``)?([\w.]+)(?:``)?$', re.MULTILINE)
SECTIONS = ('Locks', 'Barriers', 'Words that need no label')


def find_locks(text):
    """Names of all locks of a file: variable, struct.member or variable.member."""
    locks = set()
    inside = []
    for struct in STRUCT.finditer(text):
        inside.append(struct.span())
        owner = struct['tag'] or struct['variable'].strip()
        locks |= {f'{owner}.{lock["name"]}' for lock in LOCK.finditer(struct['body'])}
    for lock in LOCK.finditer(text):
        is_local = lock['indent'] != ''
        if not is_local and not any(start < lock.start() < end for start, end in inside):
            locks.add(lock['name'])
    return locks


class Label:
    """A labelled barrier: what its comment says of partners."""

    def __init__(self, comment):
        self.name = LABEL.match(comment).group(1)
        self.partners = set(OTHER_LABEL.findall(comment)) - {self.name}
        self.pairs_outside = bool(OUTSIDE.search(comment))


def find_labels(text):
    return [Label(comment) for comment in COMMENT.findall(text) if LABEL.match(comment)]


def find_mentioned(text):
    """Labels that a comment without a label says it pairs with."""
    return {name for comment in COMMENT.findall(text)
            if not LABEL.match(comment) and 'pairs with' in comment
            for name in OTHER_LABEL.findall(comment)}


def find_bare_words(text):
    """Variables of strong atomic operations in functions without a label."""
    words = set()
    spans = [function.span() for function in FUNCTION.finditer(text)]
    for strong in STRONG.finditer(text):
        around = next((text[start:end] for start, end in spans
                       if start <= strong.start() < end),
                      text[max(0, strong.start() - 300):strong.end()])
        names = re.findall(r'\w+', strong.group(1).split(',')[0])
        if not any(LABEL.match(comment) for comment in COMMENT.findall(around)):
            words.add(names[-1] if names else 'fence')
    return words


def read_page(text):
    """For each section with a table the pairs of file and name in its rows."""
    parts = re.split(r'^(\w[^\n]*)\n(?:-+|~+|=+)\n', text, flags=re.MULTILINE)
    return {title: set(ROW.findall(body)) for title, body in zip(parts[1::2], parts[2::2])
            if title in SECTIONS}


def read_library(folder):
    """What there is of each section, all labels with their file, those mentioned elsewhere."""
    found = {section: set() for section in SECTIONS}
    labels, mentioned = [], set()
    for path in sorted([*folder.glob('*.[ch]'), *folder.glob('*/*.[ch]')]):
        text, file = path.read_text(), str(path.relative_to(folder))
        found['Locks'] |= {(file, name) for name in find_locks(text)}
        found['Words that need no label'] |= {(file, name) for name in find_bare_words(text)}
        labels += [(file, label) for label in find_labels(text)]
        mentioned |= find_mentioned(text)
    found['Barriers'] = {(name, label.name) for name, label in labels}
    return found, labels, mentioned


def table_complaints(found, page):
    for section in SECTIONS:
        if section not in page:
            yield f'the page has no section "{section}"'
            continue
        for file, name in sorted(found[section] - page[section]):
            yield f'{file}: {name} is not in the page, section "{section}"'
        for file, name in sorted(page[section] - found[section]):
            yield f'the page, section "{section}": there is no {name} in {file}'


def partner_complaints(labels, mentioned):
    places = collections.Counter(label.name for _, label in labels)
    named_by = collections.defaultdict(set)
    for _, label in labels:
        named_by[label.name] |= label.partners
    for file, label in labels:
        for partner in sorted(label.partners):
            if partner not in places:
                yield f'{file}: {label.name} pairs with {partner}, which is nowhere'
            elif label.name not in named_by[partner]:
                yield f'{file}: {label.name} pairs with {partner}, which does not say so'
        if not label.partners and not label.pairs_outside and places[label.name] < 2 and \
                label.name not in mentioned:
            yield f'{file}: {label.name} does not say what it pairs with'


MADE_UP = '''
static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
struct thing {
	int size;
	rte_spinlock_t view_lock;	/* a leaf */
};
static struct {
	pthread_mutex_t lock;
	pthread_cond_t idle;
} loop = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
};
static void
put(struct thing *t)
{
	pthread_mutex_t local;

	/* Z1 pairs with Z2 */
	__atomic_store_n(&t->size, 1, __ATOMIC_RELEASE);
}
static int
get(struct thing *t)
{
	/* Z2 pairs with Z1 */
	return __atomic_load_n(&t->size, __ATOMIC_ACQUIRE);
}
static int
bare(struct thing *t)
{
	return __atomic_load_n(&t->size, __ATOMIC_ACQUIRE) +
		__atomic_load_n(&t->other, __ATOMIC_RELAXED);
}
static void
alone(void)
{
	/* Y1: before what follows */
	rte_atomic_thread_fence(__ATOMIC_SEQ_CST);
	/* X1 pairs with X2 */
	rte_atomic_thread_fence(__ATOMIC_SEQ_CST);
	/* W1 pairs with the driver's load of flags */
	rte_atomic_thread_fence(__ATOMIC_SEQ_CST);
	/* V1 pairs with Z2 */
	rte_atomic_thread_fence(__ATOMIC_SEQ_CST);
	/*
	 * U1 for the one that
	 * says so
	 */
	rte_atomic_thread_fence(__ATOMIC_SEQ_CST);
	/* release, pairs with U1 */
	rte_atomic_thread_fence(__ATOMIC_SEQ_CST);
}
'''
MADE_UP_PAGE = '''
Locks
-----

   * - ``made_up.c``
     - ``table_lock``
     - text
   * - ``made_up.c``
     - ``loop.lock``
   * - ``made_up.c``
     - ``gone_lock``

Barriers
--------

   * - ``made_up.c``
     - Z1
   * - ``made_up.c``
     - Z2
   * - ``made_up.c``
     - U1
   * - ``other.c``
     - Z2

Words that need no label
------------------------
'''
EXPECTED = '''
made_up.c: loop.idle is not in the page, section "Locks"
made_up.c: thing.view_lock is not in the page, section "Locks"
the page, section "Locks": there is no gone_lock in made_up.c
made_up.c: V1 is not in the page, section "Barriers"
made_up.c: W1 is not in the page, section "Barriers"
made_up.c: X1 is not in the page, section "Barriers"
made_up.c: Y1 is not in the page, section "Barriers"
the page, section "Barriers": there is no Z2 in other.c
made_up.c: size is not in the page, section "Words that need no label"
made_up.c: Y1 does not say what it pairs with
made_up.c: X1 pairs with X2, which is nowhere
made_up.c: V1 pairs with Z2, which does not say so
'''.strip().splitlines()


def check(folder, page):
    found, *labels = read_library(folder)
    return found, [*table_complaints(found, read_page(page)), *partner_complaints(*labels)]


def self_test():
    """Compare a made-up file with a made-up page, both with known faults."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / 'made_up.c'
        path.write_text(MADE_UP)
        _, complaints = check(path.parent, MADE_UP_PAGE)
    return tell_self_test(complaints, EXPECTED)


def main():
    if sys.argv[1:] == ['--self-test']:
        return self_test()
    if sys.argv[1:]:
        sys.exit(__doc__)
    found, complaints = check(LIBRARY, PAGE.read_text() if PAGE.exists() else '')
    return tell(complaints,
                ', '.join(f'{len(found[section])} in "{section}"' for section in SECTIONS))


if __name__ == '__main__':
    sys.exit(main())
