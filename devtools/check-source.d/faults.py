# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""A fault of its kind for each checker, and the same mended or silenced."""

import pathlib
import shutil
import tempfile

import checkers
import running
import subjects

# For --self-test: of each checker the name of a file, a faulty line with what is around it
# ("%s"), a word of the complaint, and the line as it is when it is silenced.  Words that are
# wrong are put together, or codespell would find them here.
FAULTS = {
    'clang-tidy': ('fault.c', '#include <string.h>\nvoid f(char *to, size_t n);\nvoid f(char *to, size_t n)\n{\n%s\n}\n',
                   '\tmemset(to, n, 0);', 'bugprone-suspicious-memset-usage',
                   '\tmemset(to, n, 0); /* NOLINT(bugprone-suspicious-memset-usage): nothing is meant */'),
    'scan-build': ('fault.c', 'int f(int *at);\nint f(int *at)\n{\n\tif (at == 0)\n%s\n\treturn *at;\n}\n',
                   '\t\t*at = 1;', 'core.NullDereference', '\t\treturn 1; /* as it has to be here */'),
    'gcc': ('fault.c', '#include <stdlib.h>\nvoid f(void);\nvoid f(void)\n{\n\tint *at = malloc(4);\n\n%s\n\tfree(at);\n}\n',
            '\t*at = 1;', 'analyzer-possible-null-dereference',
            '#pragma GCC diagnostic ignored "-Wanalyzer-possible-null-dereference" /* it is a test */\n\t*at = 1;'),
    'cppcheck': ('fault.c', 'int f(int i);\nint f(int i)\n{\n\tint all[4] = { 0 };\n\n\tif (i == 4)\n\t\ti++;\n%s\n}\n',
                 '\treturn all[4];', 'arrayIndexOutOfBounds',
                 '\treturn all[4]; /* cppcheck-suppress arrayIndexOutOfBounds ; it is a test */'),
    'codespell': ('fault.md', 'A fault:\n%s\n', 'how to rec' 'ieve it', 'receive', 'how to receive it'),
    'shellcheck': ('fault', '#!/bin/sh\n%s\n', 'rm -rf $1/', 'SC2086',
                   '# shellcheck disable=SC2086,SC2115 # it is never run\nrm -rf $1/'),
    'pyflakes': ('fault.py', 'import sys\n%s\n', 'print(size)', 'undefined name', 'print(sys.argv)'),
    'reasons': ('fault.c', 'int f;\n%s\n', 'int *g = 0; /* NO' 'LINT */', 'without a reason',
                'int *g = 0; /* NOLINT: nobody reads it */'),
    'reuse': ('fault.c', '/* Copyright(c) 2026 nobody */\n%s\nint f;\n', '/* any licence */',
              'no licensing information', '/* SPDX' '-License-Identifier: BSD-3-Clause */'),
    'maintainers': ('MAINTAINERS', 'F: files\n\nAn area\n-------\nF: MAIN*\n%s\n', 'F: gone/', 'nothing is gone/',
                    'F: MAINTAINERS'),
    'clang-format': ('fault.c', 'int f(int i);\nint\nf(int i)\n{\n%s\n\treturn 1;\n}\n', '\tif(i > 2)\n\t\treturn 2;',
                     'clang-format has', '\tif (i > 2 &&\n\t\ti < 9)\n\t\treturn 2;'),
}
# What of the tree has to be beside the file.
BESIDE = {'reuse': 'LICENSES'}


def self_test(names):
    wrong = 0
    for name in names:
        file, around, faulty, complaint, silenced = FAULTS[name]
        check = checkers.CHECKERS[name][0]
        for line, wanted in ((faulty, True), (silenced, False)):
            with tempfile.TemporaryDirectory() as folder:
                path = pathlib.Path(folder) / file
                path.write_text(around % line)
                if name in BESIDE:
                    shutil.copytree(running.TREE / BESIDE[name], path.parent / BESIDE[name])
                subject = path
                if name in checkers.COMPILED:
                    subject = subjects.Unit({'directory': folder, 'file': file,
                                             'command': f'cc -Wall -c {file}'})
                found = check([subject])
            good = any(complaint in text for text in found) if wanted else not found
            print(f'{name}: {"a fault" if wanted else "the same, mended or silenced"}: '
                  f'{"as it should be" if good else found or "nothing found"}')
            wrong += not good
    return wrong


