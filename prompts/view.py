"""What a reader would take a character for: the view that hostile text is searched in."""

import unicodedata
from functools import lru_cache

# Written as escapes, because the point of these characters is that they look like others.
_LETTERS = {
    # Cyrillic
    "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420": "ABEKMHOP",
    "\u0421\u0422\u0423\u0425\u0405\u0406\u0408\u04c0": "CTYXSIJI",
    "\u0430\u0435\u043a\u043e\u0440\u0441\u0442\u0443": "aekopcty",
    "\u0445\u0455\u0456\u0458\u04bb\u04cf\u0501\u051d": "xsijhldw",
    # Greek
    "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c": "ABEZHIKM",
    "\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u03f9": "NOPTYXC",
    "\u03b1\u03b5\u03b7\u03b9\u03ba\u03bd\u03bf\u03c1\u03c4\u03c5\u03c7\u03f2": "aenikvoptuxc",
    # Armenian, then Latin small capitals and variants
    "\u0578\u057d\u0585\u0581": "nuog",
    "\u1d00\u0299\u1d04\u1d07\u026a\u0274\u1d1b\ua731\u0251\u0261\u0131": "ABCEINTSagi",
    # Cherokee, Lisu
    "\u13aa\u13f4\u13df\u13ac\u13a2\u13da\u13bb": "ABCETSH",
    "\ua4ee\ua4d0\ua4da\ua4f0\ua4d4\ua4e2": "ABCETS",
}
_MARKS = {
    "\u27e6\u301a": "[[",
    "\u27e7\u301b": "]]",
    "\u2039\u02c2\u276e\u1438": "<",
    "\u203a\u02c3\u276f\u1433": ">",
    "\u01c0\u2223\u2502\u2758\uffe8": "|",
    "\u2044\u2215\u29f8": "/",
}
_ENCLOSED_ALPHABETS = (0x1F150, 0x1F170, 0x1F1E6)  # circled, squared, regional indicators

_CONFUSABLES = {
    **{ord(a): b for alike, plain in _LETTERS.items() for a, b in zip(alike, plain, strict=True)},
    **{ord(a): plain for alike, plain in _MARKS.items() for a in alike},
    **{first + i: chr(ord("A") + i) for first in _ENCLOSED_ALPHABETS for i in range(26)},
}

_BLANK = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u2028\u2029\u2800\u3164\uffa0"
    "\u180b\u180c\u180d\u180f" + "".join(map(chr, range(0xFE00, 0xFE10)))
)
"""Default-ignorable and blank characters beyond Cc, Cf and the plane of the tag characters."""


@lru_cache(maxsize=65536)
def view_of(character: str) -> str:
    """Return what one character looks like: "" if invisible, else itself or plainer characters.

    NFKC, with look-alikes as the ASCII characters they imitate. Tab and line ends stay.
    """
    folded = unicodedata.normalize("NFKC", character.translate(_CONFUSABLES))
    return "".join(map(_seen, folded.translate(_CONFUSABLES)))


def _seen(character: str) -> str:
    if character in "\t\n\r":
        return character
    category = unicodedata.category(character)
    if category in {"Cc", "Cf"} or character in _BLANK or 0xE0000 <= ord(character) < 0xE1000:
        return ""
    return " " if category == "Zs" else character
