"""`POST /api/v1/batches`: who may deliver, and each way to be told that it was not taken."""

import gzip
from pathlib import Path
from typing import Any

import msgspec
import pytest
from standins.gateway_server import GatewayServer, gateway_server
from wayside import wire
from wayside_collector.configuration.access import Outside, PublicSection
from wayside_collector.relay import MAX_BODY, VERSIONS, Delivery, Lot, Receipt, Sender, encode
from wayside_collector.web.batches import PATH

READER, WRITER, TEAM = "r" * 20, "w" * 20, "t" * 20
ONE = "1" * 32
HELLO = Delivery(Sender("a" * 32), lots=[Lot({"session": ONE, "run": {"id": "r1"}})])


async def post(gateway: GatewayServer, body: bytes, url: str = "", **headers: str) -> tuple[int, Any, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with gateway.serving.asking.post((url or gateway.endpoint) + PATH, data=body, headers=named) as answer:
        return answer.status, msgspec.json.decode(await answer.read()), answer.headers


@pytest.mark.asyncio
async def test_who_may_deliver(tmp_path: Path) -> None:
    """Programs of this machine at `listen`; elsewhere who has a writer's token, with the namespace it is for."""
    file = tmp_path / "tokens"
    file.write_text(f"reader {READER}\nwriter {WRITER}\nwriter {TEAM} namespace=team-a\n")
    async with gateway_server(Outside("127.0.0.1:0", PublicSection(token_file=str(file)))) as gateway:
        assert (await post(gateway, encode(HELLO)))[0] == 200
        public = gateway.serving.public
        for token, wanted in ((None, 401), (READER, 403), (WRITER, 200)):
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            assert (await post(gateway, encode(HELLO), public, **headers))[0] == wanted
        status, receipt, _ = await post(gateway, encode(HELLO), public, Authorization=f"Bearer {TEAM}")
        assert (status, list(receipt["refused"])) == (200, [ONE]), "it is a session of no namespace by now"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", 400, "no body of batches"),
        (b"\xc1", 400, "no body of batches"),
        (msgspec.json.encode({"sender": {"id": "a" * 32}}), 400, "no body of batches"),
        (msgspec.msgpack.encode({"version": 1}), 400, "sender"),
        (msgspec.msgpack.encode({"sender": {"id": "a" * 32}}), 400, "version"),
        (msgspec.msgpack.encode({"version": 1, "sender": {"id": "../../etc"}}), 400, "sender.id"),
        (msgspec.msgpack.encode({"version": 1, "sender": {"id": "a" * 32, "lost_rows": -1}}), 400, "lost_rows"),
        (encode(Delivery(Sender("a" * 32), 7)), 422, "version 7"),
        (b"\x91" * 5000, 400, "no body of batches"),
    ],
)
async def test_what_is_no_body(body: bytes, status: int, said: str) -> None:
    """It is told what is wrong, in an answer that a gateway's own name stands on."""
    async with gateway_server() as gateway:
        came, told, _ = await post(gateway, body)
        receipt = msgspec.convert(told, Receipt)
        assert (came, receipt.gateway) == (status, list(VERSIONS))
        assert receipt.error is not None
        assert said in receipt.error


@pytest.mark.asyncio
async def test_a_body_has_a_limit() -> None:
    """Of what comes out of it."""
    async with gateway_server() as gateway:
        bomb = gzip.compress(bytes(MAX_BODY + 1))
        assert (await post(gateway, bomb, Content_Encoding="gzip"))[0] == 413
        assert (await post(gateway, b"no gzip", Content_Encoding="gzip"))[0] == 400
        assert (await post(gateway, encode(HELLO), Content_Encoding="br"))[0] == 415


@pytest.mark.asyncio
async def test_not_now() -> None:
    """While the spool cannot be written: 503, with a time to come again."""
    async with gateway_server() as gateway:
        gateway.spool.fails = True
        from_client = Delivery(
            Sender("a" * 32), lots=[Lot(HELLO.lots[0].record, [], wire.event_frame(1e9, None, "text", {}))]
        )
        status, told, headers = await post(gateway, encode(from_client))
        assert (status, headers["Retry-After"]) == (503, "5")
        assert "spool" in told["error"]
        gateway.spool.fails = False
        assert (await post(gateway, encode(from_client)))[0] == 200
