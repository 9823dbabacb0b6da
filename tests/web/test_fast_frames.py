"""Whatever frames a client sends, both ways answer it with the same PONGs and the same close frame."""

import itertools
import socket
import struct
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Close, Opcode

from tests.servers import Server
from tests.web.both_ways import both_ways

WAITING_SERVER = Path(__file__).with_name("waiting_server.py")
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
MASK = b"\x01\x02\x03\x04"
LARGEST = 64 * 1024
LAST = b"the last of them"
TEXT = 0x81
STARTED = 3
"""The revision of a job that was made, claimed and started."""


class ClientFrame(NamedTuple):
    """A frame of a client's, which may be against the rules.

    Attributes:
        opcode: its kind.
        data: its content.
        fin: whether it is the last of its message.
        reserved: the bits that extensions use.
        masked: whether it is masked, as a client's must be.
        wide: whether its length has more bytes than it needs.
        padding: how many spaces stand before the content.
    """

    opcode: int
    data: bytes
    fin: bool = True
    reserved: int = 0
    masked: bool = True
    wide: bool = False
    padding: int = 0

    @classmethod
    def of(cls, opcode: int, data: bytes) -> "ClientFrame":
        """Make one that obeys the rules."""
        return cls(opcode, data)

    def serialized(self) -> bytes:
        """The bytes on the wire."""
        data = b" " * self.padding + self.data
        size = len(data)
        if size < 126 and not self.wide:
            length = bytes([size | self.masked << 7])
        elif size < 1 << 16:
            length = struct.pack("!BH", 126 | self.masked << 7, size)
        else:
            length = struct.pack("!BQ", 127 | self.masked << 7, size)
        content = bytes(byte ^ mask for byte, mask in zip(data, itertools.cycle(MASK), strict=False))
        head = bytes([self.fin << 7 | self.reserved << 4 | self.opcode]) + length
        return head + (MASK + content if self.masked else data)


class Follower(NamedTuple):
    """A server, and a job on it that does not end."""

    port: int
    job: str
    token: str
    seq: int


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Follower]]:
    """Two servers, with and without the fast way."""
    with both_ways(tmp_path_factory.mktemp("frames"), begun, serve=partial(Server, script=WAITING_SERVER)) as found:
        yield found


async def begun(server: Server) -> Follower:
    await server.start()
    async with httpx2.AsyncClient(base_url=server.url, timeout=60) as http:
        created = await http.post("/api/import/csv-gemini", files={"file": ("books.csv", b"Title\nEmma\n")})
        job = created.json()["data"]
        state: dict[str, Any] = {}
        while state.get("status") != "running" or state["seq"] < STARTED:
            query = {"after": state.get("seq", 0), "wait": 30 if state else 0}
            asked = {"Authorization": f"Bearer {job['token']}"}
            state = (await http.get(f"/api/jobs/{job['jobId']}", params=query, headers=asked)).json()["data"]
    return Follower(int(server.url.rpartition(":")[2]), job["jobId"], job["token"], state["seq"])


def answers(follower: Follower, data: bytes, cuts: list[int], ending: bytes) -> list[tuple[int, bytes]] | None:
    """The PONGs and the close frame that a follower's bytes are answered with; None if the connection is reset.

    Args:
        follower: where to.
        data: what is sent first.
        cuts: where that is cut into pieces.
        ending: what is sent once all of it is answered, with nothing behind it.
    """
    head = (
        f"GET /ws/progress?jobId={follower.job}&token={follower.token}&after={follower.seq} HTTP/1.1\r\n"
        "Host: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {KEY}\r\n\r\n"
    )
    received = b""
    with socket.create_connection(("127.0.0.1", follower.port), timeout=30) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(head.encode())
        while b"\r\n\r\n" not in received:
            received += connection.recv(1 << 16)
        try:
            for start, end in itertools.pairwise([0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]):
                connection.sendall(data[start:end])
            while LAST not in received and (part := connection.recv(1 << 16)):
                received += part
            if LAST in received:
                connection.sendall(ending)
                connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(1 << 16):
                received += part
        except OSError:
            return None
    return list(frames_in(received.partition(b"\r\n\r\n")[2]))


def frames_in(data: bytes) -> Iterator[tuple[int, bytes]]:
    while data:
        size, start = data[1], 2
        if size == 126:
            size, start = int.from_bytes(data[2:4], "big"), 4
        content, opcode = data[start : start + size], data[0]
        # Messages of the job are sent by a task on one of the ways, some time later.
        if opcode != TEXT and content != LAST:
            yield opcode, content
        data = data[start + size :]


