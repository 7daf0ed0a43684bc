"""Without authentication, clients are told so."""

from __future__ import annotations

import grpc
from flyteidl.service import auth_pb2, auth_pb2_grpc, identity_pb2, identity_pb2_grpc

from tests.integration.admin_executions.harness import Admin
from tests.integration.admin_registry.harness import refused

OFF = grpc.StatusCode.UNIMPLEMENTED


async def test_identity_and_metadata_are_not_available(admin: Admin) -> None:
    words = "authentication is off"
    async with grpc.aio.insecure_channel(admin.app.grpc_address) as channel:
        identity = identity_pb2_grpc.IdentityServiceStub(channel)
        await refused(identity.UserInfo(identity_pb2.UserInfoRequest()), OFF, words)
        metadata = auth_pb2_grpc.AuthMetadataServiceStub(channel)
        await refused(metadata.GetOAuth2Metadata(auth_pb2.OAuth2MetadataRequest()), OFF, words)
        await refused(metadata.GetPublicClientConfig(auth_pb2.PublicClientAuthConfigRequest()), OFF, words)
