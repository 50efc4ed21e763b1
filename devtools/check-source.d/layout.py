# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Of what clang-format would change: that which is wrong.

It cannot be told of all that looks as it should here: how far a statement's further lines
are indented, tables of macros and comments, where lines are broken.  And it takes "a * b"
for a pointer now and then.  What is left is how far statements are indented, where their
braces are, and spaces.
"""

import difflib
import pathlib
import re
import shutil
import tempfile

import running

LABEL = re.compile(r'\s*(case\b.*|default|\w+)\s*:')
# Between these it may be right, and says otherwise.
UNSURE = re.compile(r' ?(\*|&|<|>|##) ?')
EMPTY = re.compile(r'; (?=[;)])')


def formatted(paths):
    """Lines of each file as clang-format has them."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        shutil.copy(running.TREE / '.clang-format', folder)
        copies = [folder / f'{number}{path.suffix}' for number, path in enumerate(paths)]
        for path, copy in zip(paths, copies):
            shutil.copy(path, copy)
        done = running.run([running.program('clang-format'), '-i', *copies], folder)
        if done.returncode != 0:
            raise running.Broken(f'clang-format: {done.stderr}')
        return [copy.read_text().splitlines() for copy in copies]


def beginnings(lines):
    """For each line, whether a statement begins there: what is indented as clang-format says."""
    before, depth, inside_macro = ';', 0, False
    for line in without_comments(lines):
        text = line.strip()
        if not text:
            yield False
            continue
        if inside_macro or text.startswith('#'):
            inside_macro, before = text.endswith('\\'), ';'
            yield False
            continue
        if not line[0].isspace():
            depth = 0
        # rows of tables are indented as it suits them
        yield depth == 0 and text[0] not in '.{' and not text.endswith('},') and (
            before[-1] in ';{}' or LABEL.fullmatch(before) is not None)
        before, depth = line.rstrip(), max(depth + text.count('(') - text.count(')'), 0)


def without_comments(lines):
    """The same lines, blank where a comment is."""
    text = '\n'.join(lines)
    return re.sub(r'/\*.*?\*/|//[^\n]*', lambda found: '\n' * found[0].count('\n'), text,
                  flags=re.DOTALL).split('\n')


def indent(line):
    return line[:len(line) - len(line.lstrip())]


def spaced(line):
    """A line's words, with what counts of the spaces between them."""
    return UNSURE.sub(r'\1', EMPTY.sub(';', ' '.join(line.split())))


def differences(lines, wanted):
    """Numbers of lines that are wrong, and what they should be."""
    begins = list(beginnings(lines))
    bare = [[''.join(line.split()) for line in text] for text in (lines, wanted)]
    for here, there, count in difflib.SequenceMatcher(None, *bare, autojunk=False).get_matching_blocks():
        for line in range(count):
            old, new = lines[here + line], wanted[there + line]
            if begins[here + line] and indent(old) != indent(new) or spaced(old) != spaced(new):
                yield here + line + 1, new


def findings(paths):
    return [f'{path}:{number}: clang-format has: {new}'
            for path, wanted in zip(paths, formatted(paths))
            for number, new in differences(path.read_text().splitlines(), wanted)]
