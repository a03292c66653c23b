"""What is known about the tables a query may name."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher, get_close_matches

from amc_facts.tables import AUDIENCE_SUFFIX, RETIRED_COLUMNS, RETIRED_TABLES, Column, Table, is_audience_table

# Comparing longer words costs time and never yields a typing error.
_MAX_TYPO_LENGTH = 64
# How alike two names are that differ by a letter or two.
_SLIP = 0.9
# AMC joins uploaded tables on this column, whatever else they hold.
_UPLOADED_COLUMNS = {"user_id": Column("user_id", "VARCHAR", "DIMENSION", "VERY_HIGH")}


@dataclass(frozen=True, slots=True)
class KnownTable:
    """A table as a query sees it; `is_complete` tells that it has no other columns than `columns`."""

    name: str
    columns: Mapping[str, Column]
    is_complete: bool
    advertiser_type: str | None = None
    is_audience: bool = False
    successor: str | None = None


class KnownTables:
    """Finds tables by name: documented, retired, uploaded ones and the twins for audiences."""

    def __init__(self, tables: Mapping[str, Table], uploaded_tables: Collection[str] | None) -> None:
        self._tables = tables
        # Without a list of the uploaded tables, any name may be one.
        self.knows_uploads = uploaded_tables is not None
        self._uploaded = {name.lower() for name in uploaded_tables or ()}
        self._found: dict[str, KnownTable | None] = {}

    def find(self, name: str) -> KnownTable | None:
        """Return the table a name stands for, None when AMC has none of that name."""
        name = name.lower()
        if name not in self._found:
            self._found[name] = self._find(name)
        return self._found[name]

    def _find(self, name: str) -> KnownTable | None:
        if name in self._uploaded:
            return KnownTable(name, _UPLOADED_COLUMNS, is_complete=False)
        if is_audience_table(name) and name not in self._tables:
            base = self._find(name.removesuffix(AUDIENCE_SUFFIX))
            return base and KnownTable(
                name, base.columns, base.is_complete, base.advertiser_type, is_audience=True
            )
        if name in RETIRED_TABLES and name not in self._tables:
            successor = self._find(RETIRED_TABLES[name])
            columns = successor.columns if successor else {}
            # The documentation no longer says which columns the old table had.
            return KnownTable(name, columns, is_complete=False, successor=RETIRED_TABLES[name])
        table = self._tables.get(name)
        if table is None:
            return None
        columns = {**RETIRED_COLUMNS.get(name, {}), **table.columns}
        return KnownTable(name, columns, True, table.advertiser_type, is_audience_table(name))

    def is_retired_column(self, table: KnownTable, column: str) -> bool:
        """Return whether a column is no longer documented, though AMC went on accepting it."""
        base = table.name.removesuffix(AUDIENCE_SUFFIX)
        documented = self._tables.get(base)
        return column in RETIRED_COLUMNS.get(base, {}) and not (documented and column in documented.columns)

    def similar_table(self, name: str) -> str | None:
        """Return the table a mistyped name most likely means."""
        return closest(name, [*self._uploaded, *self._tables])

    def tables_with(self, column: str) -> list[str]:
        """Name the documented tables that have a column."""
        return [name for name, table in self._tables.items() if column in table.columns]


def closest(word: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate a mistyped word most likely means, None when none is close."""
    if len(word) > _MAX_TYPO_LENGTH:
        return None
    matches = get_close_matches(word.lower(), list(candidates), n=1, cutoff=0.72)
    return matches[0] if matches else None


def is_slip(word: str, meant: str) -> bool:
    """Return whether a word is `meant` with a slip of the finger in it, and hardly a name of its own."""
    word = word.lower()
    if word.count("_") != meant.count("_") or re.findall(r"\d", word) != re.findall(r"\d", meant):
        return False
    return SequenceMatcher(None, word, meant, autojunk=False).ratio() >= _SLIP
