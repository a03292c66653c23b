"""Every public function of a service that writes says who does it: keyword-only `actor`, None for the system."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest
from django.db.models import QuerySet

ROOT = Path(__file__).resolve().parent.parent
# Steps that only workers do, under a lease or by a tick, and what every call does by the way: the system acts.
SYSTEM = {
    "amchelper/bulk.py": "writes what services decided, which take the actor",
    "amchelper/queue.py": "sends messages, which change nothing by themselves",
    "instances/services/amazon.py": "keeps what Amazon said about a login, for every caller",
    "instances/services/mapping_changes.py::sweep": "the nightly clean-up",
    "instances/services/mapping_changes.py::remove_detached_brands": "removes what removed brands left behind",
    "instances/services/health/history.py": "stores what probes found out; the batch names who asked",
    "instances/services/health/batches.py::advance_batch": "a worker's step",
    "instances/services/health/batches.py::check_instances": "a worker's step; the batch names who asked",
    "instances/services/health/batches.py::tick": "the beat",
    "executions/services/claims.py": "leases of workers",
    "executions/services/disk_space.py": "what a worker found out; it removes nothing by itself",
    "executions/services/export_steps.py": "a worker's step; the export names who asked",
    "executions/services/exports.py::remove_export_file": "goes with a row, whoever deleted it",
    "executions/services/fetching.py": "a worker's step",
    "executions/services/polling.py": "a worker's step",
    "executions/services/queue.py": "lets runs out of the queue; the run names who asked",
    "executions/services/result_files.py": "files that workers store and the clean-up removes",
    "executions/services/retention.py": "the nightly clean-up",
    "executions/services/steps.py": "a worker's step",
    "executions/services/submission.py": "a worker's step",
    "schedules/services/failures.py": "the beat",
    "schedules/services/slots.py": "the beat",
    "schedules/services/steps.py": "a worker's step",
    "templates_app/services/templates.py::count_usage": "counts runs; each run names who asked",
}
WRITING_METHODS = frozenset(
    {"save", "create", "update", "delete", "get_or_create", "update_or_create", "aupdate", "acreate"}
)
# What has a method `update` too: dictionaries and digests, by the names they have in services.
NOT_ROWS = frozenset({"context", "counts", "digest", "fields", "seen", "session"})


@dataclass
class Function:
    """One function of a module: what it calls, and whether it writes by itself."""

    module: str
    node: ast.FunctionDef
    writes: bool = False
    calls: set[str] = field(default_factory=set)

    @property
    def name(self) -> str:
        return f"{self.module}::{self.node.name}"

    @property
    def is_public(self) -> bool:
        return not self.node.name.startswith("_")

    @property
    def has_actor(self) -> bool:
        return "actor" in {argument.arg for argument in self.node.args.kwonlyargs}

    @property
    def is_of_the_system(self) -> bool:
        return self.module in SYSTEM or self.name in SYSTEM


def service_files() -> list[Path]:
    return sorted(
        path for path in ROOT.glob("*/services/**/*.py") if not path.parts[len(ROOT.parts)].startswith(".")
    ) + sorted((ROOT / "amchelper").glob("*.py"))


def model_files() -> list[Path]:
    return sorted({*ROOT.glob("*/models.py"), *ROOT.glob("*/models/*.py"), ROOT / "amchelper" / "leases.py"})


@cache
def writing_methods() -> frozenset[str]:
    """Return the names of methods of models, QuerySets and claims that write, by themselves or through others."""
    methods: dict[str, list[ast.Call]] = {}
    for path in model_files():
        for kind in (node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef)):
            for method in (node for node in kind.body if isinstance(node, ast.FunctionDef)):
                calls = [inner for inner in ast.walk(method) if isinstance(inner, ast.Call)]
                # Of a name that the ORM has too, a call does not say which is meant.
                if not hasattr(QuerySet, method.name):
                    methods.setdefault(method.name, []).extend(calls)
    found = {name for name, calls in methods.items() if any(map(is_write, calls))}
    while more := {
        name
        for name, calls in methods.items()
        if name not in found and any(isinstance(c.func, ast.Attribute) and c.func.attr in found for c in calls)
    }:
        found |= more
    return frozenset(found)


def is_write(call: ast.Call) -> bool:
    """Return whether a call reads like one of the ORM's that write."""
    if not isinstance(call.func, ast.Attribute):
        return False
    name = call.func.attr
    if not (name in WRITING_METHODS or name.startswith("bulk_")):
        return False
    root: ast.expr = call.func.value
    while isinstance(root, ast.Attribute | ast.Call | ast.Subscript):
        if isinstance(root, ast.Attribute) and root.attr == "objects":
            return True
        root = root.func if isinstance(root, ast.Call) else root.value
    return name != "update" or not (isinstance(root, ast.Name) and root.id in NOT_ROWS)


def is_writing_method(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr in writing_methods()


def imports_of(tree: ast.Module) -> dict[str, str]:
    """Return local names of imported modules and functions with where they come from."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def called(call: ast.Call, module: str, imported: dict[str, str]) -> str | None:
    """Return the function of ours that a call means, as "module.py::name"; None for any other."""
    if isinstance(call.func, ast.Name):
        target = imported.get(call.func.id)
        if target is None:
            return f"{module}::{call.func.id}"
        package, _, name = target.rpartition(".")
        return f"{package.replace('.', '/')}.py::{name}"
    if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name):
        target = imported.get(call.func.value.id)
        return f"{target.replace('.', '/')}.py::{call.func.attr}" if target else None
    return None


def functions() -> Iterator[Function]:
    for path in service_files():
        module = str(path.relative_to(ROOT))
        tree = ast.parse(path.read_text())
        imported = imports_of(tree)
        for node in tree.body:
            if not isinstance(node, ast.FunctionDef):
                continue
            function = Function(module, node)
            for call in (inner for inner in ast.walk(node) if isinstance(inner, ast.Call)):
                function.writes = function.writes or is_write(call) or is_writing_method(call)
                if target := called(call, module, imported):
                    function.calls.add(target)
            yield function


def writers() -> dict[str, Function]:
    """Return the functions that write, by themselves or through others, but for what the system does in between."""
    by_name = {function.name: function for function in functions()}
    found = {name for name, function in by_name.items() if function.writes and not function.is_of_the_system}
    while more := {
        name
        for name, function in by_name.items()
        if name not in found and not function.is_of_the_system and function.calls & found
    }:
        found |= more
    return {name: by_name[name] for name in found}


def test_what_writes_is_found_directly_and_through_private_helpers_and_other_services() -> None:
    found = writers()
    for name in (
        "instances/services/brands.py::replace_brands",
        "instances/services/instances.py::save_details",
        "instances/services/instances.py::relink",
        "instances/services/instances.py::disable",
        "instances/services/connections.py::disconnect",
        "instances/services/imports.py::import_instances",
        "instances/services/mappings.py::remove_mappings",
        "instances/services/connections.py::connect_with_refresh_token",
    ):
        assert name in found
    for name in (
        "instances/services/mappings.py::preview_replace",
        "instances/services/discovery.py::discover",
        "instances/services/brands.py::suggest_brands",
    ):
        assert name not in found


@pytest.mark.parametrize("name", sorted(name for name, function in writers().items() if function.is_public))
def test_a_service_that_writes_takes_an_actor(name: str) -> None:
    assert writers()[name].has_actor, f"{name} writes and does not say for whom: give it keyword-only `actor`."


def test_the_system_does_only_what_exists() -> None:
    known = {function.module for function in functions()} | {function.name for function in functions()}
    missing = [name for name in SYSTEM if name not in known]
    assert missing == []
