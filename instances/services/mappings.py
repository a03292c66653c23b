"""ASINs and campaigns of an instance's brands: add, replace, remove, read and export."""

from __future__ import annotations

import csv
import hashlib
import io
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from django.db.models import Count

from amchelper.access import pk_of
from amchelper.exceptions import InvalidStateError
from amchelper.models import User
from amchelper.spreadsheets import guard
from instances.models import AMCInstance, BrandASIN, BrandCampaign, InstanceBrand, MappingKind
from instances.models.mapping import ASINQuerySet, CampaignQuerySet, fold_campaign
from instances.services.brands import fold
from instances.services.mapping_changes import ChangeClaim, changing
from instances.services.mapping_files import COLUMNS
from instances.services.mapping_text import MAX_ERRORS, LineError, Reading

logger = logging.getLogger(__name__)

STALE = "The mappings have changed since this was shown. Nothing was replaced: look at the changes again."
BRAND_GONE = (
    "A brand of these rows was removed from the instance meanwhile. Nothing was saved; load the page again."
)
# Of an export: each piece goes through the web server alone.
LINES_AT_ONCE = 2_000
_EXPORT_COLUMNS = ("brand", *(name for name in COLUMNS if name != "brand"))


class Entry(NamedTuple):
    """One thing mapped to a brand."""

    brand_id: int
    kind: MappingKind
    value: str

    @property
    def group(self) -> Group:
        """Return what is replaced together with this."""
        return Group(self.brand_id, self.kind == MappingKind.ASIN)

    @property
    def folded(self) -> tuple[int, MappingKind, str]:
        """Return what may exist once."""
        return self.brand_id, self.kind, fold_campaign(self.value)


class Group(NamedTuple):
    """The ASINs of a brand, or its campaigns: IDs and names together."""

    brand_id: int
    is_asins: bool


@dataclass(frozen=True)
class Mappings:
    """Everything mapped in an instance, in stored order."""

    asins: ASINQuerySet
    campaigns: CampaignQuerySet


@dataclass(frozen=True)
class MappedValues:
    """What fills parameters: without repeats, in stored order, IDs in full digits."""

    asins: list[str] = field(default_factory=list)
    campaign_ids: list[str] = field(default_factory=list)
    campaign_names: list[str] = field(default_factory=list)
    # IDs and names in one list, as a campaign parameter takes them.
    campaigns: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class BrandCounts:
    """How much is mapped to one brand."""

    brand: InstanceBrand
    kinds: dict[str, int]

    @property
    def campaigns(self) -> int:
        """Return how many IDs and names together."""
        return self.kinds[MappingKind.CAMPAIGN_ID] + self.kinds[MappingKind.CAMPAIGN_NAME]


@dataclass(frozen=True)
class Changes:
    """What a write did, or would do."""

    added: int = 0
    removed: int = 0
    kept: int = 0


@dataclass(frozen=True)
class GroupChanges:
    """What replacing does to one group."""

    brand: InstanceBrand
    is_asins: bool
    added: Sequence[str]
    removed: Sequence[str]
    kept: int

    @property
    def after(self) -> int:
        """Return how many there are afterwards."""
        return self.kept + len(self.added)


@dataclass(frozen=True)
class ReplacePreview:
    """What replacing would change; `fingerprint` tells whether that is still so."""

    groups: Sequence[GroupChanges]
    fingerprint: str

    @property
    def changes(self) -> Changes:
        """Return the sums."""
        return Changes(
            added=sum(len(group.added) for group in self.groups),
            removed=sum(len(group.removed) for group in self.groups),
            kept=sum(group.kept for group in self.groups),
        )


def assign_brands(
    instance: AMCInstance, reading: Reading, brand: InstanceBrand | None = None
) -> tuple[list[Entry], list[LineError]]:
    """Return rows with their brands, each once, and the errors by line, at most MAX_ERRORS.

    Rows without a brand get `brand`.
    """
    brands = {known.folded: known.pk for known in InstanceBrand.objects.filter(instance=instance)}
    errors = list(reading.errors)
    entries = []
    for row in reading.rows:
        if len(errors) >= MAX_ERRORS:
            break
        brand_id = brands.get(fold(" ".join(row.brand.split()))) if row.brand else brand.pk if brand else None
        if brand_id is None:
            reason = "This is not a brand of the instance. Add it under Settings, or correct it."
            missing = "This line names no brand. Choose one above for such lines."
            errors.append(LineError(row.line, row.brand or row.value, reason if row.brand else missing))
            continue
        entries.append(Entry(brand_id, row.kind, row.value))
    return list(_unique(entries)), sorted(errors, key=lambda error: error.line)


