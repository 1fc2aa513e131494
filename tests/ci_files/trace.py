"""Reads a trace as a collector of OpenTelemetry does: by the classes that are made of the definition of OTLP. Ends with an error if it is none."""

import base64
import json
import sys

from google.protobuf.json_format import Parse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

IDS = {"traceId", "spanId", "parentSpanId"}


def coded(value):
    """OTLP has ids in hexadecimal where the JSON of protobuf has Base64."""
    if isinstance(value, dict):
        return {
            key: base64.b64encode(bytes.fromhex(one)).decode() if key in IDS else coded(one)
            for key, one in value.items()
        }
    return [coded(one) for one in value] if isinstance(value, list) else value


with open(sys.argv[1]) as file:
    request = Parse(json.dumps(coded(json.load(file))), ExportTraceServiceRequest())
[resource] = request.resource_spans
names = {one.key: one.value.string_value for one in resource.resource.attributes}
assert names["service.name"] == "firedrill", names
[scope] = resource.scope_spans
spans = {span.span_id: span for span in scope.spans}
assert len(spans) == len(scope.spans) > 5, len(spans)
roots = [span for span in scope.spans if not span.parent_span_id]
assert len(roots) == 1 and roots[0].status.code == 2, roots
for span in scope.spans:
    assert len(span.trace_id) == 16 and len(span.span_id) == 8, span
    assert span.trace_id == roots[0].trace_id and span.kind == 1, span
    assert 1_600_000_000_000_000_000 < span.start_time_unix_nano <= span.end_time_unix_nano, span
    assert not span.parent_span_id or span.parent_span_id in spans, span
print(f"a trace of {len(spans)} spans is as OpenTelemetry defines it")
