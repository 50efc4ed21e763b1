#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Check that the reference of the API has everything, and that everything in it is described.

Doxygen makes it, in a folder of its own, for each release of DPDK that differs.  What Doxygen
itself complains of counts: what has no comment, a parameter that is not described.  Beyond that:

* every public header, and every name that the library exports, is in the reference and on its
  index page; nothing else is;
* every function says what it returns, which threads may call it, since when it is there, which
  section of a specification it implements or that it does none, and that it is experimental
  if it is;
* every function that the application or a driver hands over is described likewise.

Usage: check-reference.py [--self-test]
"""

import collections
import pathlib
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

from complaints import tell, tell_self_test

TREE = pathlib.Path(__file__).resolve().parent.parent
LIBRARY = TREE / 'lib' / 'librte_vhost'
TEMPLATE = TREE / 'doc/api/Doxyfile.in'
INDEX = TREE / 'doc/api/index.md'
GUIDES = TREE / 'doc/guides'
sys.path.insert(0, str(LIBRARY / 'abi'))
sys.dont_write_bytecode = True
import version_map

# A release of each column of the exports.
RELEASES = {'23': (22, 11), '25': (24, 11)}
# For drivers: they build against DPDK's own.
NOT_INSTALLED = ('vdpa_driver.h',)

SAFETY = re.compile(r'Thread safety: \w')
SPECIFICATION = re.compile(r'virtio \d|vhost-user, |Outside the specifications')
OF_DPDK = {'23': re.compile(r'ABI 23 '), '25': re.compile(r'ABI 25\b')}
STABLE_LATER = re.compile(r'stable')
ALWAYS_EXPERIMENTAL = re.compile(r'EXPERIMENTAL(?! with ABI)')
OWN = re.compile(r'vhost-numa \d+\.\d+\.\d+')
PARAMETER = re.compile(r'(\w+)(?:\[\])?\s*(?:,|\)$)')


class Function:
    """A function, or a pointer to one that others hand over."""

    def __init__(self, file, owner, member):
        self.file = file
        self.name = owner + member.findtext('name')
        self.kind = member.get('kind')
        self.is_inline = member.get('static') == 'yes'
        result = ''.join(member.find('type').itertext())
        self.returns = not re.fullmatch(r'(static|inline|\s)*void\s*(\(\*)?', result)
        self.parameters = self._parameters(member)
        about = member.find('detaileddescription')
        self.text = ' '.join(''.join(part.itertext()) for part in
                             (member.find('briefdescription'), about))
        self.described = {name.text for name in about.iter('parametername')}
        self.sections = {section.get('kind'): ''.join(section.itertext())
                         for section in about.iter('simplesect')}

    @staticmethod
    def _parameters(member):
        names = {name.text for name in member.iterfind('param/declname')}
        if member.get('kind') != 'function':
            names = set(PARAMETER.findall(member.findtext('argsstring')))
        return names - {'void'}


def doxygen(folder, library, index, release):
    """Make the reference as XML; what Doxygen complains of."""
    year, month = release
    words = {'VERSION': '0', 'DPDK': f'{year}.{month}', 'FOLDER': index.parent, 'HEADERS': library,
             'RTE_VERSION': f'"({year} << 24 | {month} << 16)"', 'OUTPUT': folder,
             # it is what looks for parameters without a description
             'HTML': 'YES', 'XML': 'YES'}
    filled = re.sub('@([A-Z_]+)@', lambda found: str(words[found.group(1)]), TEMPLATE.read_text())
    try:
        done = subprocess.run(['doxygen', '-'], input=filled, text=True, capture_output=True,
                              check=False)
    except FileNotFoundError:
        sys.exit('check-reference: no doxygen: install it (devtools/setup-debian does)')
    # a complaint may go on in the next line
    said = done.stderr.replace('\n  ', ' ').replace(f'{library}/', '')
    lines = said.splitlines()
    if done.returncode != 0 and not lines:
        sys.exit(f'check-reference: doxygen ended with {done.returncode}')
    return lines


def is_function(member):
    kind, arguments = member.get('kind'), member.findtext('argsstring') or ''
    return kind == 'function' or kind in ('variable', 'typedef') and arguments.startswith(')(')


def read_reference(folder):
    """Its files with what they say of themselves, and all functions in it."""
    files, functions = {}, []
    for path in sorted((folder / 'xml').glob('*.xml')):
        for compound in xml.etree.ElementTree.parse(path).iter('compounddef'):
            name = compound.findtext('compoundname')
            if compound.get('kind') not in ('file', 'struct', 'union'):
                continue
            file = name
            if compound.get('kind') == 'file':
                files[name] = ''.join(compound.find('detaileddescription').itertext())
            else:
                file = pathlib.Path(compound.find('location').get('file')).name
            owner = '' if compound.get('kind') == 'file' else f'{name}.'
            functions += [Function(file, owner, member)
                          for member in compound.iter('memberdef') if is_function(member)]
    return files, functions


def public_headers(library):
    listed = re.findall(r"^\s*'(rte_\w+\.h)',$", (library / 'meson.build').read_text(), re.MULTILINE)
    return {*listed, *NOT_INSTALLED}


def exports(library):
    """Of every name its kind in each column; not of those that it is not in."""
    kinds = collections.defaultdict(dict)
    for column in RELEASES:
        for kind, names in version_map.read_column(library / 'abi/exports', column).items():
            for name in names:
                kinds[name][column] = kind
    return kinds


def since_complaint(function, kinds, is_own):
    """What is wrong with what is said of the function's age."""
    said = function.sections.get('since', '')
    if is_own:
        return None if OWN.search(said) else 'does not say since which vhost-numa it is there'
    for column in RELEASES:
        # the inline functions have always been there
        if column in kinds or not kinds:
            if not OF_DPDK[column].search(said):
                return f'does not say that it is there since ABI {column}'
            break
    if 'experimental' in kinds.values() and 'stable' in kinds.values() and \
            not STABLE_LATER.search(said):
        return 'does not say since when it is stable'
    return None


