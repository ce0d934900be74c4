"""Texts that models and people wrote, made safe to stand in a page.

Such text is hostile: it may hold markup, script, addresses and control characters. Markdown gives
it paragraphs, lists, tables and code; everything else stays what it is, text. Links and pictures
are shown as they were written, so that nothing in a page leads or reaches outside it.
"""

import re
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from calibration.report.evidence import Passage

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markupsafe import Markup

NEEDS_REPORT = 'pages need more libraries; install them with pip install "evenhand[report]"'

_TAGS = {
    *("p", "br", "strong", "em", "del", "code", "pre", "blockquote", "ul", "ol", "li", "hr"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
_ATTRIBUTES = {"ol": {"start"}}
_PLAINER = {
    "heading_open": "<p><strong>",
    "heading_close": "</strong></p>",
    "s_open": "<del>",
    "s_close": "</del>",
}
_VERDICT_TOKENS = {"A": "[[A]]", "B": "[[B]]", "tie": "[[C]]"}

_SURROGATE = re.compile(r"[\ud800-\udfff]")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def well_formed(text: str) -> str:
    """Return a text with lone surrogates replaced: those have no encoding."""
    return _SURROGATE.sub("\ufffd", text)


def visible(text: str) -> str:
    """Return a well-formed text whose control characters are pictures of themselves."""
    return _CONTROL.sub(lambda found: _picture(found[0]), well_formed(text))


def model_markup(text: str) -> "Markup":
    """Return a text as HTML, read as Markdown: no links, pictures, scripts, styles or headings.

    Raises ImportError, naming the remedy, where the libraries of reports are not installed.
    """
    try:
        import nh3
        from markupsafe import Markup
    except ModuleNotFoundError as error:
        raise ImportError(NEEDS_REPORT) from error
    shown = visible(text)
    html = _markdown().render(shown)
    clean = Markup(nh3.clean(html, tags=_TAGS, attributes=_ATTRIBUTES, url_schemes=set()))
    if shown.strip() and not clean.striptags():
        return Markup("<pre>{}</pre>").format(shown)  # a rule or a fence without anything in it
    return clean


def reply_markup(passage: Passage, verdict: str | None) -> tuple["Markup", "Markup"]:
    """Return a reply's beginning and end as HTML, the token of its verdict marked.

    The end is empty where the reply is whole. What counts is the last token, so that one is
    marked; a reply that is nothing but its letter is marked whole.
    """
    text, tail = model_markup(passage.text), model_markup(passage.tail)
    token = _VERDICT_TOKENS.get(verdict or "")
    if token is None:
        return text, tail
    if token in tail:
        return text, _marked(tail, token)
    if token in text:
        return _marked(text, token), tail
    if passage.text.strip(" \t\r\n.") == token[2]:
        return _marked(text, token[2]), tail
    return text, tail


def _marked(html: "Markup", token: str) -> "Markup":
    # No attribute can hold a token: the only one that is let through is a number.
    before, _, after = html.rpartition(token)
    return type(html)(f"{before}<mark>{token}</mark>{after}")


def _picture(control: str) -> str:
    return "\u2421" if control == "\x7f" else chr(0x2400 + ord(control))


@cache
def _markdown() -> "MarkdownIt":
    try:
        from markdown_it import MarkdownIt
    except ModuleNotFoundError as error:
        raise ImportError(NEEDS_REPORT) from error
    markdown = MarkdownIt("commonmark", {"html": False, "breaks": True})
    markdown.enable(["table", "strikethrough"])
    markdown.disable(["link", "image", "autolink", "reference", "entity"])
    # A model's headings would stand among those of the page.
    for kind, html in _PLAINER.items():
        markdown.add_render_rule(kind, _always(html))
    return markdown


def _always(html: str) -> Callable[..., str]:
    def render(*_: object, **__: object) -> str:
        return html

    return render