PING = b'{"type":"ping","payload":{"clientTime":7}}'
SYNC = b'{"type":"sync_request","payload":{}}'
CONTENTS = st.one_of(
    st.sampled_from([PING, SYNC, b"", b"\xff\xfe", "ä".encode()[:1], b"{}", b"x" * 125, b"x" * 126]),
    st.binary(max_size=130),
)
CODES = st.sampled_from([0, 999, 1000, 1001, 1004, 1005, 1006, 1011, 1015, 2999, 3000, 4999, 5000, 65535])
CLOSES = st.one_of(
    st.just(b""),
    st.binary(max_size=3),
    st.builds(lambda code, reason: struct.pack("!H", code) + reason, CODES, st.sampled_from([b"", b"bye", b"\xff"])),
)
GOOD = (PING, SYNC, "{}ä".encode(), b" " * 300 + PING)
RARELY = st.sampled_from([False] * 12 + [True])
CONTROL = st.builds(ClientFrame.of, st.sampled_from([Opcode.PING, Opcode.PONG]), st.binary(max_size=127))
ODD = st.builds(
    ClientFrame,
    st.integers(0, 15),
    CONTENTS,
    fin=st.booleans(),
    reserved=st.sampled_from([0, 0, 0, 1, 4]),
    masked=st.sampled_from([True, True, True, False]),
    wide=RARELY,
    padding=st.sampled_from([*[0] * 6, LARGEST - len(PING), LARGEST - len(PING) + 1]),
)


@st.composite
def messages(draw: st.DrawFn, contents: tuple[bytes, ...] = GOOD) -> list[ClientFrame]:
    """A message in pieces, with control frames between them."""
    content = draw(st.sampled_from(contents))
    places = sorted(draw(st.lists(st.integers(0, len(content)), max_size=3)))
    parts = [content[start:end] for start, end in itertools.pairwise([0, *places, len(content)])]
    kind = draw(st.sampled_from([Opcode.TEXT, Opcode.BINARY]))
    frames: list[ClientFrame] = []
    for number, part in enumerate(parts):
        fin = number == len(parts) - 1
        frames += [
            ClientFrame(kind if number == 0 else Opcode.CONT, part, fin=fin),
            *draw(st.lists(CONTROL, max_size=1)),
        ]
    return frames


CLOSE = CLOSES.map(lambda data: ClientFrame(Opcode.CLOSE, data))
TALKS = st.tuples(
    st.lists(st.one_of(messages(), messages(), CONTROL.map(lambda one: [one])), max_size=3),
    # After a fault it depends on what is read together how far a client is heard.
    st.one_of(st.just([]), messages((b"\xff", b"{}\xe2\x82")), ODD.map(lambda one: [one])),
)


@settings(max_examples=150)
@given(talk=TALKS, cuts=st.lists(st.integers(0, 400), max_size=2), close=CLOSE, lost=st.sampled_from([0, 0, 0, 1, 3]))
def test_both_ways_answer_the_same_frames(
    both: list[Follower],
    talk: tuple[list[list[ClientFrame]], list[ClientFrame]],
    cuts: list[int],
    close: ClientFrame,
    lost: int,
) -> None:
    good, fault = talk
    frames = [*itertools.chain.from_iterable(good), *fault, ClientFrame(Opcode.PING, LAST)]
    data, ending = b"".join(frame.serialized() for frame in frames), close.serialized()
    fast, ordinary = (answers(follower, data, cuts, ending[: len(ending) - lost]) for follower in both)
    assert fast is not None
    # The ordinary way may close while something is still on its way to it.
    assert ordinary is None or (ordinary[-1:] == fast[-1:] if fault else ordinary == fast)


def test_bad_text_closes_at_once_whatever_the_client_does(both: list[Follower]) -> None:
    for follower in both:
        ((opcode, close),) = answers(follower, ClientFrame(Opcode.TEXT, b"\xff").serialized(), [], b"") or []
        assert (opcode, Close.parse(close).code) == (0x88, 1007)


def test_a_message_may_begin_with_an_empty_frame_of_its_own(both: list[Follower]) -> None:
    begun = ClientFrame(Opcode.TEXT, b"", fin=False).serialized() + ClientFrame(Opcode.PING, LAST).serialized()
    for follower in both:
        ((opcode, close),) = answers(follower, begun, [], ClientFrame(Opcode.CONT, b"\xff").serialized()) or []
        assert (opcode, Close.parse(close).code) == (0x88, 1007)
