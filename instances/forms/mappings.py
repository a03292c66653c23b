"""Forms of mappings: paste or upload, replace, filter, remove."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.conf import settings
from django.core import signing
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.template.defaultfilters import filesizeformat

from amchelper.words import counted
from instances.models import AMCInstance, InstanceBrand, MappingKind
from instances.models.mapping import ASINQuerySet, CampaignQuerySet
from instances.services.mapping_files import MAX_FILE_BYTES
from instances.services.mapping_text import MAX_ERRORS, LineError, PasteKind, Reading, parse_file, parse_list
from instances.services.mappings import Entry, assign_brands, mappings_of

_STAGED_SALT = "instances.forms.mappings.staged"
_STAGED_SECONDS = 60 * 60
# What is staged travels in one form field; Django refuses a form that is larger than this.
_ROOM_IN_A_FORM = 16 * 1024


class MappingForm(forms.Form):
    """ASINs or campaigns, pasted or in a file. Valid only if every line is."""

    brand = forms.ModelChoiceField(InstanceBrand.objects.none(), required=False, empty_label="As the file says")
    kinds = forms.ChoiceField(
        choices=PasteKind.choices,
        initial=PasteKind.ASINS,
        widget=forms.RadioSelect,
        label="What you paste",
        help_text="A file with named columns says it itself.",
    )
    text = forms.CharField(
        required=False,
        strip=False,
        label="Paste",
        widget=forms.Textarea(
            attrs={"rows": 10, "class": "mono", "spellcheck": "false", "autocapitalize": "none",
                   "data-max-bytes": settings.DATA_UPLOAD_MAX_MEMORY_SIZE - _ROOM_IN_A_FORM}
        ),
        help_text=(
            "One per line, with or without a heading. ASINs may also be separated by spaces, commas or pipes, or be"
            " links to their pages; a line of digits is a campaign ID."
        ),
    )  # fmt: skip
    file = forms.FileField(
        required=False,
        allow_empty_file=True,
        label="Or upload a CSV file",
        widget=forms.FileInput(
            attrs={"accept": ".csv,.tsv,.txt,text/csv,text/plain", "data-max-bytes": MAX_FILE_BYTES}
        ),
    )

    def __init__(self, *args: Any, instance: AMCInstance, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.instance = instance
        self.entries: list[Entry] = []
        self.notes: list[str] = []
        self.line_errors: list[LineError] = []
        brands = InstanceBrand.objects.filter(instance=instance)
        field = self.fields["brand"]
        assert isinstance(field, forms.ModelChoiceField)  # noqa: S101
        field.queryset = brands
        if len(brands) == 1:
            field.initial = brands[0]

    def clean_file(self) -> UploadedFile | None:
        """Refuse what is too large to be a list."""
        file: UploadedFile | None = self.cleaned_data["file"]
        if file and (file.size or 0) > MAX_FILE_BYTES:
            found, most = filesizeformat(file.size or 0), filesizeformat(MAX_FILE_BYTES)
            raise ValidationError(f"This file has {found}; at most {most} are read. Split it into several files.")
        return file

    def clean(self) -> dict[str, Any]:
        """Read every line; what cannot be taken is in `line_errors`, and then nothing is valid."""
        data = super().clean() or self.cleaned_data
        if self.errors:
            return data
        text, file = data["text"], data["file"]
        if file is not None and text.strip():
            raise ValidationError("Paste or upload, not both: empty the text or take the file away.")
        if file is None and not text.strip():
            raise ValidationError("Paste ASINs or campaigns, or choose a file.")
        reading = self._read(text, file, PasteKind(data["kinds"]))
        self.notes = list(reading.notes.values())
        self.entries, self.line_errors = assign_brands(self.instance, reading, data["brand"])
        if self.line_errors:
            raise ValidationError(f"{self._count_errors()} cannot be taken. Nothing was saved.")
        if not self.entries:
            raise ValidationError("There is nothing in it: no ASIN and no campaign.")
        return data

    @property
    def has_all_errors(self) -> bool:
        """Return whether everything was read; otherwise there may be more errors than `line_errors`."""
        return len(self.line_errors) < MAX_ERRORS

    def _count_errors(self) -> str:
        if not self.has_all_errors:
            return f"At least {len(self.line_errors):,} values"
        return counted(len({error.line for error in self.line_errors}), "line")

    @staticmethod
    def _read(text: str, file: UploadedFile | None, kinds: PasteKind) -> Reading:
        if file is None:
            return parse_list(text, kinds)
        try:
            return parse_file(file, kinds)
        except ValueError as error:
            raise ValidationError({"file": str(error)}) from error


class ReplaceForm(forms.Form):
    """Rows that were shown with what they would change, and now come back to be saved."""

    staged = forms.CharField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, instance: AMCInstance, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.instance = instance
        self.entries: list[Entry] = []
        self.fingerprint = ""

    def clean_staged(self) -> str:
        """Take back what `stage` gave out for this instance."""
        staged: str = self.cleaned_data["staged"]
        try:
            pk, self.fingerprint, packed = signing.loads(staged, salt=_STAGED_SALT, max_age=_STAGED_SECONDS)
        except signing.BadSignature as error:
            raise ValidationError("This was shown too long ago. Paste or upload the rows again.") from error
        if pk != str(self.instance.pk):
            raise ValidationError("These rows are for another instance.")
        self.entries = [
            Entry(brand_id, MappingKind(kind), value) for brand_id, kind, values in packed for value in values
        ]
        return staged


def stage(instance: AMCInstance, entries: list[Entry], fingerprint: str) -> str:
    """Pack rows into a signed text, so that a page can carry them to the answer "yes, replace".

    Raises ValidationError when they are too many for a form.
    """
    # Neighbours of one brand and kind, not one list for each: the order of rows is kept.
    groups = groupby(entries, key=lambda entry: (entry.brand_id, entry.kind.value))
    rows = [[brand_id, kind, [entry.value for entry in group]] for (brand_id, kind), group in groups]
    staged = signing.dumps([str(instance.pk), fingerprint, rows], salt=_STAGED_SALT, compress=True)
    if len(staged) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE - _ROOM_IN_A_FORM:
        raise ValidationError("These are too many to replace at once. Replace brand by brand, in several files.")
    return staged


class MappingFilter(forms.Form):
    """What of an instance's mappings is shown, or removed; a value that cannot be matches nothing."""

    q = forms.CharField(
        required=False,
        max_length=500,
        label="Search",
        widget=forms.TextInput(attrs={"type": "search", "class": "form-control", "autocomplete": "off"}),
    )
    brand = forms.ModelChoiceField(
        InstanceBrand.objects.none(),
        required=False,
        empty_label="All brands",
        widget=forms.Select(attrs={"class": "form-select", "aria-label": "Brand"}),
    )

    def __init__(self, data: Mapping[str, Any], *, instance: AMCInstance) -> None:
        super().__init__(data)
        self.instance = instance
        field = self.fields["brand"]
        assert isinstance(field, forms.ModelChoiceField)  # noqa: S101
        field.queryset = InstanceBrand.objects.filter(instance=instance)
        self.fields["q"].widget.attrs |= {
            "aria-label": f"Search {self.kind.noun}s",
            "placeholder": "One or several ASINs" if self.kind == MappingKind.ASIN else self.kind.label,
        }

    @property
    def kind(self) -> MappingKind:
        """Return the kind that was asked for, or the first."""
        kind = str(self.data.get("kind", ""))
        return MappingKind(kind) if kind in MappingKind.values else MappingKind.ASIN

    @property
    def chosen(self) -> dict[str, str]:
        """Return the filters that are set, by name, beside the kind."""
        return {name: str(self.data[name]) for name in ("q", "brand") if str(self.data.get(name, "")).strip()}

    def address(self, **changes: str) -> str:
        """Return the query string of the present filters, without empty parts."""
        kind = {} if self.kind == MappingKind.ASIN else {"kind": self.kind.value}
        text = urlencode({name: value for name, value in {**kind, **self.chosen, **changes}.items() if value})
        return f"?{text}" if text else ""

    def rows(self) -> ASINQuerySet | CampaignQuerySet:
        """Return those mappings of the kind that fit."""
        valid = self.is_valid() and self.data.get("kind", "") in ("", *MappingKind.values)
        mappings = mappings_of(self.instance, self.cleaned_data.get("brand"))
        text = self.cleaned_data.get("q", "")
        if self.kind == MappingKind.ASIN:
            return mappings.asins.search(text) if valid else mappings.asins.none()
        campaigns = mappings.campaigns.filter(kind=self.kind)
        return campaigns.search(text) if valid else campaigns.none()