def add_mappings(instance: AMCInstance, entries: Iterable[Entry], *, actor: User | None) -> Changes:
    """Add what is not there yet; what is there in another spelling stays as it is.

    Raises InvalidStateError when a brand is gone, BusyError when others do not finish.
    """
    wanted = _unique(entries)
    with changing(instance, actor=actor) as change:
        _refuse_other_brands(instance, wanted)
        present = {entry.folded for _, entry in _stored(instance)}
        new = [entry for entry in wanted if entry.folded not in present]
        _add(change, new)
    return _logged(instance, actor, Changes(added=len(new), kept=len(wanted) - len(new)))


def preview_replace(instance: AMCInstance, entries: Iterable[Entry]) -> ReplacePreview:
    """Return what `replace_mappings` would do, by brand."""
    wanted = _unique(entries)
    groups = {entry.group for entry in wanted}
    present = [entry for _, entry in _stored(instance) if entry.group in groups]
    there = set(present)
    kept = there & wanted.keys()
    brands = {brand.pk: brand for brand in InstanceBrand.objects.filter(instance=instance)}
    added: dict[Group, list[str]] = {group: [] for group in groups}
    removed: dict[Group, list[str]] = {group: [] for group in groups}
    for entry in wanted:
        if entry not in there:
            added[entry.group].append(entry.value)
    for entry in present:
        if entry not in kept:
            removed[entry.group].append(entry.value)
    counts = Counter(entry.group for entry in kept)
    changes = [
        GroupChanges(brands[group.brand_id], group.is_asins, added[group], removed[group], counts[group])
        for group in groups
        if group.brand_id in brands
    ]
    changes.sort(key=lambda change: (change.brand.folded, not change.is_asins))
    return ReplacePreview(changes, _fingerprint(present))


def replace_mappings(
    instance: AMCInstance, entries: Iterable[Entry], *, actor: User | None, fingerprint: str = ""
) -> Changes:
    """Make `entries` all there is in the brands and kinds they name; other brands and kinds stay.

    Raises InvalidStateError when a brand is gone, or `fingerprint` is not that of what is there now, and BusyError.
    """
    wanted = _unique(entries)
    groups = {entry.group for entry in wanted}
    with changing(instance, actor=actor) as change:
        _refuse_other_brands(instance, wanted)
        present = {entry: pk for pk, entry in _stored(instance) if entry.group in groups}
        if fingerprint and fingerprint != _fingerprint(present):
            raise InvalidStateError(STALE)
        # Another spelling is another campaign name to AMC: it is removed and added, before what is new.
        gone = [(entry, pk) for entry, pk in present.items() if entry not in wanted]
        new = [entry for entry in wanted if entry not in present]
        change.remove(BrandASIN, [pk for entry, pk in gone if entry.group.is_asins])
        change.remove(BrandCampaign, [pk for entry, pk in gone if not entry.group.is_asins])
        _add(change, new)
    return _logged(instance, actor, Changes(added=len(new), removed=len(gone), kept=len(wanted) - len(new)))


def remove_mappings(instance: AMCInstance, rows: ASINQuerySet | CampaignQuerySet, *, actor: User | None) -> int:
    """Remove those of `rows` that are the instance's; returns how many there were. Raises BusyError."""
    with changing(instance, actor=actor) as change:
        pks = list(rows.of_instance(instance).order_by().values_list("pk", flat=True))
        change.remove(rows.model, pks)
    _logged(instance, actor, Changes(removed=len(pks)))
    return len(pks)


def mappings_of(instance: AMCInstance, brand: InstanceBrand | None = None) -> Mappings:
    """Return what is mapped in an instance, or to one of its brands."""
    asins, campaigns = BrandASIN.objects.of_instance(instance), BrandCampaign.objects.of_instance(instance)
    if brand is not None:
        asins, campaigns = asins.filter(brand=brand), campaigns.filter(brand=brand)
    return Mappings(asins, campaigns)


