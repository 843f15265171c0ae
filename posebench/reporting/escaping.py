"""Make texts from users and files harmless where they are written: one function per format."""

from __future__ import annotations

from html import escape

_LATEX = str.maketrans({
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "–": "--", "−": "$-$", "×": r"$\times$",
})  # fmt: skip
_MARKDOWN = str.maketrans({
    "\\": r"\\", "|": r"\|", "*": r"\*", "`": r"\`", "&": "&amp;", "<": "&lt;",
})  # fmt: skip
# A spreadsheet runs a cell that begins with one of these.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def one_line(text: str) -> str:
    """Return a text without line feeds and other characters that move or colour a terminal."""
    return "".join(character if character.isprintable() else " " for character in text)


def for_markdown(text: str) -> str:
    """Return a text that Markdown shows as it is, in a cell of a table too."""
    return one_line(text).translate(_MARKDOWN).replace("](", "]\\(")


def for_latex(text: str) -> str:
    """Return a text that LaTeX sets as it is."""
    return one_line(text).translate(_LATEX)


def for_html(text: str) -> str:
    """Return a text that HTML shows as it is, in an attribute too."""
    return escape(one_line(text))


def for_csv(text: str) -> str:
    """Return a text that a spreadsheet does not run as a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def for_github(text: str, *, as_property: bool = False) -> str:
    """Return a text as part of a workflow command; characters that would end it are escaped."""
    plain = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return plain.replace(":", "%3A").replace(",", "%2C") if as_property else plain
