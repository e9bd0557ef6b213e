"""Write a request with one CPU sample in the layout of the installed opentelemetry-proto."""

import sys

from opentelemetry.proto.collector.profiles.v1development.profiles_service_pb2 import (
    ExportProfilesServiceRequest,
)

START = 1795870000 * 10**9
TEXTS = ["", "samples", "count", "cpu", "nanoseconds", "main", "process.pid"]


def request(host: str) -> ExportProfilesServiceRequest:
    made = ExportProfilesServiceRequest()
    known = made.dictionary
    known.string_table.extend(TEXTS)
    for table in (known.mapping_table, known.location_table, known.function_table):
        table.add()
    known.function_table.add(name_strindex=TEXTS.index("main"))
    location = known.location_table.add()
    lines = location.lines if hasattr(location, "lines") else location.line
    lines.add(function_index=1)
    known.attribute_table.add()
    attribute = known.attribute_table.add()
    if hasattr(attribute, "key_strindex"):
        attribute.key_strindex = TEXTS.index("process.pid")
    else:
        attribute.key = "process.pid"
    attribute.value.int_value = 7
    resource = made.resource_profiles.add()
    named = resource.resource.attributes.add(key="host.name")
    named.value.string_value = host
    profile = resource.scope_profiles.add().profiles.add(period=10**7)
    profile.period_type.type_strindex, profile.period_type.unit_strindex = 3, 4
    if hasattr(profile, "samples"):
        known.stack_table.add()
        known.stack_table.add(location_indices=[1])
        profile.sample_type.type_strindex, profile.sample_type.unit_strindex = 1, 2
        profile.time_unix_nano = START
        profile.samples.add(stack_index=1, values=[5], attribute_indices=[1])
    else:
        profile.sample_type.add(type_strindex=1, unit_strindex=2)
        profile.location_indices.append(1)
        profile.time_nanos = START
        profile.sample.add(locations_length=1, value=[5], attribute_indices=[1])
    return made


if __name__ == "__main__":
    sys.stdout.buffer.write(request(sys.argv[1]).SerializeToString())
