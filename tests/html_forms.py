"""The forms of a page, filled in as the page shows them."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

# Inputs whose text people type.
_NOT_TYPED = {"submit", "button", "image", "reset", "file", "checkbox", "radio"}


@dataclass
class HtmlForm:
    """One form that posts: where to, what it holds, and its buttons, of which one is pressed."""

    action: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[tuple[str, str, str]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """Return what the form's fields are called, without its token."""
        return sorted({name for name, _ in self.fields} - {"csrfmiddlewaretoken"})


def forms_of(page: str, address: str) -> list[HtmlForm]:
    """Return the forms of a page at `address` that post."""
    reader = _Reader(address)
    reader.feed(page)
    return reader.forms


class _Reader(HTMLParser):
    def __init__(self, address: str) -> None:
        super().__init__()
        self.address, self.forms = address, list[HtmlForm]()
        self._form: HtmlForm | None = None
        self._textarea, self._text = "", ""
        self._select, self._options = "", list[tuple[str, bool]]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            is_post = given.get("method", "").lower() == "post"
            self._form = HtmlForm(given.get("action") or self.address) if is_post else None
            if self._form:
                self.forms.append(self._form)
        if self._form is None:
            return
        name = given.get("name", "")
        if tag == "textarea":
            self._textarea, self._text = name, ""
        elif tag == "select":
            self._select, self._options = name, []
        elif tag == "option":
            self._options.append((given.get("value", ""), "selected" in given))
        elif tag == "button" and given.get("type", "submit") == "submit":
            self._form.buttons.append((name, given.get("value", ""), given.get("formaction", "")))
        elif tag == "input" and name:
            self._take_input(given, name)

    def handle_endtag(self, tag: str) -> None:
        if self._form is None:
            return
        if tag == "form":
            self._form = None
        elif tag == "textarea" and self._textarea:
            self._form.fields.append((self._textarea, self._text))
            self._textarea = ""
        elif tag == "select" and self._select:
            chosen = [value for value, is_chosen in self._options if is_chosen] or [
                v for v, _ in self._options[:1]
            ]
            self._form.fields += [(self._select, value) for value in chosen]
            self._select = ""

    def handle_data(self, data: str) -> None:
        if self._textarea:
            self._text += data

    def _take_input(self, given: dict[str, str], name: str) -> None:
        assert self._form is not None
        kind = given.get("type", "text")
        if kind == "file":
            self._form.files.append(name)
        elif kind not in _NOT_TYPED or "checked" in given:
            self._form.fields.append((name, given.get("value", "on" if kind == "checkbox" else "")))