def function_complaints(function, kinds, file_text):
    for name in sorted(function.parameters - function.described):
        yield f'parameter {name} is not described'
    for name in sorted(function.described - function.parameters):
        yield f'there is no parameter {name}'
    if function.returns and 'return' not in function.sections:
        yield 'does not say what it returns'
    if function.kind != 'function':
        return
    if not SAFETY.search(function.text):
        yield 'does not say which threads may call it'
    if not SPECIFICATION.search(function.text):
        yield 'names no section of a specification'
    complaint = since_complaint(function, kinds, OWN.search(file_text))
    if complaint:
        yield complaint
    # of all functions in it a file may say so
    if 'experimental' in kinds.values() and 'EXPERIMENTAL' not in function.text + file_text:
        yield 'does not say that it is experimental'
    if 'stable' in kinds.values() and ALWAYS_EXPERIMENTAL.search(function.text):
        yield 'is not experimental with all releases'


def index_complaints(text, kinds, headers):
    found = re.findall(r'\b(\w+)\(\)( \(e\))?', text)
    named = collections.Counter(name for name, _ in found)
    for name in sorted(kinds):
        if named[name] != 1:
            yield f'index page: {name}() is there {named[name]} times, not once'
    for name, mark in found:
        if bool(mark) != ('experimental' in kinds[name].values()):
            yield f'index page: {name}() is marked as what it is not'
    for name in sorted(headers):
        if f'@ref {name}' not in text:
            yield f'index page: {name} is not there'
    for page in re.findall(r'/guides/html/([\w/]+)\.html', text):
        if not (GUIDES / f'{page}.rst').exists():
            yield f'index page: there is no guide {page}'


def column_complaints(library, index, column):
    """What is wrong with the reference for a column's release."""
    kinds, headers = exports(library), public_headers(library)
    with tempfile.TemporaryDirectory() as folder:
        yield from doxygen(folder, library, index, RELEASES[column])
        files, functions = read_reference(pathlib.Path(folder))
        first_page = (pathlib.Path(folder) / 'xml/indexpage.xml').read_text()
    if '()' not in first_page:
        yield 'index page: it is not the first page'
    for name in sorted(headers ^ (set(files) - {index.name})):
        yield f'{name}: {"no public header" if name in files else "not in the reference"}'
    plain = {function.name: function for function in functions if function.kind == 'function'}
    exported = {name for name in kinds if column in kinds[name]}
    for name in sorted(exported - set(plain)):
        yield f'{name}() is exported and not in the reference'
    for name, function in sorted(plain.items()):
        if name not in exported and not function.is_inline:
            yield f'{function.file}: {name}() is not exported'
    for function in functions:
        for complaint in function_complaints(function, kinds.get(function.name, {}),
                                             files.get(function.file, '')):
            yield f'{function.file}: {function.name}: {complaint}'


def check(library, index):
    found = {}      # in this order, each once
    for column in RELEASES:
        found.update(dict.fromkeys(column_complaints(library, index, column)))
    found.update(dict.fromkeys(index_complaints(index.read_text(), exports(library),
                                                public_headers(library))))
    return list(found)


