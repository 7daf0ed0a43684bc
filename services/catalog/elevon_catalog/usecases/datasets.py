"""Create, read and list datasets."""

from __future__ import annotations

import uuid

from elevon_core.errors import InvalidArgument
from elevon_idl.catalog import v1 as catalog

from elevon_catalog.domain import filters, validation
from elevon_catalog.domain.documents import dataset_message
from elevon_catalog.domain.failures import missing_dataset
from elevon_catalog.domain.names import DatasetKey
from elevon_catalog.domain.records import DatasetRecord
from elevon_catalog.ports import CatalogStore, Clock


class Datasets:
    """What can be done with datasets."""

    def __init__(self, store: CatalogStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def create(self, request: catalog.CreateDatasetRequest) -> None:
        """Create a dataset; raises AlreadyExists."""
        await self._store.create_dataset(
            new_dataset(request.dataset, self._clock(), present=request.HasField("dataset"))
        )

    async def read(self, request: catalog.GetDatasetRequest) -> catalog.Dataset:
        """Read a dataset; raises NotFound."""
        key = validation.dataset_key(request.dataset, request.HasField("dataset"))
        record = await find_dataset(self._store, key)
        wanted = request.dataset.UUID
        if wanted and wanted.lower() != record.uuid:
            raise missing_dataset(key, wanted)
        return dataset_message(record)

    async def list(self, request: catalog.ListDatasetsRequest) -> catalog.ListDatasetsResponse:
        """Read one page of datasets."""
        conditions = filters.dataset_filters(request.filter)
        page = filters.page(request.pagination, request.HasField("pagination"))
        found = await self._store.list_datasets(conditions, page)
        return catalog.ListDatasetsResponse(
            datasets=[dataset_message(record) for record in found], next_token=page.next_token(len(found))
        )


async def find_dataset(store: CatalogStore, key: DatasetKey) -> DatasetRecord:
    """Read a dataset; raises NotFound."""
    found = await store.find_datasets([key])
    if key not in found:
        raise missing_dataset(key)
    return found[key]


def new_dataset(dataset: catalog.Dataset, now: int, present: bool = True, prefix: str = "") -> DatasetRecord:
    """A dataset as it is asked for, with a UUID; raises InvalidArgument that names all that is wrong."""
    problems: list[InvalidArgument] = []
    key = DatasetKey("", "", "", "")
    partition_keys: tuple[str, ...] = ()
    try:
        key = validation.dataset_key(dataset.id, present and dataset.HasField("id"), prefix)
    except InvalidArgument as problem:
        problems.append(problem)
    try:
        partition_keys = validation.partition_keys(dataset.partitionKeys)
    except InvalidArgument as problem:
        problems.append(problem)
    if problems:
        raise InvalidArgument(", ".join(problem.message for problem in problems))
    return DatasetRecord(
        key=key,
        uuid=validation.dataset_uuid(dataset.id.UUID) or str(uuid.uuid4()),
        metadata=dataset.metadata.SerializeToString(),
        partition_keys=partition_keys,
        created_at=now,
    )
