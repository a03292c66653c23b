"""Addresses of templates and their editor."""

from __future__ import annotations

from django.urls import path

from templates_app.views import editor, templates

app_name = "templates"

_TEMPLATES = "instances/<uuid:pk>/templates/"
_TEMPLATE = f"{_TEMPLATES}<slug:template_id>/"

urlpatterns = [
    path("schema.json", editor.schema, name="schema"),
    path("templates/suggestions/", templates.template_suggestions, name="template-suggestions"),
    path(_TEMPLATES, templates.template_list, name="template-list"),
    path(f"{_TEMPLATES}new/", editor.template_create, name="template-create"),
    path(f"{_TEMPLATES}parameters/", editor.template_parameters, name="template-parameters"),
    path(f"{_TEMPLATES}preview/", editor.template_preview, name="template-preview"),
    path(f"{_TEMPLATES}lint/", editor.template_lint, name="template-lint"),
    path(_TEMPLATE, templates.template_detail, name="template-detail"),
    path(f"{_TEMPLATE}edit/", editor.template_update, name="template-update"),
    path(f"{_TEMPLATE}copy/", templates.template_copy, name="template-copy"),
    path(f"{_TEMPLATE}archive/", templates.template_archive, name="template-archive"),
    path(f"{_TEMPLATE}delete/", templates.template_delete, name="template-delete"),
    path(f"{_TEMPLATE}versions/", templates.template_versions, name="template-versions"),
    path(f"{_TEMPLATE}versions/<int:number>/restore/", templates.template_restore, name="template-restore"),
]