GOOD = '''
 * Thread safety: any.
 *
 * Outside the specifications.
 *
 * @param vid
 *   The device.
 * @return
 *   0.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
'''
MADE_UP = '''
/** @file
 * Made up.
 */
/** A number. */
#define MADE_UP 1
#define BARE 2

/** What is handed over. */
struct made_up_ops {
	/**
	 * It begins.
	 *
	 * @param vid  The device.
	 */
	int (*begin)(int vid, int how);
	int bare;	/* no comment of the right kind */
};

/** All is said.
 *''' + GOOD + '''int rte_good(int vid);

/** A parameter is not said.
 *''' + GOOD + '''int rte_parameter(int vid, int other);

/** No threads.
 *''' + GOOD.replace('Thread safety: any.', '') + '''int rte_threads(int vid);

/** No specification.
 *''' + GOOD.replace('Outside the specifications.', '') + '''int rte_section(int vid);

/** No return value.
 *''' + GOOD.replace('@return\n *   0.', '') + '''int rte_returns(int vid);

/** No age.
 *''' + GOOD.replace('@since', '@note') + '''int rte_since(int vid);

/** Experimental at first.
 *''' + GOOD + '''int rte_new(int vid);

/** EXPERIMENTAL, it says.
 *''' + GOOD + '''int rte_old(int vid);

/** Not exported.
 *''' + GOOD + '''int rte_private(int vid);

/** Later.
 *''' + GOOD + '''int rte_later(int vid);

int rte_silent(int vid);
'''
MADE_UP_EXPORTS = '''# name 23 25
rte_good stable stable
rte_parameter stable stable
rte_threads stable stable
rte_section stable stable
rte_returns stable stable
rte_since stable stable
rte_new experimental stable
rte_old stable stable
rte_gone stable stable
rte_later - stable
rte_silent stable stable
'''
MADE_UP_INDEX = '''# All
@ref rte_made_up.h

rte_good(), rte_parameter(), rte_threads(), rte_section(), rte_returns(), rte_since(), rte_new(),
rte_old() (e), rte_gone(), rte_later(), rte_good(), rte_private(), [one](../../guides/html/howto/made_up.html)
'''
EXPECTED = '''
rte_made_up.h: made_up_ops.begin: parameter how is not described
rte_made_up.h: made_up_ops.begin: does not say what it returns
rte_made_up.h: rte_parameter: parameter other is not described
rte_made_up.h: rte_threads: does not say which threads may call it
rte_made_up.h: rte_section: names no section of a specification
rte_made_up.h: rte_returns: does not say what it returns
rte_made_up.h: rte_since: does not say that it is there since ABI 23
rte_made_up.h: rte_new: does not say since when it is stable
rte_made_up.h: rte_new: does not say that it is experimental
rte_made_up.h: rte_old: is not experimental with all releases
rte_made_up.h: rte_private() is not exported
rte_made_up.h: rte_later() is not exported
rte_made_up.h: rte_later: does not say that it is there since ABI 25
rte_gone() is exported and not in the reference
rte_made_up.h: rte_silent: parameter vid is not described
rte_made_up.h: rte_silent: does not say what it returns
rte_made_up.h: rte_silent: does not say which threads may call it
rte_made_up.h: rte_silent: names no section of a specification
rte_made_up.h: rte_silent: does not say that it is there since ABI 23
rte_absent.h: not in the reference
vdpa_driver.h: not in the reference
index page: rte_good() is there 2 times, not once
index page: rte_silent() is there 0 times, not once
index page: rte_new() is marked as what it is not
index page: rte_old() is marked as what it is not
index page: rte_absent.h is not there
index page: vdpa_driver.h is not there
index page: there is no guide howto/made_up
'''.strip().splitlines()
# How Doxygen says it is its own affair.
OF_DOXYGEN = ('BARE', 'bare', 'rte_silent', 'rte_parameter', 'rte_returns')


def self_test():
    """A made-up header with known faults."""
    with tempfile.TemporaryDirectory() as folder:
        library = pathlib.Path(folder)
        (library / 'abi').mkdir()
        (library / 'abi/exports').write_text(MADE_UP_EXPORTS)
        (library / 'rte_made_up.h').write_text(MADE_UP)
        (library / 'meson.build').write_text("\t'rte_made_up.h',\n\t'rte_absent.h',\n")
        (library / 'index.md').write_text(MADE_UP_INDEX)
        complaints = check(library, library / 'index.md')
    by_doxygen = [line for line in complaints if re.search(r':\d+: (error|warning): ', line)]
    wrong = [f'{name}: not a word of Doxygen' for name in OF_DOXYGEN
             if not any(re.search(rf'\b{name}\b', line) for line in by_doxygen)]
    wrong += [line for line in by_doxygen
              if not any(re.search(rf'\b{name}\b', line) for name in OF_DOXYGEN)]
    return tell_self_test(set(complaints) - set(by_doxygen), EXPECTED, wrong)


def main():
    if sys.argv[1:] == ['--self-test']:
        return self_test()
    if sys.argv[1:]:
        sys.exit(__doc__)
    return tell(check(LIBRARY, INDEX),
                f'{len(exports(LIBRARY))} functions of {len(public_headers(LIBRARY))} headers')


if __name__ == '__main__':
    sys.exit(main())
