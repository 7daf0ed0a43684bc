"""What an event of a node or of a task attempt brings along: inputs, and outputs or an error."""

from __future__ import annotations

from elevon_idl.event import v1 as event

from elevon_admin.domain.records import EventData, NodeRecord, StoredLiterals, TaskRecord

_Record = NodeRecord | TaskRecord
_Event = event.NodeExecutionEvent | event.TaskExecutionEvent


def take_result(record: _Record, reported: _Event, data: EventData) -> None:
    """Keep the outputs or the error that the event brings."""
    result = reported.WhichOneof("output_result")
    if result == "error":
        record.closure.error.CopyFrom(reported.error)
    elif result == "output_uri":
        record.outputs = StoredLiterals(uri=reported.output_uri)
        record.closure.output_uri = reported.output_uri
    elif result == "output_data" and data.outputs is not None:
        record.outputs = data.outputs
        if data.outputs.data is None:
            record.closure.output_uri = data.outputs.uri


def take_inputs(record: _Record, reported: _Event, data: EventData) -> None:
    """Keep the inputs that the event brings; the first ones count."""
    if record.input_uri or record.has_inputs:
        return
    if reported.input_uri:
        record.input_uri = reported.input_uri
    elif data.inputs is not None and data.inputs.data is not None:
        record.inputs = data.inputs.data
        record.has_inputs = True
    elif data.inputs is not None:
        record.input_uri = data.inputs.uri
