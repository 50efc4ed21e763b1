# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Places in a C file where one thing can be changed, as libclang sees it.

A place is a span of the file and what stands there instead.  What the preprocessor
leaves out is no place, nor what only comes from a macro's body; arguments of a macro
are.  What is said in the log is no place, nor are functions that do nothing else.
No change adds or removes a line.
"""

import bisect
import collections
import ctypes
import dataclasses
import pathlib
import re

import clang.cindex
from clang.cindex import CursorKind

SWAPS = {
    'boundary': {'<': '<=', '<=': '<', '>': '>=', '>=': '>'},
    'equal': {'==': '!=', '!=': '=='},
    'logic': {'&&': '||', '||': '&&'},
    'sum': {'+': '-', '-': '+', '+=': '-=', '-=': '+=', '++': '--', '--': '++'},
    'bits': {'&': '|', '|': '&', '|=': '&=', '&=': '|=', '<<': '>>', '>>': '<<'},
}
SWAP = {old: (kind, new) for kind, pairs in SWAPS.items() for old, new in pairs.items()}
# Everything that a mutant may be.
KINDS = {
    'boundary': '< is <=, and so on',
    'equal': '== is !=, and the other way round',
    'logic': '&& is ||, and the other way round',
    'negated': 'a condition is its opposite, a ! is left out',
    'more': 'a number is one more',
    'less': 'a number is one less',
    'sum': '+ is -, and the other way round',
    'bits': '& is |, << is >>, and the other way round',
    'minmax': 'RTE_MIN is RTE_MAX, and the other way round',
    'call': 'a call is left out',
    'assign': 'an assignment is left out',
    'return': 'an error is a success, or the other way round; a pointer is NULL',
    'early': 'return, break, continue or goto is left out',
    'lock': 'taking or releasing a lock is left out',
    'order': 'an atomic access is relaxed',
    'fence': 'a barrier is left out',
}
RACES = ('lock', 'order', 'fence')      # what only another thread can notice

FENCES = re.compile(r'(rte|__atomic|atomic)_\w*(fence|mb|barrier)')
LOCKS = re.compile(r'\w*(mutex|spinlock|rwlock)_\w*(lock|unlock)')
SAYS = re.compile(r'(log|warn|say|complain|describe|tell)_\w+')
NOT_CODE = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
NO_PLACE = re.compile(r'\b(VHOST_LOG\w*|RTE_LOG|static_assert|_Static_assert|RTE_BUILD_BUG_ON|'
                      r'RTE_ASSERT|__attribute__|__rte_\w+)\s*\(')
LITERAL = re.compile(r'(0[xX][0-9a-fA-F]+|0|[1-9][0-9]*)([uUlL]*)')
ORDER = re.compile(r'__ATOMIC_(?:ACQUIRE|RELEASE|ACQ_REL|SEQ_CST)|'
                   r'rte_memory_order_(?:acquire|release|acq_rel|seq_cst)')
MINMAX = re.compile(r'\bRTE_(MIN|MAX)\b(?=\()')
STATEMENTS = (CursorKind.IF_STMT, CursorKind.FOR_STMT, CursorKind.WHILE_STMT, CursorKind.DO_STMT,
              CursorKind.CASE_STMT, CursorKind.DEFAULT_STMT, CursorKind.LABEL_STMT)
JUMPS = (CursorKind.BREAK_STMT, CursorKind.CONTINUE_STMT, CursorKind.GOTO_STMT)


@dataclasses.dataclass(frozen=True)
class Place:
    """One change of one file."""
    file: str           # below the library's folder
    line: int
    column: int
    kind: str
    nth: int            # of its kind on its line, from 1
    function: str       # '' if it is in a table
    first_line: int     # of the statement that it is in
    text: str           # the line
    start: int          # offsets in the file
    end: int
    new: str

    @property
    def id(self):
        return f'{self.file}:{self.line}:{self.column}:{self.kind}'

    def apply(self, text):
        """The file with the change; as many lines as before."""
        gone = text[self.start:self.end].count('\n') - self.new.count('\n')
        return text[:self.start] + self.new + '\n' * gone + text[self.end:]


def blank(match):
    return re.sub(r'[^\n]', ' ', match.group())


def closing(text, start):
    """Where the parenthesis at 'start' ends."""
    depth = 0
    for at in range(start, len(text)):
        depth += (text[at] == '(') - (text[at] == ')')
        if depth == 0:
            return at + 1
    return len(text)


def code_of(text):
    """The file with blanks for comments, strings and what is no place; offsets stay."""
    code = NOT_CODE.sub(blank, text)
    for match in NO_PLACE.finditer(code):
        end = closing(code, match.end() - 1)
        code = code[:match.start()] + re.sub(r'[^\n]', ' ', code[match.start():end]) + code[end:]
    return re.sub(r'^[ \t]*#.*(?:\\\n.*)*', blank, code, flags=re.M)


def file_offset(location):
    """The offset in the file; of a macro's argument that of the argument."""
    offset = ctypes.c_uint()
    clang.cindex.conf.lib.clang_getFileLocation(
        location, ctypes.byref(ctypes.c_void_p()), None, None, ctypes.byref(offset))
    return offset.value


