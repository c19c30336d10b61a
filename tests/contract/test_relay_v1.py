"""What a collector tells a gateway, version 1, byte by byte: what was ever released is read for ever.

Nothing here may be changed. When a test of this file fails, the format has changed, and is a new version with a file of
its own beside this one.
"""

import math

import msgspec
import pytest
from standins.gateway_server import receiving
from wayside.row import Event, Row
from wayside_collector.relay import Balance, Receipt, Sender, decode, receipt

#: One delivery, uncompressed: two rows and a finish of one session.
BODY = bytes.fromhex(
    """
    83a673656e64657289a26964d9206161616161616161616161616161616161616161616161616161616161616161a4686f7374a26e31a776
    657273696f6ea5302e312e30a370696407a773746172746564cb41da556daa000000a5616c69766591d92031313131313131313131313131
    31313131313131313131313131313131313131a5626f6f6b7386a8726563656976656409a964656c69766572656405a777616974696e6703
    a764726f7070656481a361676501a866696c746572656402ab726564656c69766572656401a96c6f73745f726f777304ab6c6f73745f706f
    696e747328a776657273696f6e01a46c6f74739183a67265636f726483a773657373696f6ed9203131313131313131313131313131313131
    313131313131313131313131313131a372756e81a26964a27231a472616e6b03a56e616d65739292a46c6f7373a26c7291a376616ca66672
    616d6573c4b820000000060000000300000000000000000000000000000020000000060000003000000003010000000020406e55da410700
    000000000000000000000000e03f000000000000f07f30000000030100002800000003020100000040406e55da4100000000000000800000
    00000000004028000000030201004000000005000000000080406e55da4100000000000000807b22657869745f636f6465223a302c226b69
    6e64223a2266696e697368227d204000000005000000
    """
)
ANSWER = b'{"gateway":[1],"refused":{"a":"no"},"later":{"b":"full"},"unknown":["c"],"doubles":2,"malformed":1}'


@pytest.mark.asyncio
async def test_a_delivery_is_read_for_ever() -> None:
    """The sender's word, and each row with its number, its names, its step and its time."""
    delivery = decode(BODY)
    books = Balance(9, 5, 3, {"age": 1}, 2, 1)
    said = Sender("a" * 32, "n1", "0.1.0", 7, 1767225000.0, ["1" * 32], books, 4, 40)
    assert (delivery.version, delivery.sender) == (1, said)
    async with receiving() as one:
        await one.source.take(delivery, None)
        assert one.stored("1" * 32) == [
            Row(3, 1767225600.5, 7, True, False, ("loss", "lr"), (0.5, math.inf)),
            Row(4, 1767225601.0, None, False, True, ("val",), (2.0,)),
            Event(5, 1767225602.0, None, "finish", {"exit_code": 0}),
        ]
        assert one.known("1" * 32).session.rank == 3


def test_an_answer_is_read_for_ever() -> None:
    """Also one that has more to say, or less."""
    assert receipt(ANSWER) == Receipt([1], {"a": "no"}, {"b": "full"}, ["c"], 2, 1)
    assert receipt(b'{"gateway":[1,2],"weather":"fine"}') == Receipt([1, 2])
    assert msgspec.json.decode(msgspec.json.encode(Receipt([1], error="no"))) == {"gateway": [1], "error": "no"}
