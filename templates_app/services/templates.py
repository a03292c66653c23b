"""Save templates, and everything that is done with a saved one. Every save is a version."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Case, F, Value, When
from django.http import Http404
from django.utils import timezone

from amchelper.access import MissingRowError, get_to_edit, get_to_run, get_visible, missing_reference, pk_of
from amchelper.models import User
from instances.models import AMCInstance
from templates_app.errors import IncompleteTemplateError, StaleTemplateError
from templates_app.models import InstanceTemplate, TemplateContent, TemplateQuerySet, TemplateVersion, tag_index
from templates_app.services.cache import forget
from templates_app.sql.parameters import ParameterError, problems_of, substitute

logger = logging.getLogger(__name__)

NOUN = "template"
STALE = "Somebody saved this template after you opened it. Compare, then save again to put yours on top of it."
DELETED = "This template was deleted meanwhile."
COPY_SUFFIX = " (copy)"


@dataclass(frozen=True)
class Content:
    """What a user says about a template."""

    name: str
    source_sql: str
    description: str = ""
    tags: Sequence[str] = ()
    parameter_values: dict[str, Any] = field(default_factory=dict)
    autofilled: Sequence[str] = ()

    @classmethod
    def of(cls, saved: TemplateContent) -> Content:
        """Return the content of a template or a version."""
        return cls(
            name=saved.name,
            source_sql=saved.source_sql,
            description=saved.description,
            tags=tuple(saved.tags),
            parameter_values=dict(saved.parameter_values),
            autofilled=tuple(saved.autofilled),
        )

    def complete_sql(self) -> str:
        """Return the SQL that runs; raises IncompleteTemplateError with all that is not right.

        What would be longer than the setting MAX_FINISHED_SQL_BYTES is not right either.
        """
        limit = settings.MAX_FINISHED_SQL_BYTES
        try:
            return substitute(self.source_sql, self.parameter_values, max_bytes=limit)
        except ParameterError as problem:
            problems = problems_of(self.source_sql, self.parameter_values, max_bytes=limit)
            raise IncompleteTemplateError(problems) from problem


def get_template(user: User, instance_pk: UUID, template_id: str) -> InstanceTemplate:
    """Return a template of that very instance, from the database, to look at; it knows the user's rights.

    Raises Http404.
    """
    return _find(get_visible, _with_instance().with_rights(user), user, instance_pk, template_id)


def get_template_to_run(user: User, instance_pk: UUID, template_id: str) -> InstanceTemplate:
    """Return a template to start something with; raises Http404, PermissionDenied for who may only look at it."""
    return _find(get_to_run, _with_instance(), user, instance_pk, template_id)


def get_template_to_edit(user: User, instance_pk: UUID, template_id: str) -> InstanceTemplate:
    """Return a template to change; raises Http404, PermissionDenied for who may only look at it."""
    return _find(get_to_edit, _with_instance(), user, instance_pk, template_id)


def create_template(
    *, actor: User | None, instance: AMCInstance, content: Content, note: str = ""
) -> InstanceTemplate:
    """Save a new template; what the system makes belongs to the instance's owner.

    Raises IncompleteTemplateError, and Http404 when the instance was deleted meanwhile.
    """
    template = InstanceTemplate(user=actor or instance.user, instance=instance)
    # Before the lock is taken: finishing long SQL takes a while.
    _fill(template, content)
    try:
        with transaction.atomic():
            template.save(force_insert=True)
            _add_version(template, actor, note)
            forget(template)
    except IntegrityError:
        if noun := missing_reference(template):
            raise MissingRowError(
                noun, f"The {noun} was deleted meanwhile, so the template was not saved."
            ) from None
        raise
    _log("created", template, actor)
    return template


def update_template(
    *, actor: User | None, template: InstanceTemplate, content: Content, version: int, note: str = ""
) -> InstanceTemplate:
    """Save a template on top of `version`; raises IncompleteTemplateError, StaleTemplateError after another save."""
    changed = InstanceTemplate(pk=template.pk, instance_id=template.instance_id, template_id=template.template_id)
    _fill(changed, content)
    with transaction.atomic():
        values = {name: getattr(changed, name) for name in (*TemplateContent.CONTENT, "tag_index")}
        is_saved = InstanceTemplate.objects.filter(pk=template.pk, version=version).update(
            **values, version=F("version") + 1, updated_at=timezone.now()
        )
        if not is_saved:
            raise _stale(template)
        saved = _with_instance().get(pk=template.pk)
        _add_version(saved, actor, note)
        forget(saved)
    _log("updated", saved, actor)
    return saved


def restore_version(
    *, actor: User | None, template: InstanceTemplate, number: int, version: int
) -> InstanceTemplate:
    """Save an old version again, as the newest; raises Http404 and StaleTemplateError."""
    old = template.versions.filter(number=number).first()
    if old is None:
        raise Http404("There is no such version.")
    note = f"Restored version {number}"
    return update_template(actor=actor, template=template, content=Content.of(old), version=version, note=note)


def set_archived(template: InstanceTemplate, *, actor: User | None, archived: bool) -> None:
    """Put a template away, or bring it back; its schedules skip while it is away. Raises Http404 when it is gone."""
    now = timezone.now()
    with transaction.atomic():
        archived_at = now if archived else None
        if not InstanceTemplate.objects.filter(pk=template.pk).update(archived_at=archived_at, updated_at=now):
            raise MissingRowError(NOUN, DELETED)
        template.archived_at = archived_at
        forget(template)
    _log("archived" if archived else "brought back", template, actor)


def hold_templates(pks: Iterable[UUID]) -> dict[UUID, bool]:
    """Keep templates from being changed or deleted until this transaction ends.

    Returns those that are there, with whether each is archived: so is one that is being deleted, by itself or with its
    instance.
    """
    rows = InstanceTemplate.objects.filter(pk__in=set(pks))
    # In one order, or two workers that hold the same templates could wait for each other.
    held = rows.select_for_update(no_key=True).order_by("pk").values_list("pk", "archived_at")
    return {pk: archived_at is not None for pk, archived_at in held}


def count_usage(templates: Iterable[InstanceTemplate]) -> None:
    """Count a run of each template that is given, in one statement however many there are.

    Call it in the transaction that creates the runs, so that both happen or neither, and that holds the templates.
    """
    templates = list(templates)
    runs = Counter(template.pk for template in templates)
    used = InstanceTemplate.objects.filter(pk__in=runs)
    times = Case(*(When(pk=pk, then=Value(count)) for pk, count in runs.items()), default=Value(0))
    used.update(usage_count=F("usage_count") + times)
    forget(*{template.pk: template for template in templates}.values())


def copied_name(name: str) -> str:
    """Return a copy's name, within the field's length."""
    limit = InstanceTemplate._meta.get_field("name").max_length or 255
    return name[: limit - len(COPY_SUFFIX)] + COPY_SUFFIX


def _fill(template: InstanceTemplate, content: Content) -> None:
    template.sql_query = content.complete_sql()
    template.name, template.description = content.name, content.description
    template.tags, template.tag_index = list(content.tags), tag_index(list(content.tags))
    template.source_sql = content.source_sql
    template.parameter_values, template.autofilled = dict(content.parameter_values), list(content.autofilled)


def _add_version(template: InstanceTemplate, actor: User | None, note: str) -> None:
    content = {name: getattr(template, name) for name in TemplateContent.CONTENT}
    TemplateVersion.objects.create(template=template, number=template.version, note=note, user=actor, **content)


def _find(
    get: Callable[..., InstanceTemplate],
    rows: TemplateQuerySet,
    user: User,
    instance_pk: UUID,
    template_id: str,
) -> InstanceTemplate:
    try:
        return get(rows, user, NOUN, instance_id=instance_pk, template_id=template_id)
    except MissingRowError:
        # Where the instance is not there either, that is what is said.
        get_visible(AMCInstance.objects.all(), user, "instance", pk=instance_pk)
        raise


def _stale(template: InstanceTemplate) -> Exception:
    current = _with_instance().filter(pk=template.pk).first()
    if current is None:
        return MissingRowError(NOUN, DELETED)
    return StaleTemplateError(STALE, current=current)


def _with_instance() -> TemplateQuerySet:
    return InstanceTemplate.objects.select_related("instance__account__connection")


def _log(what: str, template: InstanceTemplate, actor: User | None) -> None:
    logger.info(
        "template %s id=%s version=%s actor=%s", what, template.template_id, template.version, pk_of(actor)
    )
