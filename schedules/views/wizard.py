"""The run wizard: template, type, window or recurrence, review. Its state is in the session, per start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

from django.contrib import messages
from django.forms import BaseForm
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST
from formtools.wizard.views import NamedUrlSessionWizardView

from amchelper.access import MissingRowError
from amchelper.exceptions import AmcHelperError
from amchelper.htmx import HtmxHttpRequest, wants_fragment
from amchelper.http import parse_number
from amchelper.limits import PREVIEWS, RUNS, limited, spend
from executions.models import Execution, Trigger
from executions.services.dry_runs import DryRun, dry_run, fingerprint_of
from executions.services.start import run_name, start_execution
from instances.presenters.breadcrumbs import instance_breadcrumbs
from instances.services.access import get_instance_to_run
from planning.recurrence import zone_names
from planning.windows import Window
from schedules.forms.run import (
    ONCE,
    RECURRING,
    OnceStep,
    RecurringStep,
    ReviewStep,
    TemplateStep,
    TypeStep,
    WindowStep,
)
from schedules.models import Schedule
from schedules.presenters.preflight import preflight, schedule_name
from schedules.presenters.run_preview import RecurrencePreview, WindowPreview, preview_once, preview_recurring
from schedules.services.schedules import create_schedule
from templates_app.models import InstanceTemplate
from templates_app.presenters.diffs import side_by_side
from templates_app.services.drafts import lint_for
from templates_app.services.templates import get_template_to_run

# Wizards that were left half-way; the oldest go, or the session would grow for ever.
_MAX_WIZARDS = 8
_PREFIX = "run_wizard-"
# What formtools puts before it in the session.
_STORED = "wizard_"
_STEPS: dict[str, type[WindowStep]] = {ONCE: OnceStep, RECURRING: RecurringStep}
STEP_TITLES = {
    "template": "Template",
    "type": "Type",
    "once": "Window",
    "recurring": "Recurrence",
    "review": "Review",
}


def _is(kind: str) -> Any:
    """Return the condition of a step: it is shown for one kind of run only."""

    def condition(wizard: RunWizard) -> bool:
        return wizard.kind == kind

    return condition


@require_POST
@limited(PREVIEWS)
def run_preview(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    """Return what the window or recurrence on the form comes to; the prefix of its fields tells which it is."""
    lag_days = get_instance_to_run(request.user, pk).lag_days
    kind = RECURRING if any(name.startswith(f"{RECURRING}-") for name in request.POST) else ONCE
    form = _STEPS[kind](data=request.POST, prefix=kind)
    return render(request, "schedules/_partials/run_preview.html", {"preview": preview_of_form(form, lag_days)})


@require_GET
def run_start(request: HtmxHttpRequest, pk: UUID, template_id: str) -> HttpResponse:
    """Start a wizard with a key of its own, so that two tabs do not share one."""
    template = get_template_to_run(request.user, pk, template_id)
    started = [name for name in request.session.keys() if name.startswith(_PREFIX)]  # noqa: SIM118  a session, not a dict
    for name in started[: max(0, len(started) - _MAX_WIZARDS)]:
        del request.session[name]
    return redirect("schedules:run", pk=pk, template_id=template.template_id, key=uuid4(), step="template")


class RunWizard(NamedUrlSessionWizardView):  # type: ignore[misc]  # the library has no types
    """Four steps to a run or a schedule of one template."""

    form_list = [
        ("template", TemplateStep),
        ("type", TypeStep),
        ("once", OnceStep),
        ("recurring", RecurringStep),
        ("review", ReviewStep),
    ]
    condition_dict = {"once": _is(ONCE), "recurring": _is(RECURRING)}

    template: InstanceTemplate

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Read the template from the database on every step; a wizard that was submitted leads to what it made."""
        self.key: UUID = kwargs["key"]
        made = self._already_made(request)
        if made is not None:
            return redirect(made)
        try:
            self.template = get_template_to_run(request.user, kwargs["pk"], kwargs["template_id"])
        except MissingRowError as error:
            if f"{_STORED}{_PREFIX}{self.key}" not in request.session:
                raise
            # It was there when this wizard began.
            raise _deleted_meanwhile(error) from None
        return super().dispatch(request, *args, **kwargs)

    def get_prefix(self, request: Any, *args: Any, **kwargs: Any) -> str:
        """Keep this wizard's state apart from others'."""
        return f"{_PREFIX}{kwargs['key']}"

    def get_step_url(self, step: str) -> str:
        """Return the address of a step of this wizard."""
        kwargs = {**self.kwargs, "step": step}
        return reverse(self.url_name, kwargs=kwargs)

    def get_template_names(self) -> list[str]:
        return [f"schedules/wizard/step_{self.steps.current}.html"]

    def get_form_kwargs(self, step: str | None = None) -> dict[str, Any]:
        if step != "review":
            return {}
        return {"version": self.template.version, "is_schedule": self.kind == RECURRING}

    def get_form_initial(self, step: str) -> dict[str, Any]:
        """Suggest the name; agree to nothing beforehand."""
        if step == "review":
            return {"name": self._suggested_name(), "agreed_version": self.template.version}
        if step in _STEPS:
            return {"lag_days": self.template.instance.lag_days}
        return {"version": self.template.version} if step == "template" else {}

    def get(self, *args: Any, **kwargs: Any) -> Any:
        """Show a step; what is none of this run's leads to one that is, and starts nothing."""
        if kwargs["step"] not in self.get_form_list():
            is_done_step = kwargs["step"] == self.done_step_name
            return self._go_to("review" if is_done_step else self.steps.first)
        return super().get(*args, **kwargs)

    def post(self, *args: Any, **kwargs: Any) -> Any:
        """Keep what was typed on a step when it is left backward, right or wrong."""
        step = self.request.POST.get(f"{self.prefix}-current_step")
        if step not in self.get_form_list():
            messages.warning(self.request, "That step does not belong to this run any more. Go on from here.")
            return self._go_to(self.steps.first)
        self.storage.current_step = step
        if self.request.POST.get("wizard_goto_step"):
            self._keep(step)
        elif step == "review" and "dry_run" in self.request.POST:
            self._keep(step)
            return self._dry_run()
        return super().post(*args, **kwargs)

    def get_context_data(self, form: BaseForm, **kwargs: Any) -> dict[str, Any]:
        """Add what the step shows."""
        context: dict[str, Any] = super().get_context_data(form=form, **kwargs)
        instance = self.template.instance
        context |= {
            "instance": instance,
            "template": self.template,
            "step_titles": [(name, STEP_TITLES[name]) for name in self.get_form_list()],
            "checks": preflight(self.template, is_planned=self.kind == RECURRING),
            "zones": sorted(zone_names()),
            "tab": "templates",
            "breadcrumbs": instance_breadcrumbs(
                instance, (self.template.name, self.template.get_absolute_url()), here="Run"
            ),
        }
        if self.steps.current == "template":
            rows = InstanceTemplate.objects.filter(pk=self.template.pk)
            context["can_edit"] = rows.editable_by(self.request.user).exists()
        if self.steps.current in ("once", "recurring"):
            context["preview"] = self._preview(form)
        if self.steps.current == "review":
            context |= self._review()
        return context

    def render_done(self, form: BaseForm, **kwargs: Any) -> Any:
        """Finish in the POST itself, because a GET must not start anything; what is refused keeps its steps."""
        try:
            return super(NamedUrlSessionWizardView, self).render_done(
                form, **{**kwargs, "step": self.done_step_name}
            )
        except MissingRowError as error:
            raise _deleted_meanwhile(error) from None
        except AmcHelperError as error:
            messages.error(self.request, error.message)
            self._keep("review")
            return self._go_to("review")

    def done(self, form_list: Any, form_dict: Mapping[str, Any], **kwargs: Any) -> HttpResponse:
        """Start the run or save the schedule; a second submission leads to the first one's.

        Raises AmcHelperError and TooManyError.
        """
        spend(self.request.user, RUNS)
        name = form_dict["review"].cleaned_data["name"]
        if self.kind == ONCE:
            made: Any = start_execution(
                actor=self.request.user,
                template=self.template,
                window=form_dict["once"].window(timezone.now()),
                name=name,
                trigger=Trigger.MANUAL,
                submission_key=self.key,
            )
            messages.success(self.request, "The run is on its way. This page follows it.")
        else:
            made = create_schedule(
                actor=self.request.user,
                template=self.template,
                values=form_dict["recurring"].schedule_values(name),
                submission_key=self.key,
            )
            messages.success(self.request, f"{made.name} is planned.")
        return HttpResponseRedirect(made.get_absolute_url())

    @property
    def kind(self) -> str:
        """Return what step 2 says: once or recurring; a step that was left keeps what is neither, too."""
        kind = (self.storage.get_step_data("type") or {}).get("type-kind")
        return RECURRING if kind == RECURRING else ONCE

    def _dry_run(self) -> HttpResponse:
        """Let AMC check what the review shows; a fragment for htmx, the review again otherwise."""
        window = self._window_now()
        if window is None:
            return self._go_to(self.steps.first)
        earlier = self._latest_dry_run(window)
        if earlier is None or not earlier.is_open:
            # Asking how an open one stands starts nothing.
            spend(self.request.user, RUNS)
        made = dry_run(actor=self.request.user, template=self.template, window=window, earlier=earlier)
        self.storage.extra_data = {**self.storage.extra_data, "dry_run": made.to_json()}
        if not wants_fragment(self.request):
            return self._go_to("review")
        context = {"template": self.template, "instance": self.template.instance, **self._dry_run_shown(window)}
        return render(self.request, "executions/_partials/dry_run.html", context)

    def _latest_dry_run(self, window: Window) -> DryRun | None:
        """Return the dry run of this very version and window, if there was one."""
        kept = self.storage.extra_data.get("dry_run")
        found = DryRun(**kept) if kept else None
        return found if found is not None and found.fingerprint == fingerprint_of(self.template, window) else None

    def _dry_run_shown(self, window: Window | None) -> dict[str, Any]:
        found = self._latest_dry_run(window) if window is not None else None
        return {"dry_run": found, "dry_run_failure": found.failure(self.template) if found else None}

    def _window_now(self) -> Window | None:
        """Return the window the review is about: of the run, or of a schedule's run at this moment."""
        form, _ = self._planned()
        return form.window(timezone.now()) if form is not None else None

    def _go_to(self, step: str) -> HttpResponse:
        self.storage.current_step = step
        return redirect(self.get_step_url(step))

    def _keep(self, step: str) -> None:
        """Keep what was typed; of the review only a name of the user's own, so that ours follows the dates."""
        form = self.get_form(data=self.request.POST)
        is_ours = step == "review" and form.data.get(form.add_prefix("name")) == self._suggested_name()
        self.storage.set_step_data(step, None if is_ours else self.process_step(form))

    def _already_made(self, request: Any) -> Execution | Schedule | None:
        mine = {"submission_key": self.key}
        execution = Execution.objects.visible_to(request.user).filter(**mine).first()
        return execution or Schedule.objects.visible_to(request.user).filter(**mine).first()

    def _planned(self) -> tuple[OnceStep | RecurringStep | None, str]:
        step = "once" if self.kind == ONCE else "recurring"
        form = self.get_form(step=step, data=self.storage.get_step_data(step))
        return (form if form.is_valid() else None), step

    def _preview(self, form: BaseForm) -> Any:
        shown = form if form.is_bound else type(form)(data=_defaults(form), prefix=form.prefix)
        return preview_of_form(shown, self.template.instance.lag_days)

    def _suggested_name(self) -> str:
        form, _ = self._planned()
        if form is None:
            return self.template.name
        if isinstance(form, RecurringStep):
            return schedule_name(self.template, form.make_recurrence())
        return run_name(self.template, form.window(timezone.now()))

    def _review(self) -> dict[str, Any]:
        form, step = self._planned()
        seen = parse_number((self.storage.get_step_data("template") or {}).get("template-version"), 0)
        old = self.template.versions.filter(number=seen).first() if seen != self.template.version else None
        return {
            "planned": form,
            "planned_step": step,
            "preview": self._preview(form) if form is not None else None,
            **self._dry_run_shown(self._window_now()),
            "findings": lint_for(self.template.instance, self.template.sql_query),
            "changed_from": old,
            "diff": side_by_side(old.sql_query, self.template.sql_query) if old is not None else [],
        }


def _deleted_meanwhile(error: MissingRowError) -> MissingRowError:
    message = f"This {error.noun} was deleted while you were planning its run."
    return MissingRowError(error.noun, message, "Nothing was started or saved. Choose another one.")


def preview_of_form(form: BaseForm, lag_days: int) -> WindowPreview | RecurrencePreview | None:
    """Return the preview of a step's fields; None until they are complete. A window that cannot run shows why.

    A window that leaves out fewer than the instance's `lag_days` is remarked on.
    """
    form.is_valid()
    now = timezone.now()
    try:
        if isinstance(form, RecurringStep):
            return preview_recurring(form.schedule_values("preview"), now, lag_days)
        if isinstance(form, OnceStep):
            return preview_once(form.window(now), now, lag_days)
    except (KeyError, TypeError, ValueError):
        # Fields are still missing or wrong; their own messages say so.
        return None
    return None


def _defaults(form: BaseForm) -> dict[str, Any]:
    """Return an untouched form's initial values as if they had been sent."""
    data = {form.add_prefix(name): form.get_initial_for_field(field, name) for name, field in form.fields.items()}
    return {name: value for name, value in data.items() if value is not None}
