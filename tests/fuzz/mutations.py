"""Changes by lines and words. libFuzzer's own go by bytes, and seldom leave a text that can be read."""

import random
import re
from collections.abc import Sequence

_WORD = re.compile(rb"[A-Za-z0-9_.%]+|\S")


def mutated(raw: bytes, lines: Sequence[bytes], words: Sequence[bytes], draw: random.Random) -> bytes:
    """One to three lines or words are put in, replaced, taken away or moved; lines and words are those to put."""
    for _ in range(draw.randint(1, 3)):
        raw = _by_line(raw, lines, draw) if draw.random() < 0.5 else _by_word(raw, words, draw)
    return raw


def _by_line(raw: bytes, lines: Sequence[bytes], draw: random.Random) -> bytes:
    found = raw.split(b"\n")
    at = draw.randrange(len(found))
    match draw.randrange(5):
        case 0:
            found[at] = draw.choice(lines)
        case 1:
            del found[at]
        case 2:
            found.insert(draw.randrange(len(found) + 1), found[at])
        case 3:
            other = draw.randrange(len(found))
            found[at], found[other] = found[other], found[at]
        case _:
            found.insert(at, draw.choice(lines))
    return b"\n".join(found)


def _by_word(raw: bytes, words: Sequence[bytes], draw: random.Random) -> bytes:
    found = list(_WORD.finditer(raw))
    if not found:
        return raw + draw.choice(words)
    start, end = draw.choice(found).span()
    match draw.randrange(4):
        case 0:
            put = draw.choice(words)
        case 1:
            put = draw.choice(found)[0]
        case 2:
            put = raw[start:end] + b" " + draw.choice(words)
        case _:
            put = b""
    return raw[:start] + put + raw[end:]
