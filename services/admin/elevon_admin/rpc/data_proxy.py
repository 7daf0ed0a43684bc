"""DataProxyService."""

from __future__ import annotations

from elevon_idl.admin import v1 as admin
from elevon_idl.admin.v1 import data_proxy_service_pb2

from elevon_admin.usecases.data_proxy import DataProxy

DATA_PROXY_SERVICE = data_proxy_service_pb2.DESCRIPTOR.services_by_name["DataProxyService"].full_name


class DataProxyServicer:
    """Decodes, calls, encodes."""

    def __init__(self, data_proxy: DataProxy) -> None:
        self._data_proxy = data_proxy

    async def CreateUploadLocation(
        self, request: admin.CreateUploadLocationRequest, context: object
    ) -> admin.CreateUploadLocationResponse:
        """Answer a URL to upload a file to."""
        return await self._data_proxy.upload_location(request)

    async def CreateDownloadLocation(
        self, request: admin.CreateDownloadLocationRequest, context: object
    ) -> admin.CreateDownloadLocationResponse:
        """Answer a URL to download an object from."""
        return await self._data_proxy.download_location(request)

    async def CreateDownloadLink(
        self, request: admin.CreateDownloadLinkRequest, context: object
    ) -> admin.CreateDownloadLinkResponse:
        """Answer a URL to download a deck from."""
        return await self._data_proxy.download_link(request)

    async def GetData(self, request: admin.GetDataRequest, context: object) -> admin.GetDataResponse:
        """Answer what a flyte:// URL names."""
        return await self._data_proxy.get(request)
