# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""A page with a fault of each kind, and one with none."""

import blocks
import log_lines
import names
import pages

RIGHT = '''
See :doc:`vhost_install`, ``devtools/test --fast`` and ``devtools/test --only 'real peers'``,
``rte_vhost_numa.h``, `rte_vhost_numa_refresh()`, ``/vhost/numa,VID``, ``ring_*.h``, ``--no-huge``.

.. image:: img/vhost_numa.png

.. code-block:: console

   devtools/numa-lab --nodes 2 -- devtools/check-guides --self-test | grep --line passed
   dpdk-vhost --lcores 1 -- --socket-file /tmp/x
   --> /vhost/list

.. code-block:: c

   #include <rte_vhost_numa.h>

   int again(int vid) { return rte_vhost_numa_refresh(vid); }

.. code-block:: json

   {"/vhost/list": [0]}

.. code-block:: xml

   <memory unit='MiB'>512</memory>
   <vcpu>1</vcpu>
'''

# The text, and a part of what has to be said of it.
WRONG = (
    (':doc:`nowhere`', 'nowhere.rst leads nowhere'),
    ('.. image:: img/none.png\n', 'img/none.png leads nowhere'),
    ('``devtools/none``', 'there is no devtools/none'),
    ('``net_none.c``', 'there is no file net_none.c'),
    ('``none_*.h``', 'there is no file none_'),
    ('``devtools/test --none``', 'devtools/test has no option --none'),
    ("``devtools/test --only 'no such step'``", 'no step "no such step"'),
    ('``--no-such``', 'no program of the tree has the option --no-such'),
    ('``/vhost/none,VID``', 'no telemetry command /vhost/none'),
    ('``rte_vhost_none()``', 'no rte_vhost_none'),
    ('``RTE_VHOST_USER_NONE``', 'no RTE_VHOST_USER_NONE'),
    ('``vhost_none()``', 'no vhost_none()'),
    ('.. code-block:: console\n\n   devtools/numa-lab -- devtools/perf-compare \\\n       --none\n',
     'devtools/perf-compare has no option --none'),
    ('.. code-block:: console\n\n   dpdk-vhost --lcores 1 -- --no-such\n', 'dpdk-vhost has no option --no-such'),
    ('.. code-block:: console\n\n   ls /lib && devtools/none\n', 'there is no devtools/none'),
    ('.. code-block:: console\n\n   for i in 1 2; do\n', 'console cannot be read'),
    ('.. code-block:: c\n\n   #include <rte_vhost.h>\n\n   int x = rte_vhost_none;\n', 'c cannot be read'),
    ('.. code-block:: json\n\n   {"a": }\n', 'json cannot be read'),
    ('.. code-block:: xml\n\n   <a><b></a>\n', 'xml cannot be read'),
)
WRONG_MD = (
    ('[guide](doc/guides/none.rst)', 'doc/guides/none.rst leads nowhere'),
    ('a\n\n    devtools/test --none\n', 'devtools/test has no option --none'),
    ('```json\n[1,]\n```\n', 'json cannot be read'),
)

SOURCE = '''
#define VHOST_LOG_CONFIG(level, fmt, ...) rte_log(RTE_LOG_ ## level)
	VHOST_LOG_CONFIG(INFO, "(%s) vring %u: %" PRIu64 " bytes, " NAME " (or "
		"not)\\n", path, i, n);
	VHOST_LOG_CONFIG(ERR, "(%s) vring %u: %s\\n", path, i, why);
	VHOST_LOG_DATA(DEBUG, "nothing\\n");
'''
ROWS = [('vring N: N bytes, NAME (or not)', 'INFO'), ('vring N: no room', 'ERR')]
# The rows, and a part of what has to be said of them.
WRONG_ROWS = (
    (ROWS[:1], 'is in no table'),
    ([*ROWS, ('something else', 'ERR')], 'no line of the library is like "something else"'),
    ([ROWS[0], ('vring N: no room', 'INFO')], 'no line of level INFO'),
)
TABLE = '''
   * - ``vring N: N bytes, NAME (or not)``
     - INFO
     - What it says.
   * - ``vring N: no room``
     - ERR
     - What it says.
'''


def said_of(tree, name, text):
    page = pages.Page(tree.folder / name, text)
    return [complaint for _, complaint in (*names.link_complaints(page),
                                           *names.complaints(tree, page),
                                           *blocks.complaints(tree.folder, page))]


def judge(text, wanted, said):
    """Whether it was found, and nothing else."""
    right = all(wanted in complaint for complaint in said) and bool(said) if wanted else not said
    if not right:
        print(f'FAIL  of {text!r} was wanted: {wanted}, said: {said}')
    return right


def run(folder):
    """The results of all cases."""
    tree = names.Tree(folder)
    page, readme = 'doc/guides/howto/made_up.rst', 'MADE_UP.md'
    results = [judge('the right page', None, said_of(tree, page, RIGHT))]
    results += [judge(text, wanted, said_of(tree, page, text)) for text, wanted in WRONG]
    results += [judge(text, wanted, said_of(tree, readme, text)) for text, wanted in WRONG_MD]
    lines = list(log_lines.lines_of('made_up.c', SOURCE))
    results.append(judge('the right table', None,
                         list(log_lines.complaints(lines, log_lines.rows_of(TABLE)))))
    results += [judge(rows, wanted, list(log_lines.complaints(lines, rows)))
                for rows, wanted in WRONG_ROWS]
    return results
