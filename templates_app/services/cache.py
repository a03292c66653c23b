"""Cached reads of templates; the wizard and runs never come here, they read the database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings

from amchelper.cache import GenerationCache
from templates_app.models import InstanceTemplate

LIST_CACHE = GenerationCache("template-list", settings.TEMPLATE_CACHE_SECONDS)
TEMPLATE_CACHE = GenerationCache("template", settings.TEMPLATE_CACHE_SECONDS)


@dataclass(frozen=True)
class TemplateCard:
    """What a list shows of a template."""

    template_id: str
    name: str
    description: str
    tags: tuple[str, ...]
    tag_index: str
    usage_count: int
    version: int
    is_archived: bool
    last_run_at: datetime | None
    updated_at: datetime

    def matches(self, words: list[str], tag: str) -> bool:
        """Return whether it holds all words, case-folded, and the tag if there is one."""
        text = f"{self.name} {self.description}".casefold() + self.tag_index
        return all(word in text for word in words) and (not tag or f"|{tag.casefold()}|" in self.tag_index)


def list_templates(instance_pk: UUID) -> tuple[TemplateCard, ...]:
    """Return all templates of an instance, most used first, then newest; the caller has checked access."""
    return LIST_CACHE.get_or_load(instance_pk, lambda: _load_list(instance_pk))


def read_template(instance_pk: UUID, template_id: str) -> InstanceTemplate | None:
    """Return one template of an instance for showing, None when there is none; the caller has checked access."""
    return TEMPLATE_CACHE.get_or_load(f"{instance_pk}:{template_id}", lambda: _load(instance_pk, template_id))


def forget(*templates: InstanceTemplate) -> None:
    """Make cached copies unreachable; call it inside the transaction that writes."""
    LIST_CACHE.invalidate(*{template.instance_id for template in templates})
    TEMPLATE_CACHE.invalidate(*{f"{template.instance_id}:{template.template_id}" for template in templates})


def _load_list(instance_pk: UUID) -> tuple[TemplateCard, ...]:
    rows = InstanceTemplate.objects.filter(instance_id=instance_pk).with_last_run().most_used()
    return tuple(
        TemplateCard(
            template_id=row.template_id,
            name=row.name,
            description=row.description,
            tags=tuple(row.tags),
            tag_index=row.tag_index,
            usage_count=row.usage_count,
            version=row.version,
            is_archived=row.is_archived,
            last_run_at=getattr(row, "last_run_at", None),
            updated_at=row.updated_at,
        )
        # The SQL can be long, and no list shows it.
        for row in rows.defer("source_sql", "sql_query", "parameter_values")
    )


def _load(instance_pk: UUID, template_id: str) -> InstanceTemplate | None:
    return InstanceTemplate.objects.filter(instance_id=instance_pk, template_id=template_id).first()
