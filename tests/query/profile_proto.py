"""pprof's published messages (github.com/google/pprof, proto/profile.proto), for protobuf to read.

Fields by their published number, name and type; message types are written in capitals first.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_MESSAGES = {
    "ValueType": {1: "type int64", 2: "unit int64"},
    "Label": {1: "key int64", 2: "str int64", 3: "num int64", 4: "num_unit int64"},
    "Sample": {1: "location_id *uint64", 2: "value *int64", 3: "label *Label"},
    "Mapping": {
        1: "id uint64",
        2: "memory_start uint64",
        3: "memory_limit uint64",
        4: "file_offset uint64",
        5: "filename int64",
    },
    "Line": {1: "function_id uint64", 2: "line int64"},
    "Location": {1: "id uint64", 2: "mapping_id uint64", 3: "address uint64", 4: "line *Line"},
    "Function": {1: "id uint64", 2: "name int64", 3: "system_name int64", 4: "filename int64"},
    "Profile": {
        1: "sample_type *ValueType",
        2: "sample *Sample",
        3: "mapping *Mapping",
        4: "location *Location",
        5: "function *Function",
        6: "string_table *string",
        9: "time_nanos int64",
        7: "drop_frames int64",
        8: "keep_frames int64",
        10: "duration_nanos int64",
        11: "period_type ValueType",
        12: "period int64",
        13: "comment *int64",
        14: "default_sample_type int64",
    },
}


def profile() -> Any:
    """Return an empty Profile."""
    file = descriptor_pb2.FileDescriptorProto(
        name="profile.proto", package="perftools.profiles", syntax="proto3"
    )
    kinds = descriptor_pb2.FieldDescriptorProto
    for message, fields in _MESSAGES.items():
        described = file.message_type.add(name=message)
        for number, text in fields.items():
            name, kind = text.split()
            repeated, kind = kind.startswith("*"), kind.lstrip("*")
            field = described.field.add(name=name, number=number)
            field.label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
            if kind[0].isupper():
                field.type, field.type_name = kinds.TYPE_MESSAGE, f".perftools.profiles.{kind}"
            else:
                field.type = kinds.Type.Value(f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = pool.FindMessageTypeByName("perftools.profiles.Profile")
    return message_factory.GetMessageClass(found)()
