"""The page that asks before rows are deleted: what goes, what stands against it, and the name where much is lost."""

from __future__ import annotations

import unicodedata
from typing import Any

from django import forms
from django.db.models import QuerySet

from amchelper.dependents import delete_with_dependents, impact_of
from amchelper.exceptions import InvalidStateError
from amchelper.htmx import HtmxHttpRequest
from amchelper.models import User


class TypedNameForm(forms.Form):
    """The name of what is deleted, typed again; without `is_needed` there is nothing to type."""

    typed_name = forms.CharField(
        error_messages={"required": "Type the name to say that you mean it."},
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}),
    )

    def __init__(self, *args: Any, name: str, is_needed: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._name = name
        self.fields["typed_name"].label = f"Type “{name}” to delete it"
        if not is_needed:
            del self.fields["typed_name"]

    def clean_typed_name(self) -> str:
        """Refuse another name; white space and the way accents are stored make no difference."""
        typed = str(self.cleaned_data["typed_name"])
        if _plain(typed) != _plain(self._name):
            raise forms.ValidationError(f"This is not its name. Type “{self._name}”.")
        return typed


def ask_before_deletion(
    request: HtmxHttpRequest, rows: QuerySet[Any], *, name: str, actor: User
) -> dict[str, Any] | None:
    """Delete `rows` when the request confirms it and return None; else return the context of the page that asks."""
    impact = impact_of(rows)
    is_post = request.method == "POST"
    form = TypedNameForm(request.POST if is_post else None, name=name, is_needed=impact.needs_name)
    obstacles = impact.obstacles
    if is_post and not obstacles and form.is_valid():
        try:
            delete_with_dependents(rows, actor=actor)
        except InvalidStateError as error:
            obstacles = [error.message]
        else:
            return None
    return {"consequences": impact.consequences, "obstacles": obstacles, "form": form}


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())
