"""What a scribe writes is stored whole, or never came."""

import pytest
from sources.place import opened_place
from wayside import wire
from wayside_collector.plausible import MAX_COUNT
from wayside_collector.sources.scribe import Scribe


@pytest.mark.asyncio
async def test_a_loss_that_cannot_be_takes_no_row_with_it() -> None:
    """More lost rows than any session has are refused before anything is handed in: the rows beside them never came,
    and what follows has their numbers.
    """
    async with opened_place() as place:
        inlet = await place.intake.begin({"session": "5" * 32, "run": {"id": "r1"}, "started": 1e9})
        scribe = Scribe(place.intake, inlet)
        scribe.row(1e9, 1, {"a": 1.0})
        with pytest.raises(wire.WireError, match="no session has more"):
            await scribe.store(lost=MAX_COUNT)
        assert (inlet.next_seq, inlet.batches) == (0, [])
        await scribe.renew()
        scribe.row(1e9 + 1, 2, {"a": 2.0})
        await scribe.store(lost=3)
        assert [(one.seq, one.step) for one in place.rows("r1")] == [(0, 2)]
        assert place.intake.counters.lost_rows == 3
