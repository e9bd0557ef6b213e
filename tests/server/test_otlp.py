"""OTLP profiles: what senders of today's layout push becomes rows; older layouts are refused."""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.profiles.v1development import profiles_service_pb2 as service
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.profiles.v1development import profiles_pb2
from opentelemetry.proto.resource.v1 import resource_pb2

from kscope.profiles.wire import fields, written
from kscope.server.receive.otlp_messages import FIELDS, Kind
from tests.days import NOON_SECONDS
from tests.receiving import counted, receiving, rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.serving import Serving

PATH = "/v1development/profiles"
START = NOON_SECONDS
SECOND = 10**9
PROTO, JSON = "application/x-protobuf", "application/json"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    receive = "{otlp: {hostname: no-name}, pyroscope: }"
    with receiving(tmp_path_factory.mktemp("served"), receive=receive) as running:
        yield running


@dataclass
class Making:
    """A request under way, made with OpenTelemetry's own messages."""

    request: Any = field(default_factory=service.ExportProfilesServiceRequest)

    def __post_init__(self) -> None:
        known = self.request.dictionary
        known.string_table.append("")
        for table in ("mapping", "location", "function", "link", "attribute", "stack"):
            getattr(known, f"{table}_table").add()

    def text(self, text: str) -> int:
        table = self.request.dictionary.string_table
        if text not in table:
            table.append(text)
        return list(table).index(text)

    def attribute(self, key: str, value: str | int) -> int:
        table = self.request.dictionary.attribute_table
        added = table.add(key_strindex=self.text(key))
        if isinstance(value, int):
            added.value.int_value = value
        else:
            added.value.string_value = value
        return len(table) - 1

    def location(self, *names: str, file: str = "", build: str = "", **more: Any) -> int:
        """Several names are inlined functions, the innermost first."""
        known = self.request.dictionary
        kind = more.pop("kind", "native")
        added = known.location_table.add(
            attribute_indices=[self.attribute("profile.frame.type", kind)], **more
        )
        if file:
            mapping = known.mapping_table.add(filename_strindex=self.text(file))
            if build:
                key = "process.executable.build_id.gnu"
                mapping.attribute_indices.append(self.attribute(key, build))
            added.mapping_index = len(known.mapping_table) - 1
        for name in names:
            known.function_table.add(name_strindex=self.text(name))
            added.lines.add(function_index=len(known.function_table) - 1)
        return len(known.location_table) - 1

    def stack(self, *leaf_first: int) -> int:
        known = self.request.dictionary
        known.stack_table.add(location_indices=leaf_first)
        return len(known.stack_table) - 1

    def profile(
        self,
        host: str,
        kind: tuple[str, str] = ("samples", "count"),
        period: tuple[str, str] = ("cpu", "nanoseconds"),
    ) -> Any:
        """Add a profile in a separate resource, 20 samples a second."""
        resource = self.request.resource_profiles.add()
        if host:
            added = resource.resource.attributes.add(key="host.name")
            added.value.string_value = host
        profile = resource.scope_profiles.add().profiles.add(
            time_unix_nano=START * SECOND, duration_nano=5 * SECOND, period=SECOND // 20
        )
        for message, names in ((profile.sample_type, kind), (profile.period_type, period)):
            message.type_strindex, message.unit_strindex = map(self.text, names)
        return profile

    @property
    def content(self) -> bytes:
        return bytes(self.request.SerializeToString())


def simple(host: str, **more: Any) -> Making:
    made = Making()
    stack = made.stack(made.location("work"), made.location("main"))
    profile = made.profile(host, **more)
    profile.samples.add(stack_index=stack, values=[7])
    return made


def send(server: Serving, body: bytes, kind: str = PROTO, **headers: str) -> httpx.Response:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.client.post(
        f"{server.ingest}{PATH}", content=body, headers={"Content-Type": kind, **sent}
    )


def refused(server: Serving, body: bytes, status: int = 400, **headers: str) -> str:
    """Return the message of a refused request."""
    answer = send(server, body, **headers)
    assert answer.status_code == status, answer.text
    # A google.rpc.Status: 1 code, 2 message.
    found = {number: (start, end) for number, _, start, end in fields(answer.content)}
    assert found[1][0]
    return answer.content[slice(*found[2])].decode()


