"""Generated; see scripts/generate_stubs.py."""

from .external_plugin_service_pb2 import PENDING as PENDING, PERMANENT_FAILURE as PERMANENT_FAILURE, RETRYABLE_FAILURE as RETRYABLE_FAILURE, RUNNING as RUNNING, SUCCEEDED as SUCCEEDED, State as State, TaskCreateRequest as TaskCreateRequest, TaskCreateResponse as TaskCreateResponse, TaskDeleteRequest as TaskDeleteRequest, TaskDeleteResponse as TaskDeleteResponse, TaskGetRequest as TaskGetRequest, TaskGetResponse as TaskGetResponse
