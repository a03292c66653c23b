"""Who may do what with a row: the only door between people and business rows.

Four questions, each a method of every QuerySet that holds business rows: who sees a row, who runs something with it,
who changes it, who owns it. Today the answer to all four is the owner. Views, forms, admin and services ask here and
nowhere else; what a row belongs to is the `owner_path` of its QuerySet.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self, TypeVar

from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.db import models
from django.db.models import Exists, OuterRef
from django.http import Http404

from amchelper.models import User

M = TypeVar("M", bound=models.Model)

_READ_ONLY = "You may look at this {noun}, but not change it. Ask its owner."
_NOT_RUNNABLE = "You may look at this {noun}, but not run anything with it. Ask its owner."


class MissingRowError(Http404):
    """There is no such row for this user: deleted, never there, or somebody else's, which nobody can tell apart.

    `noun` is its kind; the page says `message` and `hint`, and leads on to where rows of the kind are listed.
    """

    def __init__(self, noun: str, message: str = "", hint: str = "") -> None:
        super().__init__(message or f"There is no such {noun}.")
        self.noun = noun
        self.hint = hint or "It may have been deleted, or the link is incomplete."


class OwnedQuerySet(models.QuerySet[M]):
    """Rows with an owner: the user at the end of `owner_path`."""

    owner_path: ClassVar[str]

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """Return the rows `user` may see. Every page, form field and API call starts here."""
        return self.owned_by(user)

    def runnable_by(self, user: User | AnonymousUser) -> Self:
        """Return the rows `user` may start something with that costs or asks Amazon: runs, checks, schedules."""
        return self.owned_by(user)

    def editable_by(self, user: User | AnonymousUser, *, in_admin: bool = False) -> Self:
        """Return the rows `user` may change or delete.

        With `in_admin` staff may change every row: Django's permissions of the model have let them in there.
        """
        if in_admin and user.is_staff:
            return self.all()
        return self.owned_by(user)

    def owned_by(self, user: User | AnonymousUser) -> Self:
        """Return the rows that belong to `user`, who alone may share or give them away."""
        return self.none() if user.is_anonymous else self.filter(**{self.owner_path: user})

    def with_rights(self, user: User | AnonymousUser) -> Self:
        """Annotate `can_edit` and `can_run`: which actions a page offers `user` for each row. No more statements."""
        same_row = type(self)(self.model).filter(pk=OuterRef("pk"))
        return self.annotate(
            can_edit=Exists(same_row.editable_by(user)),
            can_run=Exists(same_row.runnable_by(user)),
        )


def missing_reference(row: models.Model) -> str:
    """Return what kind of row a new one refers to that is not there any more; empty when all of them are."""
    for field in row._meta.concrete_fields:
        model, pk = field.related_model, getattr(row, field.attname)
        if pk is not None and isinstance(model, type) and not model._base_manager.filter(pk=pk).exists():
            return str(model._meta.verbose_name)
    return ""


def pk_of(actor: User | None) -> str:
    """Return what logs name an actor by: the user's key, or "system" for what the product does by itself."""
    return str(actor.pk) if actor else "system"


def get_visible(rows: OwnedQuerySet[M], user: User | AnonymousUser, noun: str, **lookup: Any) -> M:
    """Return the one of `rows` that `lookup` names, if `user` sees it; raises MissingRowError, an Http404."""
    found = rows.visible_to(user).filter(**lookup).first()
    if found is None:
        raise MissingRowError(noun)
    return found


def get_to_run(rows: OwnedQuerySet[M], user: User | AnonymousUser, noun: str, **lookup: Any) -> M:
    """Return a row to start something with; raises Http404, PermissionDenied with a sentence for who only sees it."""
    found = rows.runnable_by(user).filter(**lookup).first()
    return found if found is not None else _refuse(rows, user, noun, _NOT_RUNNABLE, lookup)


def get_to_edit(rows: OwnedQuerySet[M], user: User | AnonymousUser, noun: str, **lookup: Any) -> M:
    """Return a row to change; raises Http404, PermissionDenied with a sentence for who only sees it."""
    found = rows.editable_by(user).filter(**lookup).first()
    return found if found is not None else _refuse(rows, user, noun, _READ_ONLY, lookup)


def _refuse(
    rows: OwnedQuerySet[M], user: User | AnonymousUser, noun: str, sentence: str, lookup: dict[str, Any]
) -> M:
    get_visible(rows, user, noun, **lookup)
    raise PermissionDenied(sentence.format(noun=noun))