def mapped_values(instance: AMCInstance, brand: InstanceBrand | None = None) -> MappedValues:
    """Return the values that fill parameters. Two queries."""
    mappings = mappings_of(instance, brand)
    asins = dict.fromkeys(mappings.asins.values_list("asin", flat=True))
    campaigns = dict.fromkeys(mappings.campaigns.values_list("kind", "value"))
    return MappedValues(
        asins=list(asins),
        campaign_ids=[value for kind, value in campaigns if kind == MappingKind.CAMPAIGN_ID],
        campaign_names=[value for kind, value in campaigns if kind == MappingKind.CAMPAIGN_NAME],
        campaigns=list(dict.fromkeys(value for _, value in campaigns)),
    )


def count_by_brand(instance: AMCInstance) -> list[BrandCounts]:
    """Count the mappings of every brand, in alphabetical order. Three queries."""
    mappings = mappings_of(instance)
    counts: Counter[tuple[int, str]] = Counter()
    for brand_id, count in mappings.asins.order_by().values_list("brand").annotate(count=Count("pk")):
        counts[brand_id, MappingKind.ASIN] = count
    rows = mappings.campaigns.order_by().values_list("brand", "kind").annotate(count=Count("pk"))
    for brand_id, kind, count in rows:
        counts[brand_id, kind] = count
    brands = sorted(InstanceBrand.objects.filter(instance=instance), key=lambda brand: brand.folded)
    return [BrandCounts(brand, {kind: counts[brand.pk, kind] for kind in MappingKind.values}) for brand in brands]


def export_rows(instance: AMCInstance, brand: InstanceBrand | None = None) -> Iterator[str]:
    """Return a CSV file in pieces of many lines; `parse_file` reads it back as it was, and no cell is a formula.

    IDs of campaigns are plain digits, which other programs read; a spreadsheet has to be told that they are text.
    """
    lines = _export_lines(mappings_of(instance, brand))
    while piece := "".join(islice(lines, LINES_AT_ONCE)):
        yield piece


def _export_lines(mappings: Mappings) -> Iterator[str]:
    yield _csv_line(_EXPORT_COLUMNS)
    # One statement each: rows of one moment, whatever changes while a reader takes its time.
    for name, asin in mappings.asins.values_list("brand__name", "asin").iterator():
        yield _csv_line([guard(name), guard(asin), "", ""])
    for name, kind, value in mappings.campaigns.values_list("brand__name", "kind", "value").iterator():
        cells = (value, "") if kind == MappingKind.CAMPAIGN_ID else ("", guard(value))
        yield _csv_line([guard(name), "", *cells])


def _logged(instance: AMCInstance, actor: User | None, changes: Changes) -> Changes:
    logger.info(
        "mappings changed instance=%s actor=%s added=%s removed=%s",
        instance.pk, pk_of(actor), changes.added, changes.removed,
    )  # fmt: skip
    return changes


def _csv_line(cells: Iterable[str]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()


def _unique(entries: Iterable[Entry]) -> dict[Entry, None]:
    """Return every entry once, in order; of two spellings the first."""
    first: dict[tuple[int, MappingKind, str], Entry] = {}
    for entry in entries:
        first.setdefault(entry.folded, entry)
    return dict.fromkeys(first.values())


def _refuse_other_brands(instance: AMCInstance, entries: Iterable[Entry]) -> None:
    """Make sure that the instance has the brands; none goes while the mappings are changing."""
    brands = set(InstanceBrand.objects.filter(instance=instance).values_list("pk", flat=True))
    if not {entry.brand_id for entry in entries} <= brands:
        raise InvalidStateError(BRAND_GONE)


def _stored(instance: AMCInstance) -> Iterator[tuple[int, Entry]]:
    mappings = mappings_of(instance)
    for pk, brand_id, asin in mappings.asins.values_list("pk", "brand_id", "asin"):
        yield pk, Entry(brand_id, MappingKind.ASIN, asin)
    for pk, brand_id, kind, value in mappings.campaigns.values_list("pk", "brand_id", "kind", "value"):
        yield pk, Entry(brand_id, MappingKind(kind), value)


def _fingerprint(entries: Iterable[Entry]) -> str:
    lines = sorted(f"{entry.brand_id} {entry.kind} {entry.value}" for entry in entries)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]


def _add(change: ChangeClaim, entries: Iterable[Entry]) -> None:
    asins, campaigns = [], []
    for entry in entries:
        if entry.kind == MappingKind.ASIN:
            asins.append(BrandASIN(brand_id=entry.brand_id, asin=entry.value))
        else:
            folded = fold_campaign(entry.value)
            campaigns.append(
                BrandCampaign(brand_id=entry.brand_id, kind=entry.kind, value=entry.value, folded=folded)
            )
    change.add(asins)
    change.add(campaigns)
