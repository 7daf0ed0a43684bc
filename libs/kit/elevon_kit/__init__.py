"""From a servicer to a process: settings, logs, telemetry, gRPC, HTTP, database, blobs."""

import os

# Programs are started with fork and exec, and nothing calls gRPC in between. Its own handlers for forks do more harm
# than good there: they touch what exec is about to close, and a child may be aborted before it becomes its program.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
