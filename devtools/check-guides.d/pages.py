# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""What is in a page of the guides, reStructuredText or Markdown: links, words set as code, blocks."""

import collections
import pathlib
import re
import textwrap

Link = collections.namedtuple('Link', 'line target')
Word = collections.namedtuple('Word', 'line text')
Block = collections.namedtuple('Block', 'line language text')

RST_TARGETS = (re.compile(r'^\s*\.\. (?:image|figure|include|literalinclude):: (\S+)', re.MULTILINE),
               re.compile(r':download:`(?:[^`<]*<)?([^`>]+)>?`'))
RST_DOC = re.compile(r':doc:`(?:[^`<]*<)?([^`>]+)>?`')
RST_BLOCK = re.compile(r'^(?P<indent> *)\.\. code-block:: *(?P<language>\S+)\n'
                       r'(?P<options>(?:(?P=indent) +:\S+:.*\n)*)\n'
                       r'(?P<text>(?:(?:(?P=indent) +.*)?\n)+)', re.MULTILINE)
RST_WORD = re.compile(r'(?<![`:\w])(?:``(?P<code>[^`\n]+(?:`[^`\n]+)*)``|`(?P<name>[^`\n<>]+)`(?![_`]))')
MD_LINK = re.compile(r'\[[^\]]*\]\(([^)\s]+)\)')
MD_FENCE = re.compile(r'^```(?P<language>\w*)\n(?P<text>.*?)^```$', re.MULTILINE | re.DOTALL)
MD_INDENTED = re.compile(r'(?:\A|(?<=\n\n))(?P<text>(?:    .*\n(?:\n(?=    ))?)+)')
MD_WORD = re.compile(r'(?<!`)`([^`]+)`(?!`)')


class Page:
    """A page of the tree, at its path; text may be given by who tries this."""

    def __init__(self, path, text=None):
        self.path = pathlib.Path(path)
        self.text = self.path.read_text() if text is None else text
        self.is_rst = self.path.suffix == '.rst'
        self.blocks = list(self._rst_blocks() if self.is_rst else self._md_blocks())

    def _line(self, place):
        return self.text.count('\n', 0, place) + 1

    def _rst_blocks(self):
        for found in RST_BLOCK.finditer(self.text):
            yield Block(self._line(found.start('text')), found['language'],
                        textwrap.dedent(found['text']).strip('\n') + '\n')

    def _md_blocks(self):
        # an indented block is commands, unless it begins as a line of a log does
        fences = list(MD_FENCE.finditer(self.text))
        for found in fences:
            yield Block(self._line(found.start('text')), found['language'] or 'none', found['text'])
        for found in MD_INDENTED.finditer(self.text):
            if not any(fence.start() < found.start() < fence.end() for fence in fences) and \
                    not re.match(r' *([-*]|\d+\.) ', self._line_before(found.start())):
                text = textwrap.dedent(found['text'])
                language = 'none' if re.match(r'[A-Z_]+: ', text) else 'console'
                yield Block(self._line(found.start()), language, text)

    def _line_before(self, place):
        """The line with words before a place: of a list, what is indented belongs to it."""
        before = [line for line in self.text[:place].splitlines() if line.strip()]
        return before[-1] if before else ''

    def prose(self):
        """The text without its blocks, of which the lines stay, empty."""
        pattern = RST_BLOCK if self.is_rst else MD_FENCE
        text = pattern.sub(lambda found: '\n' * found[0].count('\n'), self.text)
        return text if self.is_rst else MD_INDENTED.sub(lambda found: '\n' * found[0].count('\n'), text)

    def words(self):
        """What is set as code in sentences and tables."""
        text = self.prose()
        for found in (RST_WORD if self.is_rst else MD_WORD).finditer(text):
            word = next(group for group in found.groups() if group)
            yield Word(text.count('\n', 0, found.start()) + 1, ' '.join(word.split()))

    def links(self):
        """Links to files of the tree, as the page has them."""
        if not self.is_rst:
            for found in MD_LINK.finditer(self.text):
                if not re.match(r'[a-z]+:|#', found[1]):
                    yield Link(self._line(found.start()), found[1].partition('#')[0])
            return
        for pattern in RST_TARGETS:
            for found in pattern.finditer(self.text):
                yield Link(self._line(found.start()), found[1])
        for found in RST_DOC.finditer(self.text):
            yield Link(self._line(found.start()), found[1] + '.rst')


def find_pages(tree):
    """All pages of the tree that tell how to use or to change it."""
    found = [*tree.glob('*.md'), *(tree / 'doc').rglob('*.md'), *(tree / 'devtools').glob('*.md'),
             *(tree / 'app').rglob('*.md'), *(tree / 'doc').rglob('*.rst')]
    return [Page(path) for path in sorted(found)]
