"""Inputs that several apps' forms use."""

from __future__ import annotations

from typing import Any

from django import forms
from django.urls import reverse


class SuggestingInput(forms.TextInput):
    """A text input that suggests rows while one types; a page holds none of them, however many there are.

    `url_name` answers with `_partials/suggestions.html`. Without JavaScript it is a text input.
    """

    template_name = "_partials/suggesting_input.html"

    def __init__(self, url_name: str, *, query: str = "", attrs: dict[str, Any] | None = None) -> None:
        super().__init__(attrs)
        self.url_name, self.query = url_name, query

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        widget = context["widget"]
        widget["list"] = f"{name}-suggestions"
        widget["attrs"] |= {
            "list": widget["list"],
            "autocomplete": "off",
            "hx-get": f"{reverse(self.url_name)}{self.query}",
            "hx-trigger": "focus once, input changed delay:250ms",
            "hx-target": f"#{widget['list']}",
            "hx-swap": "innerHTML",
            "hx-push-url": "false",
            "hx-sync": "this:replace",
        }
        return context
