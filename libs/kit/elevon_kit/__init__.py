"""From a servicer to a process: settings, logs, telemetry, gRPC, HTTP, database, blobs."""
