"""Errors of templates with names of their own."""

from __future__ import annotations

from collections.abc import Sequence

from amchelper.exceptions import AmcHelperError, InvalidStateError
from amchelper.words import counted
from templates_app.models import InstanceTemplate
from templates_app.sql.parameters import ParameterError

# Not wrong: a value is still to come.
WAITING_CODES = ("missing", "empty")
# A message that names more is not read.
MAX_NAMED = 5


class StaleTemplateError(InvalidStateError):
    """The template was saved since the page was loaded; `current` is what is saved now."""

    code = "stale_template"

    def __init__(self, message: str, *, current: InstanceTemplate) -> None:
        super().__init__(message)
        self.current = current


class IncompleteTemplateError(AmcHelperError):
    """The SQL cannot be completed; `problems` is all that is wrong, once per parameter, in the order of the text."""

    code = "incomplete_template"
    http_status = 422

    def __init__(self, problems: Sequence[ParameterError]) -> None:
        self.problems = tuple(problems)
        super().__init__(" ".join(self.sentences))

    @property
    def sentences(self) -> list[str]:
        """Return what to do, for people: all missing values in one sentence, each other problem in its own."""
        missing = [problem for problem in self.problems if problem.code in WAITING_CODES]
        others = [problem for problem in self.problems if problem not in missing]
        said = [f"{problem.message} (line {problem.line})" for problem in others[:MAX_NAMED]]
        if len(others) > MAX_NAMED:
            said.append(f"There are {counted(len(others) - MAX_NAMED, 'more problem')} like these.")
        if len(missing) == 1:
            said.insert(0, f"{missing[0].message} (line {missing[0].line})")
        elif missing:
            names = [f"{problem.name} (line {problem.line})" for problem in missing[:MAX_NAMED]]
            more = f" and {len(missing) - MAX_NAMED:,} more" if len(missing) > MAX_NAMED else ""
            said.insert(0, f"{counted(len(missing), 'parameter')} need a value: {', '.join(names)}{more}.")
        return said
