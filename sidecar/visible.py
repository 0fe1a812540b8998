"""Text of others as a person may read it: what is written is what is read, no more and no less. Pure; knows no page.

Characters that are not seen, that reorder or cover what is seen, or that pass for other ones are written as escapes: a yes is
said to what is read, and the API server is sent what is written.
"""

import functools
import re
import unicodedata
from collections.abc import Iterator

# Not seen although Unicode does not call them format characters: fillers, joiners, the braille blank, variation selectors.
_UNSEEN = frozenset(
    map(chr, (0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, *range(0x180B, 0x1810), *range(0xFE00, 0xFE10)))
) | frozenset(map(chr, range(0xE0100, 0xE01F0)))
_HIDING = ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp")
_MARKS = ("Mn", "Me")
MOST_MARKS = 2  # combining marks on one letter; more of them cover the neighbouring lines
# Letters that pass for Latin ones, by the beginning of their names: a look-alike of each script is in Unicode's confusables
# (UTS 39). And what passes for the marks of an address.
_ALIKE = ("CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU", "OSAGE", "DESERET", "GLAGOLITIC", "GEORGIAN")
_ALIKE_LATIN = frozenset("ɑɡıɩɪʏɴʜʟᴀᴄᴅᴇᴊᴋᴍᴏᴘᴛᴜᴠᴡᴢƖǀℓ")
_ALIKE_MARKS = frozenset("\u2024\u2044\u2215\ua789\uff0e\uff0f\uff1a\u0589\u05c3\u2236\u02d0\u2010\u2011\u2012\u2212")
# Letters of those scripts that no Latin one looks like: by them a reader sees what script it is.
_FOREIGN = re.compile("[джийлфщэюяБДЖИЙЛФЦЩЭЮЯδθλξπφψΔΘΛΞΠΣΦΨΩ]")
# What is read in one go: a name, a host, an image, a path; and the letters in it that stand together.
_WORD = re.compile(rf"[\w.@:/+\-\u0300-\u036f{''.join(_ALIKE_MARKS)}]+")
_LETTERS = re.compile(r"[^\W\d_](?:[^\W\d_]|[\u0300-\u036f])*")
_PART = re.compile(rf"{_LETTERS.pattern}|.")
_LATIN = re.compile(r"[A-Za-z]")


def escaped(text: str) -> str:
    """Everything unseen or mistakable as \\uXXXX; line breaks and tabs stay."""
    return text if text.isascii() and text.replace("\n", "").replace("\t", "").isprintable() else "".join(pieces(text))


def pieces(text: str) -> Iterator[str]:
    """One for each character of `text`, in order; a line break and a tab are themselves."""
    strangers = _strangers(text)
    marks = 0
    for place, character in enumerate(text):
        piece, is_mark = _piece(character)
        marks = marks + 1 if is_mark else 0
        yield written(character) if marks > MOST_MARKS or place in strangers else piece


def written(character: str) -> str:
    """As an escape."""
    number = ord(character)
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _strangers(text: str) -> frozenset[int]:
    """Where a letter stands that passes for a Latin one, in a word that has Latin ones. Words of another script alone stay, as
    they do beside a hyphen ("сервис-api") if they show what they are."""
    if text.isascii():
        return frozenset()
    return frozenset(
        found.start() + place
        for found in _WORD.finditer(text)
        if not found[0].isascii() and _LATIN.search(found[0])
        for place in _alike(found[0])
    )


def _alike(word: str) -> Iterator[int]:
    # A Turkish word, and no name: the dot is missed where letters are read, and not where an address is.
    prose = _LETTERS.fullmatch(word.rstrip(".:")) is not None
    for part in _PART.finditer(word):
        foreign = _FOREIGN.search(part[0]) is not None and not _LATIN.search(part[0])
        for place, character in enumerate(part[0], part.start()):
            evident = (character == "ı" and prose) or (
                foreign and character not in _ALIKE_MARKS and character not in _ALIKE_LATIN
            )
            if not evident and _passes_for_another(character):
                yield place


@functools.lru_cache(maxsize=4096)
def _passes_for_another(character: str) -> bool:
    if character.isascii():
        return False
    if character in _ALIKE_LATIN or character in _ALIKE_MARKS or unicodedata.name(character, "").startswith(_ALIKE):
        return True
    if unicodedata.decomposition(character).startswith(("<super>", "<sub>")):  # m³, 1ª: smaller, and not on the line
        return False
    return character.isalnum() and unicodedata.normalize("NFKC", character).isascii()  # fullwidth, mathematical, in a circle


@functools.lru_cache(maxsize=4096)
def _piece(character: str) -> tuple[str, bool]:
    """How one character is written, and whether it is a combining mark."""
    category = unicodedata.category(character)
    if character in "\n\t":
        return character, False
    if category in _HIDING or character in _UNSEEN or (category == "Zs" and character != " "):
        return written(character), category in _MARKS
    return character, category in _MARKS
