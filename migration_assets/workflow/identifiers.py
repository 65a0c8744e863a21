"""SQL identifiers as they are written in a workflow file: `Sales`, `"\\"My Table\\""`, `[My Table]`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from migration_assets.workflow.errors import echo

# The language of `Identifier.parse`, except that it can't tell a letter outside ASCII from a symbol there.
_ONE_IDENTIFIER = (
    r"([A-Za-z_\u0080-\uffff][A-Za-z0-9_$#@\u0080-\uffff]*"
    r'|"([^"]|"")+"'
    r"|\[([^\]]|\]\])+\])"
)
IDENTIFIER_PATTERN = f"^{_ONE_IDENTIFIER}$"
# Two names or three, with dots between them.
QUALIFIED_NAME_PATTERN = rf"^{_ONE_IDENTIFIER}(\.{_ONE_IDENTIFIER}){{1,2}}$"

_UP_TO_A_DOT = re.compile(r'("(?:[^"]|"")*"|\[(?:[^\]]|\]\])*\])?[^.]*')


class IdentifierError(ValueError):
    """A text that isn't one SQL identifier; `message` and `cure` continue a JSON path."""

    def __init__(self, message: str, cure: str) -> None:
        super().__init__(message)
        self.message = message
        self.cure = cure


@dataclass(frozen=True)
class Identifier:
    """A name in a database.

    Args:
        text: The name without its quotes.
        quoted: Whether it was quoted, so that a database takes it exactly as it is and doesn't fold its case.
    """

    text: str
    quoted: bool = False

    @classmethod
    def parse(cls, written: str) -> Identifier:
        """Read an identifier as a person writes it.

        Raises:
            IdentifierError: The text isn't exactly one identifier.
        """
        if not written:
            raise IdentifierError("is an empty name", "Write a name.")
        if written[0] == '"':
            return cls(_unquote(written, '"', '"'), quoted=True)
        if written[0] == "[":
            return cls(_unquote(written, "[", "]"), quoted=True)
        if not _is_plain(written):
            raise IdentifierError(
                f"is not a plain SQL name: {echo(written)}",
                "Put one name here, without a dot; one with other characters than letters, digits, _ $ # @ "
                r'goes in double quotes, in JSON as "\"My Table\"", or in brackets.',
            )
        return cls(written)

    def folded(self, fold: Callable[[str], str]) -> str:
        """The name as a database stores it that applies `fold` (such as `str.upper`) to unquoted names."""
        return self.text if self.quoted else fold(self.text)

    def __str__(self) -> str:
        """The identifier in standard SQL; `Identifier.parse` reads it back."""
        if not self.quoted:
            return self.text
        return '"' + self.text.replace('"', '""') + '"'


def split_names(written: str) -> tuple[str, ...]:
    """The names of `database.schema.table`, each as written; a dot between quotes or brackets is part of a name.

    Raises:
        IdentifierError: One of them isn't an identifier.
    """
    names = []
    start = 0
    while start <= len(written):
        part = _UP_TO_A_DOT.match(written, start)
        assert part is not None  # it matches an empty text too
        Identifier.parse(part[0])
        names.append(part[0])
        start = part.end() + 1
    return tuple(names)


def _unquote(written: str, opening: str, closing: str) -> str:
    inner = written[1:-1]
    # What is left after the escaped closing quotes must not hold a bare one, or the name ended earlier.
    if len(written) < 2 or written[-1] != closing or closing in inner.replace(closing * 2, ""):
        raise IdentifierError(
            f"is not a name between {opening} and {closing}: {echo(written)}",
            f"Close the name with {closing} at its end, and write a {closing} that is part of it twice.",
        )
    if not inner:
        raise IdentifierError("is an empty name between quotes", "Write a name.")
    return inner.replace(closing * 2, closing)


def _is_plain(text: str) -> bool:
    # `isidentifier` knows the letters of every script; the platforms add $ # @ after the first character.
    return text[0].isidentifier() and all(c in "$#@" or ("_" + c).isidentifier() for c in text[1:])
