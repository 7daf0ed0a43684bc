"""What the catalog counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from elevon_idl.catalog import v1 as catalog
from elevon_kit import telemetry

from elevon_catalog.domain.records import StoredEntry

HIT = "hit"
MISS = "miss"


class Measurements:
    """Counters of look-ups and stored entries by outcome; make one after telemetry is configured."""

    def __init__(self) -> None:
        meter = telemetry.meter()
        self._lookups = meter.create_counter("elevon.catalog.lookups", "1", "Look-ups by tag, by outcome")
        self._stores = meter.create_counter("elevon.catalog.stores", "1", "Entries to store, by outcome")

    def hit(self) -> None:
        """Count a look-up that found something."""
        self._lookups.add(1, {"outcome": HIT})

    def missed(self) -> None:
        """Count a look-up that found nothing."""
        self._lookups.add(1, {"outcome": MISS})

    def looked_up(self, results: Sequence[catalog.LookupResult]) -> None:
        """Count a batch of look-ups; those that were put off are not counted."""
        for absence, count in Counter(result.absence for result in results).items():
            if absence != catalog.LookupResult.ABSENCE_DEFERRED:
                outcome = MISS if absence else HIT
                self._lookups.add(count, {"outcome": outcome})

    def stored(self, entries: Sequence[StoredEntry]) -> None:
        """Count a batch of entries to store."""
        for outcome, count in Counter(entry.outcome for entry in entries).items():
            name = catalog.StoreResult.Outcome.Name(catalog.StoreResult.Outcome.ValueType(outcome))
            self._stores.add(count, {"outcome": name.removeprefix("OUTCOME_").lower()})
