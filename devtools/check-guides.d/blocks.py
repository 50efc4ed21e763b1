# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Blocks of a page: a shell reads the commands, a compiler the C, parsers JSON and XML.

Source that a page includes from a file of the tree is built there.
"""

import functools
import json
import re
import subprocess
import xml.etree.ElementTree

# What a prompt is followed by is no command of the shell.
PROMPT = re.compile(r'^(?:-->|vhost-switch>|RTE>>|testpmd>) ?', re.MULTILINE)


def shell_fault(text):
    """What the shell cannot read, or None."""
    text = PROMPT.sub(': ', text)
    done = subprocess.run(['bash', '-n'], input=text, capture_output=True, text=True, check=False)
    return done.stderr.strip() if done.returncode or done.stderr else None


@functools.lru_cache(maxsize=None)
def compiler_flags(tree):
    flags = subprocess.run(['pkg-config', '--cflags', 'libdpdk'], capture_output=True, text=True,
                           check=True).stdout.split()
    return ['-fsyntax-only', '-Wall', '-Werror', '-DALLOW_EXPERIMENTAL_API',
            f'-I{tree}/lib/librte_vhost', *flags]


def c_fault(tree, text):
    done = subprocess.run(['cc', '-x', 'c', *compiler_flags(tree), '-'], input=text,
                          capture_output=True, text=True, check=False)
    return done.stderr.strip() if done.returncode else None


def json_fault(text):
    try:
        json.loads(text)
    except ValueError as error:
        return str(error)
    return None


def xml_fault(text):
    """Several elements may follow one another."""
    try:
        xml.etree.ElementTree.fromstring(f'<all>{text}</all>')
    except xml.etree.ElementTree.ParseError as error:
        return str(error)
    return None


def fault_of(tree, block):
    if block.language in ('console', 'shell', 'bash', 'sh'):
        return shell_fault(block.text)
    if block.language == 'c':
        return c_fault(tree, block.text)
    if block.language == 'json':
        return json_fault(block.text)
    if block.language == 'xml':
        return xml_fault(block.text)
    return None


def complaints(tree, page):
    for block in page.blocks:
        fault = fault_of(tree, block)
        if fault:
            yield block.line, f'the block of {block.language} cannot be read: {fault}'
