"""A run's id made of what somebody else calls a thing: W&B takes few characters in one, and so do file names. Pure."""

from wayside.identity import MAX_ID, REFUSED


def sound_id(text: str, otherwise: str) -> str:
    """`text` with what an id may not hold as `-`; `otherwise` where nothing is left of it."""
    sound = "".join("-" if letter in REFUSED or not letter.isprintable() else letter for letter in text.strip())
    return sound[:MAX_ID].strip() if sound.strip(".- ") else otherwise
