"""What takes the place of a placeholder: its value as the place wants it, measured before it is written out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from templates_app.sql.names import type_of
from templates_app.sql.placeholders import Malformed, Placeholder
from templates_app.sql.values import Items, ValueProblem, quote, read_items


class Literals(NamedTuple):
    """Items as SQL, and how many bytes of UTF-8 they have together."""

    texts: Sequence[str]
    size: int

    @classmethod
    def of(cls, texts: Sequence[str]) -> Literals:
        """Return the texts with their size."""
        return cls(texts, sum(map(byte_length, texts)))


class Filling(NamedTuple):
    """What a placeholder becomes. It is cheap, however long the SQL is: a value used often is one list of literals."""

    literals: Literals
    opening: str = ""
    separator: str = ""
    closing: str = ""

    @property
    def size(self) -> int:
        """Return the bytes of UTF-8 it has when written out."""
        around = len(self.opening) + len(self.closing)
        return around + self.literals.size + len(self.separator) * (len(self.literals.texts) - 1)

    def text(self) -> str:
        """Return it written out."""
        return f"{self.opening}{self.separator.join(self.literals.texts)}{self.closing}"

    def shortened(self, max_items: int | None, max_characters: int | None) -> str:
        """Return it for people to look at: a long list or text ends with how much more there is.

        What was left out stands behind an ellipsis, which no SQL has, so a copy of it never runs as something else.
        """
        texts = self.literals.texts
        shown = [_shortened(text, max_characters) for text in texts[:max_items]]
        if more := len(texts) - len(shown):
            shown.append(f"… {more:,} more")
        return f"{self.opening}{self.separator.join(shown)}{self.closing}"


class Values:
    """Reads each value once, and writes it once in each way it is used, however often its parameter occurs."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values
        self._items: dict[str, Items] = {}
        self._literals: dict[tuple[str, str], Literals] = {}

    def items(self, name: str) -> Items:
        """Return the items of a parameter; raises ValueProblem."""
        if name not in self._items:
            if name not in self._values:
                raise ValueProblem("missing", "needs a value.")
            self._items[name] = read_items(self._values[name], type_of(name))
        return self._items[name]

    def literals(self, name: str, *, as_text: bool) -> Literals:
        """Return the items as SQL of their own; `as_text` quotes numbers and words too."""
        items = self.items(name)
        is_quoted = as_text or items.kind == "text"
        key = (name, "quoted" if is_quoted else "plain")
        if key not in self._literals:
            self._literals[key] = Literals.of([quote(text) for text in items.texts] if is_quoted else items.texts)
        return self._literals[key]

    def inside(self, name: str, mark: str) -> Literals:
        """Return the first item as a part of a text between these quotes."""
        key = (name, mark)
        if key not in self._literals:
            self._literals[key] = Literals.of([self.items(name).texts[0].replace(mark, mark * 2)])
        return self._literals[key]


def fill(found: Placeholder | Malformed, values: Values) -> Filling:
    """Return what takes the place of something found in the text; raises ValueProblem."""
    if isinstance(found, Malformed):
        form = "{{name}}, a name being a letter or underscore, then letters, digits and underscores"
        raise ValueProblem("malformed", f"These braces hold no parameter: write {form}.")
    if found.is_adjacent:
        hint = 'set it apart by a space, or put the whole name into double quotes, such as "dsp_{{region}}"'
        raise ValueProblem("glued", f"touches the text beside it: {hint}.")
    return _fit(found, values)


def byte_length(text: str) -> int:
    """Return how many bytes of UTF-8 a text has."""
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))


def _fit(placeholder: Placeholder, values: Values) -> Filling:
    """Write the items the way their place wants them."""
    name, place, mark = placeholder.name, placeholder.place, placeholder.quote
    items = values.items(name)
    if mark and items.kind == "null":
        raise ValueProblem("null", "is null, which does not fit inside quotes: remove the quotes or give a value.")
    if len(items.texts) > 1 and place in ("one", "text"):
        hint = "give one, or write it behind IN or between brackets"
        raise ValueProblem("list", f"has {len(items.texts)} values where only one fits: {hint}.")
    if place == "text":
        return Filling(values.inside(name, mark))
    is_text = bool(mark) or (placeholder.follows_like and items.kind == "number")
    literals = values.literals(name, as_text=is_text)
    if place == "in":
        return Filling(literals, "(", ", ", ")")
    if place == "rows":
        return Filling(literals, "(", "), (", ")")
    # Two minus signs would open a comment.
    opening = " " if placeholder.follows_minus and literals.texts[0].startswith("-") else ""
    return Filling(literals, opening, "), (" if place == "cell" else ", ")


def _shortened(text: str, max_characters: int | None) -> str:
    if max_characters is None or len(text) <= max_characters:
        return text
    return f"{text[:max_characters]}… {len(text) - max_characters:,} more characters"