def test_the_layout_is_that_of_the_published_messages() -> None:
    """Each field that is read has the name, the number and the kind of opentelemetry-proto."""
    kinds = {1: Kind.DOUBLE, 3: Kind.SIGNED, 4: Kind.NUMBER, 5: Kind.NUMBER, 6: Kind.FIXED,
             8: Kind.NUMBER, 9: Kind.TEXT, 11: Kind.MESSAGE, 12: Kind.ID}  # fmt: skip
    listed = {Kind.NUMBER: Kind.NUMBERS, Kind.SIGNED: Kind.SIGNEDS, Kind.FIXED: Kind.FIXEDS,
              Kind.TEXT: Kind.TEXTS, Kind.MESSAGE: Kind.MESSAGES}  # fmt: skip
    others = {"Request": service.ExportProfilesServiceRequest, "Mapping_": profiles_pb2.Mapping,
              "Dictionary": profiles_pb2.ProfilesDictionary, "Resource": resource_pb2.Resource,
              "Attribute": profiles_pb2.KeyValueAndUnit}  # fmt: skip
    for message, known in FIELDS.items():
        name = message.__name__
        places = (profiles_pb2, common_pb2)
        published = others.get(name) or next(
            getattr(place, name) for place in places if hasattr(place, name)
        )
        for number, own in known.items():
            theirs = published.DESCRIPTOR.fields_by_number[number]
            kind = kinds[theirs.type]
            expected = (theirs.name, listed[kind] if theirs.is_repeated else kind)
            assert (own.name, own.kind) == expected


