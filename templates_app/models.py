"""SQL saved for one instance, and every version of it that was ever saved."""

from __future__ import annotations

import secrets
import uuid

from django.conf import settings
from django.db import models
from django.db.models import Max, Q
from django.urls import reverse

from amchelper.access import OwnedQuerySet
from instances.models import AMCInstance
from instances.models.instance import MAX_TYPED, SUGGESTIONS

TEMPLATE_PREFIX = "tpl_inst_"


def new_template_id() -> str:
    """Return a fresh ID: `tpl_inst_` and 12 hexadecimal digits."""
    return f"{TEMPLATE_PREFIX}{secrets.token_hex(6)}"


class TemplateQuerySet(OwnedQuerySet["InstanceTemplate"]):
    """Templates by access and use."""

    owner_path = "instance__user"

    def of_instance(self, instance: AMCInstance) -> TemplateQuerySet:
        """Return the templates saved for one instance."""
        return self.filter(instance=instance)

    def most_used(self) -> TemplateQuerySet:
        """Return the templates by usage, then newest first."""
        return self.order_by("-usage_count", "-created_at", "-id")

    def suggestions(self, text: str) -> list[str]:
        """Return a few names that hold `text`, each once. One query."""
        names = (
            self.filter(name__icontains=text[:MAX_TYPED].strip()).order_by("name").values_list("name", flat=True)
        )
        return list(names.distinct()[:SUGGESTIONS])

    def with_last_run(self) -> TemplateQuerySet:
        """Annotate `last_run_at`: when a run of the template was last queued."""
        return self.annotate(last_run_at=Max("executions__queued_at"))


def tag_index(tags: list[str]) -> str:
    """Return tags as one searchable text: case-folded, each between bars."""
    return "".join(f"|{tag.casefold()}|" for tag in tags)


class TemplateContent(models.Model):
    """What a user saves: the SQL as typed, the values, and the complete SQL that runs."""

    name = models.CharField(max_length=255)
    description = models.TextField(blank=True, default="", max_length=2000)
    tags = models.JSONField(blank=True, default=list)
    source_sql = models.TextField("SQL")
    parameter_values = models.JSONField(blank=True, default=dict)
    # Names of the parameters whose value came from the mappings and was not edited.
    autofilled = models.JSONField(blank=True, default=list)
    sql_query = models.TextField("complete SQL", editable=False)

    class Meta:
        abstract = True

    # What a version consists of; copied field by field.
    CONTENT = ("name", "description", "tags", "source_sql", "parameter_values", "autofilled", "sql_query")

    def __str__(self) -> str:
        return self.name


class InstanceTemplate(TemplateContent):
    """A template of one instance, ready to run."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    template_id = models.CharField(max_length=21, unique=True, default=new_template_id, editable=False)
    instance = models.ForeignKey(AMCInstance, on_delete=models.CASCADE, related_name="templates")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="templates")
    tag_index = models.TextField(blank=True, default="", editable=False)
    usage_count = models.PositiveIntegerField(default=0, editable=False)
    version = models.PositiveIntegerField(default=1, editable=False)
    archived_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = TemplateQuerySet.as_manager()

    class Meta:
        db_table = "instance_templates"
        verbose_name = "template"
        ordering = ("name", "id")
        constraints = (
            models.CheckConstraint(name="templates_name_not_blank", condition=~Q(name="")),
            models.CheckConstraint(name="templates_version_from_one", condition=Q(version__gte=1)),
        )
        indexes = (models.Index(fields=["instance", "-usage_count", "-created_at"], name="templates_most_used"),)

    def get_absolute_url(self) -> str:
        return reverse("templates:template-detail", args=[self.instance_id, self.template_id])

    @property
    def is_archived(self) -> bool:
        """Return whether it is put away: it cannot be run, and schedules skip it."""
        return self.archived_at is not None


class VersionQuerySet(OwnedQuerySet["TemplateVersion"]):
    """Versions by access."""

    owner_path = "template__instance__user"


class TemplateVersion(TemplateContent):
    """A template as it was saved once; versions are never changed."""

    id = models.BigAutoField(primary_key=True)
    template = models.ForeignKey(InstanceTemplate, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    note = models.CharField(max_length=200, blank=True, default="")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = VersionQuerySet.as_manager()

    class Meta:
        db_table = "template_versions"
        verbose_name = "version"
        ordering = ("template", "-number")
        constraints = (
            models.UniqueConstraint(fields=["template", "number"], name="versions_unique_per_template"),
        )

    def __str__(self) -> str:
        return f"{self.name} (version {self.number})"
