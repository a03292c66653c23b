"""Lists of schedules, one schedule with its history, and what is done with it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import UUID, uuid4

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from amchelper.exceptions import AmcHelperError
from amchelper.htmx import HtmxHttpRequest, redirect_page, render_page, wants_fragment
from amchelper.http import Breadcrumbs, breadcrumbs, parse_uuid
from amchelper.limits import PREVIEWS, RUNS, limited
from executions.models import Trigger
from instances.presenters.breadcrumbs import instance_breadcrumbs
from instances.services.access import get_instance
from planning.recurrence import zone_names
from schedules.errors import DeletedScheduleError, StaleScheduleError
from schedules.forms.schedules import ScheduleFilter, ScheduleForm, read_seen
from schedules.models import Schedule, ScheduleSlot
from schedules.presenters.deletion import what_deleting_means
from schedules.presenters.preflight import hindrances
from schedules.presenters.run_preview import RecurrencePreview, preview_recurring
from schedules.presenters.schedule_lists import MAX_IN_CALENDAR, calendar_days, in_order, schedule_rows
from schedules.services import schedules as services

PER_PAGE = 25
SLOTS_PER_PAGE = 20


def deleted_told(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Lead who acts on a schedule that was deleted meanwhile to its page, which says so and keeps its history."""

    @wraps(view)
    def told(request: HtmxHttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except DeletedScheduleError as error:
            messages.error(request, error.message)
            return redirect_page(request, error.schedule)

    return told


@require_GET
def schedule_list(request: HtmxHttpRequest) -> HttpResponse:
    mine = Schedule.objects.visible_to(request.user)
    filters = ScheduleFilter(request.GET, user=request.user)
    found = filters.apply(mine)
    page = Paginator(in_order(found), PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "rows": schedule_rows(page),
        "filters": filters,
        "is_filtered": any(request.GET.get(name) for name in filters.fields),
        "has_any": bool(page) or mine.exists(),
    }
    return render_page(request, "schedules/schedule_list.html", "schedules/_partials/schedule_table.html", context)


@require_GET
def schedule_of_instance(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    instance = get_instance(request.user, pk)
    found = Schedule.objects.visible_to(request.user).filter(instance=instance)
    page = Paginator(in_order(found.not_deleted()), PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "instance": instance,
        "deleted_count": found.deleted().count(),
        "page": page,
        "rows": schedule_rows(page),
        "tab": "schedules",
        "breadcrumbs": instance_breadcrumbs(instance, here="Schedules"),
    }
    return render_page(
        request, "schedules/schedule_of_instance.html", "schedules/_partials/schedule_table.html", context
    )


@require_GET
def schedule_calendar(request: HtmxHttpRequest) -> HttpResponse:
    active = Schedule.objects.visible_to(request.user).active().exclude(next_run_at=None)
    shown = list(active.for_lists().order_by("next_run_at", "pk")[: MAX_IN_CALENDAR + 1])
    context = {
        "days": calendar_days(shown[:MAX_IN_CALENDAR], timezone.now()),
        "count": len(shown),
        "is_cut": len(shown) > MAX_IN_CALENDAR,
        "most": MAX_IN_CALENDAR,
        "breadcrumbs": _breadcrumbs(here="Calendar"),
    }
    return render(request, "schedules/schedule_calendar.html", context)


@require_GET
def schedule_detail(request: HtmxHttpRequest, schedule_id: str) -> HttpResponse:
    schedule = services.get_schedule(request.user, schedule_id)
    slots = ScheduleSlot.objects.visible_to(request.user).filter(schedule=schedule).select_related("execution")
    page = Paginator(slots, SLOTS_PER_PAGE).get_page(request.GET.get("page"))
    by_hand = schedule.executions.visible_to(request.user).exclude(trigger=Trigger.SCHEDULE)
    context = {
        **_context(schedule),
        "page": page,
        # Asking again stops by itself once nothing that is shown can change.
        "is_live": any(slot.is_open for slot in page),
        "hindrances": [] if schedule.deleted_at else hindrances(schedule),
        "preview": _preview_of_saved(schedule) if schedule.is_active else None,
        "by_hand": by_hand[:5],
        "run_key": uuid4(),
    }
    return render_page(request, "schedules/schedule_detail.html", "schedules/_partials/slot_history.html", context)


@require_http_methods(["GET", "POST"])
@limited(PREVIEWS)
@deleted_told
def schedule_update(request: HtmxHttpRequest, schedule_id: str) -> HttpResponse:
    """Change a schedule; `preview` shows what the fields come to and saves nothing."""
    gone = ""
    try:
        schedule = services.get_schedule_to_edit(request.user, schedule_id)
    except DeletedScheduleError as error:
        if request.method != "POST":
            raise
        # What was typed stays on the page.
        schedule, gone = error.schedule, error.message
    initial = ScheduleForm.initial_of(schedule)
    is_preview = "preview" in request.POST
    form = ScheduleForm(request.POST if request.method == "POST" else None, initial=initial)
    seen = request.POST.get("seen", schedule.updated_at.isoformat())
    if gone:
        form.full_clean()
        form.add_error(None, gone)
    if request.method == "POST" and not is_preview and form.is_valid():
        try:
            services.update_schedule(
                schedule=schedule, actor=request.user, values=form.values(), seen=read_seen(seen)
            )
        except AmcHelperError as error:
            form.add_error(None, error.message)
            if isinstance(error, StaleScheduleError):
                # Told once; saving again is on purpose.
                seen = schedule.updated_at.isoformat()
        else:
            messages.success(request, f"{form.cleaned_data['name']} is saved.")
            return redirect_page(request, schedule)
    context = _context(schedule, "Edit") | {
        "form": form,
        "seen": seen,
        "preview": _preview(form, schedule),
        "zones": sorted(zone_names()),
    }
    if is_preview and wants_fragment(request):
        return render(request, "schedules/_partials/run_preview.html", context)
    return render(request, "schedules/schedule_form.html", context)


@require_POST
@deleted_told
def schedule_pause(request: HtmxHttpRequest, schedule_id: str) -> HttpResponse:
    return _do(
        request, schedule_id, services.pause, "{name} is paused: it starts no more runs until you resume it."
    )


@require_POST
@deleted_told
def schedule_resume(request: HtmxHttpRequest, schedule_id: str) -> HttpResponse:
    return _do(request, schedule_id, services.resume, "{name} goes on from now. What it missed is not caught up.")


@require_POST
@limited(RUNS)
@deleted_told
def schedule_run(request: HtmxHttpRequest, schedule_id: str) -> HttpResponse:
    """Run once by hand; the key makes a second click lead to the same run."""
    schedule = services.get_schedule_to_run(request.user, schedule_id)
    key = parse_uuid(request.POST.get("key", ""))
    try:
        execution = services.run_now(actor=request.user, schedule=schedule, submission_key=key)
    except AmcHelperError as error:
        messages.error(request, error.message)
        return redirect_page(request, schedule)
    plan = "goes on as planned" if schedule.is_active else "stays paused"
    messages.success(request, f"The run is on its way. The schedule {plan}.")
    return redirect_page(request, execution)


@require_http_methods(["GET", "POST"])
@deleted_told
def schedule_delete(request: HtmxHttpRequest, schedule_id: str) -> HttpResponse:
    schedule = services.get_schedule_to_edit(request.user, schedule_id)
    if request.method == "POST":
        services.delete_schedule(schedule=schedule, actor=request.user)
        messages.success(request, f"{schedule.name} was deleted.")
        return redirect("schedules:schedule-list")
    context = _context(schedule, "Delete") | {"consequences": what_deleting_means(schedule)}
    return render(request, "schedules/schedule_confirm_delete.html", context)


def _do(request: HtmxHttpRequest, schedule_id: str, action: Callable[..., None], said: str) -> HttpResponse:
    """Do something to a schedule and say so."""
    schedule = services.get_schedule_to_edit(request.user, schedule_id)
    try:
        action(schedule=schedule, actor=request.user)
    except AmcHelperError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, said.format(name=schedule.name))
    return redirect_page(request, schedule)


def _preview(form: ScheduleForm, schedule: Schedule) -> RecurrencePreview | None:
    if not form.is_bound:
        return _preview_of_saved(schedule)
    return preview_recurring(form.values(), timezone.now()) if form.is_valid() else None


def _preview_of_saved(schedule: Schedule) -> RecurrencePreview | None:
    if schedule.readable_recurrence is None:
        return None
    return preview_recurring(services.ScheduleValues.of(schedule), timezone.now())


def _context(schedule: Schedule, here: str = "") -> dict[str, Any]:
    return {
        "schedule": schedule,
        "instance": schedule.instance,
        "template": schedule.template,
        "breadcrumbs": _breadcrumbs(schedule, here=here) if here else _breadcrumbs(here=schedule.name),
    }


def _breadcrumbs(below: Schedule | None = None, *, here: str) -> Breadcrumbs:
    own = [(below.name, below.get_absolute_url())] if below else []
    return breadcrumbs(("Schedules", reverse("schedules:schedule-list")), *own, here=here)
