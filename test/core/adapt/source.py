"""Changes to the text of a test as it is loaded: the checkout stays as it is.

Lines keep their numbers. What a change looks for must be there, as often as it says: a newer checkout that has changed
fails loudly.
"""

import re

from .notes import note


class Change:
    """Other words in the place of some: mostly an output of another kind, or what follows from it."""

    def __init__(self, old, new, why, times=1):
        self.old, self.new, self.why, self.times = old, new, why, times

    def often(self, times):
        return Change(self.old, self.new, self.why, times)

    def apply(self, text):
        found = text.count(self.old)
        if found != self.times:
            raise ValueError(f"{self.old!r} is there {found} times, not {self.times}")
        note(f"changed: {self.why}")
        return text.replace(self.old, self.new)


class LeaveOut:
    """Lines that are not run: from the one with a text up to, without it, the next one with another text. Without the
    other text it is a section: it ends before the next heading (a self.log.info) of its depth, or with its block. An
    item is a line of a list."""

    def __init__(self, first, why, until=None, item=False):
        self.first, self.why, self.until, self.item = first, why, until, item

    def apply(self, text):
        lines = text.split("\n")
        starts = [i for i, line in enumerate(lines) if self.first in line]
        if len(starts) != 1:
            raise ValueError(f"{self.first!r} is in {len(starts)} lines")
        start, depth = starts[0], indent(lines[starts[0]])
        end = start + 1
        while not self.item and end < len(lines) and not self.ends(lines[end], depth):
            end += 1
        note(f"left out: {lines[start].strip()[:100]}: {self.why}")
        return "\n".join(lines[:start] + ["" if self.item else " " * depth + "pass"] + [""] * (end - start - 1) + lines[end:])

    def ends(self, line, depth):
        if self.until:
            return self.until in line
        return bool(line.strip()) and (indent(line) < depth or re.match(r" {%d}self\.log\.info\(" % depth, line) is not None)


def indent(line):
    return len(line) - len(line.lstrip())