class Names:
    """Which file of a unit is the wanted one, by whatever name it was included."""

    def __init__(self, path):
        self._path = path.resolve()
        self._known = {}

    def is_in(self, location):
        if location.file is None:
            return False
        name = location.file.name
        if name not in self._known:
            self._known[name] = pathlib.Path(name).resolve() == self._path
        return self._known[name]


def span(cursor):
    return file_offset(cursor.extent.start), file_offset(cursor.extent.end)


class Finder:
    """Finds the places of one file."""

    def __init__(self, name, path):
        self.name = name
        self.names = Names(path)
        # offsets are those of bytes, which only comments could make differ
        self.text = path.read_text(encoding='latin-1')
        self.code = code_of(self.text)
        self.lines = self.text.split('\n')
        self.starts = [0]
        for line in self.lines:
            self.starts.append(self.starts[-1] + len(line) + 1)
        self.found = {}         # (start, kind): what Place wants besides its number
        self.function = ''
        self.result = ''

    def find(self, unit, arguments):
        """All places, in their order in the file, as a unit sees it."""
        unit = clang.cindex.Index.create().parse(
            str(unit), args=[*arguments, '-Wno-everything'])
        wrong = [d.spelling for d in unit.diagnostics
                 if d.severity >= clang.cindex.Diagnostic.Error]
        if wrong:
            raise ValueError(f'{self.name}: libclang does not understand it: {wrong[0]}')
        for cursor in unit.cursor.get_children():
            if not self.names.is_in(cursor.location):
                continue
            if cursor.kind == CursorKind.FUNCTION_DECL and cursor.is_definition():
                self._function(cursor)
            elif cursor.kind == CursorKind.VAR_DECL:
                self.function = self.result = ''
                self._walk(cursor, self._position(span(cursor)[0])[0])
        return self._places()

    def _position(self, offset):
        line = bisect.bisect_right(self.starts, offset)
        return line, offset - self.starts[line - 1] + 1

    def _function(self, cursor):
        if SAYS.fullmatch(cursor.spelling):
            return
        self.function = cursor.spelling
        self.result = cursor.result_type.get_canonical().spelling
        start, end = span(cursor)
        for match in ORDER.finditer(self.code, start, end):
            prefix = '__ATOMIC_RELAXED' if match.group()[0] == '_' else 'rte_memory_order_relaxed'
            self._add('order', match.start(), match.end(), prefix)
        for match in MINMAX.finditer(self.code, start, end):
            other = {'MIN': 'MAX', 'MAX': 'MIN'}[match.group(1)]
            self._add('minmax', match.start(1), match.end(1), other)
        for child in cursor.get_children():
            if child.kind == CursorKind.COMPOUND_STMT:
                self._walk(child, 0)

    def _add(self, kind, start, end, new, first_line=None):
        # what was blanked is no place
        if start >= end and kind != 'negated' or not self.code[start:max(end, start + 1)].strip():
            return
        line, column = self._position(start)
        self.found.setdefault((start, kind), (line, column, self.function,
                              first_line or line, end, new))

    def _places(self):
        numbers = collections.Counter()
        places = []
        for (start, kind), (line, column, function, first, end, new) in sorted(self.found.items()):
            numbers[line, kind] += 1
            places.append(Place(self.name, line, column, kind, numbers[line, kind], function, first,
                                self.lines[line - 1].strip(), start, end, new))
        return places

    def _walk(self, cursor, first_line, is_statement=False, in_switch=False):
        """Look at a cursor and all below it; 'first_line' is that of its statement."""
        start, end = span(cursor)
        kind = cursor.kind
        children = list(cursor.get_children())
        if is_statement or kind.is_statement():
            first_line = self._position(start)[0]
        if is_statement:
            self._statement(cursor, start, end, first_line)
        look = self.LOOKS.get(kind)
        if look is not None:
            look(self, children, start, end, first_line)
        if kind == CursorKind.COMPOUND_STMT:
            below = children
        elif kind == CursorKind.IF_STMT:
            below = children[1:]
        elif kind in STATEMENTS:
            below = children[:1] if kind == CursorKind.DO_STMT else children[-1:]
        else:
            below = []
        for child in children:
            # the size of an array is no place
            if not (kind == CursorKind.VAR_DECL and child.kind == CursorKind.INTEGER_LITERAL and
                    '[' in cursor.type.spelling):
                self._walk(child, first_line, child in below)

    def _statement(self, cursor, start, end, first_line):
        """What can be left out as a whole."""
        if not re.match(r'\s*;', self.code[end:]) or end <= start:
            return
        if cursor.kind == CursorKind.CALL_EXPR:
            name = cursor.spelling
            if SAYS.fullmatch(name) or not self.text[start:end].startswith(name):
                return
            kind = ('fence' if FENCES.fullmatch(name) else
                    'lock' if LOCKS.fullmatch(name) else 'call')
            self._add(kind, start, end, '(void)0', first_line)
        elif cursor.kind == CursorKind.COMPOUND_ASSIGNMENT_OPERATOR or (
                cursor.kind == CursorKind.BINARY_OPERATOR and
                self._operator(list(cursor.get_children()))[0] == '='):
            self._add('assign', start, end, '(void)0', first_line)
        elif cursor.kind in JUMPS:
            self._add('early', start, end, '(void)0', first_line)

    def _operator(self, children):
        """The operator between two operands, and where it is; ('', 0) if it is none of ours."""
        if len(children) != 2:
            return '', 0
        left, right = span(children[0])[1], span(children[1])[0]
        between = self.code[left:right] if left < right else ''
        return between.strip(), left + len(between) - len(between.lstrip())

    def _binary(self, children, start, end, first_line):
        operator, at = self._operator(children)
        if operator in SWAP:
            kind, new = SWAP[operator]
            self._add(kind, at, at + len(operator), new, first_line)

    def _unary(self, children, start, end, first_line):
        if self.code[start] == '!' and self.code[start:start + 2] != '!=':
            self._add('negated', start, start + 1, '', first_line)
        for at in (start, end - 2):
            operator = self.code[at:at + 2]
            if operator in ('++', '--'):
                self._add('sum', at, at + 2, SWAP[operator][1], first_line)

    def _condition(self, children, start, end, first_line):
        left, right = span(children[0])
        # nor a condition that a macro brings; a lone == is a kind of its own
        asks = (self.code[start:start + 2] == 'if' or
                re.match(r'\s*\?', self.code[right:]) is not None)
        alone = (children[0].kind == CursorKind.BINARY_OPERATOR and
                 self._operator(list(children[0].get_children()))[0] in SWAPS['equal'])
        if asks and not alone and left < right and self.code[left] != '!':
            self._add('negated', left, right, f'!({self.text[left:right]})', first_line)

    def _literal(self, children, start, end, first_line):
        match = LITERAL.fullmatch(self.code[start:end])
        # one error for another is no place
        if match is None or re.search(r'\breturn\s*-\s*$', self.code[:start]):
            return
        value, suffix = int(match.group(1), 0), match.group(2)
        form = '{:#x}{}' if match.group(1)[:2].lower() == '0x' else '{}{}'
        self._add('more', start, end, form.format(value + 1, suffix), first_line)
        if value > 0:
            self._add('less', start, end, form.format(value - 1, suffix), first_line)

    def _return(self, children, start, end, first_line):
        if not children:
            # the last one of a function has nothing after it and changes nothing
            if not re.match(r'\s*;\s*}\s*\n}', self.code[end:]):
                self._add('early', start, end, '(void)0', first_line)
            return
        left, right = span(children[0])
        value = self.code[left:right]
        other = {'true': 'false', 'false': 'true',
                 'RTE_VHOST_MSG_RESULT_ERR': 'RTE_VHOST_MSG_RESULT_OK',
                 'RTE_VHOST_MSG_RESULT_OK': 'RTE_VHOST_MSG_RESULT_ERR'}.get(value)
        if '*' in self.result and value not in ('NULL', '0'):
            other = 'NULL'
        elif self.result in ('int', 'long') and value == '0':
            other = '-1'
        elif self.result in ('int', 'long') and value.startswith('-'):
            other = '0'
        if other is not None:
            self._add('return', left, right, other, first_line)

    LOOKS = {
        CursorKind.BINARY_OPERATOR: _binary,
        CursorKind.COMPOUND_ASSIGNMENT_OPERATOR: _binary,
        CursorKind.UNARY_OPERATOR: _unary,
        CursorKind.IF_STMT: _condition,
        CursorKind.CONDITIONAL_OPERATOR: _condition,
        CursorKind.INTEGER_LITERAL: _literal,
        CursorKind.RETURN_STMT: _return,
    }


def find(name, path, unit, arguments):
    """The places of a file that 'unit' is or includes; 'arguments' are those of its compiler."""
    return Finder(name, path).find(unit, arguments)
