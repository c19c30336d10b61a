"""How finely a chart is read depends on its pixels, whatever the run's length. Pure."""

from wayside_collector.store.blocks import FAN
from wayside_collector.store.walk import COSTLY, level_for


def test_what_is_read_follows_the_pixels() -> None:
    """Points are read of few blocks only; of summaries there are enough for a chart, never many times its pixels."""
    for most in (1, 2, 10, 250, 1000, 20_000):
        for blocks in [*range(3000), 10_000, 19_531, 250_000, 10**7]:
            level = level_for(blocks, most)
            if level < 0:
                assert blocks <= most / (4 if blocks >= COSTLY else 2) + 1
            else:
                nodes = blocks // FAN**level
                assert nodes >= most // (4 if blocks >= COSTLY else 2)
                assert nodes <= max(most, 2) * FAN / 2 + FAN
