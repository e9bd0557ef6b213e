"""The parts of a `multipart/form-data` body, by their names."""

from email.message import Message

from kscope.server.http.problems import HttpProblem

_MOST_PARTS = 20
_LONGEST_BOUNDARY = 200
_HEAD = 4096


def parts(content_type: str, body: bytes | bytearray) -> dict[str, bytes]:
    """Return the content of each part. Raises HttpProblem.

    A name that comes twice has its last content.
    """
    boundary = _parameter(content_type, "content-type", "boundary")
    if not boundary or len(boundary) > _LONGEST_BOUNDARY or not boundary.isascii():
        raise HttpProblem(400, "the Content-Type names no boundary between the parts")
    mark = b"--" + boundary.encode()
    pieces = (b"\r\n" + body).split(b"\r\n" + mark, _MOST_PARTS + 1)
    if len(pieces) < 3 or len(pieces) > _MOST_PARTS + 1:
        raise HttpProblem(400, f"the body is not 1 to {_MOST_PARTS} parts between boundaries")
    if not pieces[-1].startswith(b"--"):
        raise HttpProblem(400, "the body is cut off: its last boundary is missing")
    return dict(map(_part, pieces[1:-1]))


def _part(piece: bytes | bytearray) -> tuple[str, bytes]:
    end = piece.find(b"\r\n\r\n", 0, _HEAD)
    if end < 0:
        raise HttpProblem(400, "a part has no end of its headers")
    head, content = piece[:end], piece[end + 4 :]
    for line in head.split(b"\r\n"):
        name, _, value = line.decode("latin-1").partition(":")
        if name.strip().lower() == "content-disposition":
            return _parameter(value.strip(), "content-disposition", "name"), bytes(content)
    raise HttpProblem(400, "a part has no Content-Disposition with its name")


def _parameter(header: str, name: str, parameter: str) -> str:
    message = Message()
    message[name] = " ".join(header[:_HEAD].split())
    found = message.get_param(parameter, "", name)
    return found if isinstance(found, str) else ""
