"""The form of a template: everything but the values of its parameters."""

from __future__ import annotations

from typing import Any

from django import forms

from amchelper.models import User
from instances.forms.fields import InstanceTextField
from instances.models import AMCInstance
from templates_app.models import InstanceTemplate
from templates_app.services.drafts import MAX_PARAMETERS, MAX_SQL_LENGTH
from templates_app.services.templates import Content
from templates_app.sql.parameters import detect

MAX_TAGS, MAX_TAG_LENGTH = 20, 40


class TemplateForm(forms.ModelForm):
    """Name, description, tags and SQL; the services save it together with the parameters' values."""

    tags = forms.CharField(
        required=False,
        help_text="Words to find it by, separated by commas.",
        widget=forms.TextInput(attrs={"data-chips": "", "placeholder": "Add a tag", "autocomplete": "off"}),
    )
    version = forms.IntegerField(required=False, min_value=1, widget=forms.HiddenInput())

    class Meta:
        model = InstanceTemplate
        fields = ("name", "description", "source_sql")
        widgets = {
            "description": forms.Textarea(attrs={"rows": 2}),
            "source_sql": forms.Textarea(
                attrs={"rows": 18, "spellcheck": "false", "autocapitalize": "off", "class": "sql-source"}
            ),
        }
        labels = {"source_sql": "SQL"}
        help_texts = {
            "name": "What the query answers, for example “Reach by campaign”.",
            "source_sql": "Write parameters as {{name}}, :name or $name. They appear beside the editor.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # What is saved is what was shown: white space around it, and so the numbers of lines, included.
        self.fields["source_sql"].strip = False  # type: ignore[attr-defined]  # a CharField

    def clean_source_sql(self) -> str:
        """Return the SQL with line feeds only; refuses what no query could be."""
        sql = str(self.cleaned_data["source_sql"]).replace("\r\n", "\n")
        if not sql.strip():
            raise forms.ValidationError(self.fields["source_sql"].error_messages["required"], code="required")
        if len(sql) > MAX_SQL_LENGTH:
            raise forms.ValidationError(f"This SQL has {len(sql):,} characters; the most is {MAX_SQL_LENGTH:,}.")
        if "\x00" in sql:
            raise forms.ValidationError("SQL must not hold the null character.")
        count = len(detect(sql))
        if count > MAX_PARAMETERS:
            raise forms.ValidationError(f"This SQL has {count:,} parameters; the most is {MAX_PARAMETERS}.")
        return sql

    def clean_tags(self) -> list[str]:
        """Return the tags, each once whatever its case."""
        tags: dict[str, str] = {}
        for tag in str(self.cleaned_data["tags"]).split(","):
            text = " ".join(tag.replace("|", " ").split())
            if len(text) > MAX_TAG_LENGTH:
                raise forms.ValidationError(
                    f"“{text[:MAX_TAG_LENGTH]}…” is too long; a tag has at most {MAX_TAG_LENGTH} characters."
                )
            if text:
                tags.setdefault(text.casefold(), text)
        if len(tags) > MAX_TAGS:
            raise forms.ValidationError(f"These are {len(tags)} tags; the most is {MAX_TAGS}.")
        return list(tags.values())

    def content(self, values: dict[str, Any], autofilled: list[str]) -> Content:
        """Return what is to be saved; the form is valid."""
        data = self.cleaned_data
        return Content(
            name=data["name"],
            description=data["description"],
            tags=data["tags"],
            source_sql=data["source_sql"],
            parameter_values=values,
            autofilled=autofilled,
        )


class CopyForm(forms.Form):
    """Choose the instance a template is copied to."""

    instance = InstanceTextField(
        label="Copy to",
        suggest="?to=copy",
        help_text="Name or AMC ID of the instance. The copy opens in the editor there, filled from that instance's "
        "mappings. Nothing is saved before you say so. Drafts and disabled instances are not offered.",
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["instance"]
        if isinstance(field, InstanceTextField):
            field.instances = AMCInstance.objects.editable_by(user).usable()


class TemplateFilter(forms.Form):
    """Search and tag of the list."""

    q = forms.CharField(required=False, max_length=100)
    tag = forms.CharField(required=False, max_length=MAX_TAG_LENGTH)
    archived = forms.BooleanField(required=False)

    @property
    def chosen(self) -> dict[str, Any]:
        """Return the filters that are set; wrong ones count as not set."""
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value}
