"""What a test was not asked, or asked in another way: run.py shows it beside the verdict."""

import collections

noted = collections.Counter()


def note(text):
    noted[text] += 1


def lines():
    return [text if count == 1 else f"{text} ({count} times)" for text, count in noted.items()]