def test_samples_become_rows(server: Serving) -> None:
    """A row for each timestamp, or one of the profile's end; attributes fill columns."""
    made = Making()
    stack = made.stack(made.location("inlined", "work"), made.location("main"))
    profile = made.profile("web-1")
    own = [
        made.attribute("process.pid", 41),
        made.attribute("thread.id", 42),
        made.attribute("thread.name", "worker"),
    ]
    exe = made.attribute("process.executable.name", "shop")
    times = [(START + second) * SECOND for second in (1, 2)]
    profile.samples.add(
        stack_index=stack, attribute_indices=[*own, exe], timestamps_unix_nano=times
    )
    profile.samples.add(stack_index=stack, attribute_indices=own, values=[4])
    profile.samples.add(
        stack_index=stack, attribute_indices=own, values=[3], timestamps_unix_nano=times[:1]
    )
    assert send(server, made.content).content == b""
    found = rows(server, "profile", hostname="web-1")
    assert {(row["pid"], row["tid"], row["stack"]) for row in found} == {
        (41, 42, "main;work;inlined")
    }
    assert sorted(
        (r["time"] // 10**6, r["process"], r["samples"], r["elapsed"]) for r in found
    ) == [
        (START + 1, "shop", 1, 50_000),
        (START + 1, "worker", 3, 150_000),
        (START + 2, "shop", 1, 50_000),
        (START + 5, "worker", 4, 200_000),
    ]


@pytest.mark.parametrize("packed", [bytes, gzip.compress])
def test_json_is_the_same_as_protobuf(server: Serving, packed: Any) -> None:
    """An id of a profile, written in either way, stores it once; unknown fields are skipped."""
    host = f"both {packed.__name__}"
    made = simple(host)
    profile = made.request.resource_profiles[0].scope_profiles[0].profiles[0]
    profile.profile_id = host.encode().ljust(16)[:16]
    headers = {"content_encoding": "gzip"} if packed is gzip.compress else {}
    assert send(server, packed(made.content), **headers).content == b""
    document = json.loads(json_format.MessageToJson(made.request))
    document["later"] = {"than": [{"this": None}]}
    inner = document["resourceProfiles"][0]["scopeProfiles"][0]["profiles"][0]
    assert inner["profileId"] == base64.b64encode(profile.profile_id).decode()
    for written_id in (inner["profileId"], profile.profile_id.hex()):
        inner["profileId"] = written_id
        answer = send(server, packed(json.dumps(document).encode()), JSON, **headers)
        assert (answer.status_code, answer.json()) == (200, {})
    assert len(rows(server, "profile", hostname=host)) == 1
    inner["profileId"] = "00" * 16
    assert send(server, packed(json.dumps(document).encode()), JSON, **headers).status_code == 200
    assert len(rows(server, "profile", hostname=host)) == 2


def test_the_same_bytes_count_once(server: Serving) -> None:
    """A profile without an id is known by its content if it has a time."""
    made = simple("content")
    for _ in range(2):
        assert send(server, made.content).status_code == 200
    assert len(rows(server, "profile", hostname="content")) == 1


def test_frames_have_their_marks(server: Serving) -> None:
    """Of the kernel, of libraries, and of functions without a name, whose build id stays."""
    made = Making()
    stack = made.stack(
        made.location("vfs_read", kind="kernel"),
        made.location(file="/boot/vmlinux", address=0x10, kind="kernel"),
        made.location("read", file="/lib/libc.so.6"),
        made.location(file="/lib/libx.so.1", address=0x1A30, build="AB12"),
        made.location(file="/usr/bin/shop", address=0x401000),
        made.location("handle;it", kind="cpython"),
        made.location(),
    )
    profile = made.profile("frames")
    profile.samples.add(stack_index=stack, values=[1])
    profile.samples.add(values=[2])
    assert send(server, made.content).status_code == 200
    nothing, stacked = rows(server, "profile", hostname="frames")
    assert nothing["stack"] == "[unknown]"
    assert stacked["stack"].split(";") == [
        "[unknown]",
        "handle:it",
        "shop+0x401000",
        "libx.so.1+0x1a30",
        "read [libc.so.6]",
        "vmlinux+0x10_[k]",
        "vfs_read_[k]",
    ]


def test_off_cpu_time_is_a_category_too(server: Serving) -> None:
    """As the eBPF profiler sends it: the event's length in nanoseconds."""
    made = Making()
    stack = made.stack(made.location("schedule", kind="kernel"))
    profile = made.profile("off", ("events", "nanoseconds"), ("", ""))
    times = [(START + 1) * SECOND, (START + 2) * SECOND]
    profile.samples.add(
        stack_index=stack, values=[5_000_000, 7_000_000], timestamps_unix_nano=times
    )
    assert send(server, made.content).content == b""
    found = rows(server, "offcputime", hostname="off")
    assert [(row["elapsed"], row["count"]) for row in found] == [(5000, 1), (7000, 1)]


def test_attributes_of_all_around_fill_columns(server: Serving) -> None:
    """Those of the resource and the scope too, also if their texts are in the dictionary."""
    made = simple("")
    resource = made.request.resource_profiles[0]
    host = resource.resource.attributes.add(key_strindex=made.text("host.name"))
    host.value.string_value_strindex = made.text("by-index")
    name = resource.resource.attributes.add(key="service.name")
    name.value.string_value = "shop"
    pid = resource.scope_profiles[0].scope.attributes.add(key="process.pid")
    pid.value.int_value = 77
    profile = resource.scope_profiles[0].profiles[0]
    profile.attribute_indices.append(made.attribute("thread.id", "78"))
    assert send(server, made.content).status_code == 200
    (row,) = rows(server, "profile", hostname="by-index")
    assert (row["process"], row["pid"], row["tid"]) == ("shop", 77, 78)


def test_a_host_without_a_name_is_that_of_the_settings(server: Serving) -> None:
    made = simple("")
    assert send(server, made.content).status_code == 200
    assert len(rows(server, "profile", hostname="no-name")) == 1


def test_types_that_no_category_takes_are_a_partial_success(server: Serving) -> None:
    """Their number and the way to declare one, in the request's type; the others are stored."""
    made = simple("partial")
    wall = made.profile("partial", ("wall", "nanoseconds"))
    wall.samples.add(stack_index=1, values=[9])
    other_period = made.profile("partial", period=("wall", "nanoseconds"))
    other_period.samples.add(stack_index=1, values=[9])
    before = counted(server, "profiles_refused_total", protocol="otlp", reason="no category")
    answer = service.ExportProfilesServiceResponse.FromString(send(server, made.content).content)
    assert answer.partial_success.rejected_profiles == 2
    assert (
        "no category takes samples/count, wall/nanoseconds" in answer.partial_success.error_message
    )
    assert len(rows(server, "profile", hostname="partial")) == 1
    after = counted(server, "profiles_refused_total", protocol="otlp", reason="no category")
    assert after == before + 2
    text = json_format.MessageToJson(made.request).encode()
    said = send(server, text, JSON).json()["partialSuccess"]
    assert said["rejectedProfiles"] == "2"
    assert "receive: {otlp: {types: {samples/count: COLUMN}}}" in said["errorMessage"]


def old_request(sample: bytes) -> bytes:
    """Return a request with one sample in the layout of another release."""
    made = simple("old")
    profile = made.request.resource_profiles[0].scope_profiles[0].profiles[0]
    del profile.samples[:]
    profile_bytes = profile.SerializeToString() + written(2, sample)
    scope = written(2, profile_bytes)
    return written(1, written(2, scope)) + written(2, made.request.dictionary.SerializeToString())


def test_older_layouts_are_refused(server: Serving) -> None:
    """They would be read without an error, as other numbers: with the reason, and counted."""
    stack, packed = written(1, 1), bytes([1])
    for sample in (
        # 1.40 to 1.42: 2 values, 3 attributes, 4 link.
        stack + written(2, packed) + written(3, packed),
        stack + written(2, packed),
        stack + written(2, packed) + written(4, 1),
        # 1.39 and before: a start and a length of locations.
        written(1, 0) + written(2, 2) + written(3, packed),
    ):
        said = refused(server, old_request(sample))
        assert "opentelemetry-proto 1.43 to 1.45" in said
        assert "update the sender" in said
    made = simple("old")
    document = json.loads(json_format.MessageToJson(made.request))
    inner = document["resourceProfiles"][0]["scopeProfiles"][0]["profiles"][0]
    for change in (
        {"sample": inner["samples"]},
        {"sampleType": [inner["sampleType"]]},
        {"locationTable": []},
    ):
        other = json.loads(json.dumps(document))
        other["resourceProfiles"][0]["scopeProfiles"][0]["profiles"][0] |= change
        answer = send(server, json.dumps(other).encode(), JSON)
        assert answer.status_code == 400
        assert "opentelemetry-proto 1.43 to 1.45" in answer.json()["message"]
    assert rows(server, "profile", hostname="old") == []
    assert counted(server, "profiles_refused_total", protocol="otlp", reason="old layout") == 7


def test_each_reference_is_checked(server: Serving) -> None:
    """Of samples, stacks, locations, lines, names and attributes."""

    def sample(made: Making) -> Any:
        return made.request.resource_profiles[0].scope_profiles[0].profiles[0].samples[0]

    def change(made: Making, table: str, **values: Any) -> None:
        entry = getattr(made.request.dictionary, table)[1]
        for name, value in values.items():
            if isinstance(value, list):
                del getattr(entry, name)[:]
                getattr(entry, name).extend(value)
            else:
                setattr(entry, name, value)

    changes = (
        (lambda made: setattr(sample(made), "stack_index", 99), "entry 99 of stack_table"),
        (lambda made: setattr(sample(made), "link_index", 9), "entry 9 of link_table"),
        (lambda made: sample(made).attribute_indices.append(98), "entry 98 of attribute_table"),
        (
            lambda made: change(made, "stack_table", location_indices=[97]),
            "entry 97 of location_table",
        ),
        (
            lambda made: change(made, "location_table", mapping_index=96),
            "entry 96 of mapping_table",
        ),
        (lambda made: change(made, "function_table", name_strindex=95), "entry 95 of string_table"),
        (
            lambda made: setattr(
                made.request.dictionary.location_table[1].lines[0], "function_index", 94
            ),
            "entry 94 of function_table",
        ),
        (lambda made: sample(made).values.append(3), "2 values without timestamps"),
        (
            lambda made: sample(made).timestamps_unix_nano.extend([1, 2]),
            "1 values and 2 timestamps",
        ),
        (lambda made: made.request.dictionary.ClearField("string_table"), "of string_table"),
    )
    for alter, why in changes:
        made = simple("references")
        alter(made)
        assert why in refused(server, made.content)
    document = json_format.MessageToJson(simple("references").request)
    answer = send(server, document.replace('"stackIndex": 1', '"stackIndex": -1').encode(), JSON)
    assert answer.status_code == 400
    assert "entry -1 of stack_table" in answer.json()["message"]
    assert rows(server, "profile", hostname="references") == []


def test_versions_and_types_of_content(server: Serving) -> None:
    """A development version that is not known is refused before the body is read."""
    good = simple("versions").content
    name = "OTLP-Profiles-Development-Version"
    assert send(server, good, **{name: "1"}).status_code == 200
    for version in ("2", "x", ""):
        assert "only version 1" in refused(server, good, **{name: version})
    both = [("Content-Type", PROTO), (name, "1"), (name, "1")]
    answer = server.client.post(f"{server.ingest}{PATH}", content=good, headers=both)
    assert answer.status_code == 400
    answer = send(server, good, "text/plain")
    assert (answer.status_code, answer.json()["code"]) == (415, 12)
    assert "is not gzip" in refused(server, good, content_encoding="gzip")
    assert refused(server, good, 415, content_encoding="br")


def test_damage_is_answered_in_the_type_of_the_request(server: Serving) -> None:
    assert "not an ExportProfilesServiceRequest: at byte" in refused(server, b"\x0a\xff\xff")
    snake_case = json_format.MessageToJson(
        simple("snake").request, preserving_proto_field_name=True
    ).encode()
    for body in (snake_case, b"{", b"[]", b"\xff", b"[" * 100_000, b'{"resourceProfiles": 5}'):
        answer = send(server, body, JSON)
        assert answer.status_code == 400
        assert answer.json()["code"] == 3
    assert send(server, b"").content == b""


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_any_body_is_stored_or_refused(server: Serving, data: st.DataObject) -> None:
    """Whichever bytes are changed, no answer is an internal error."""
    for kind in (PROTO, JSON):
        made = simple("fuzz")
        text = json_format.MessageToJson(made.request, indent=None).encode()
        content = bytearray(made.content if kind == PROTO else text)
        for _ in range(data.draw(st.integers(1, 5))):
            at = data.draw(st.integers(0, len(content)))
            content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=5))
        assert send(server, bytes(content), kind).status_code in (200, 400)
