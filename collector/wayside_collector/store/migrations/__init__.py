"""The tables, as numbered SQL files of each engine: `0001_name.sql`. A file that was released is never edited; what
changes is a new file. Statements end with a semicolon and an empty line.
"""

from importlib.resources import files

from ..database import StoreError


def scripts(engine: str, known: int, where: str) -> list[tuple[int, str, str]]:
    """(number, name, SQL) of what a store with `known` migrations lacks. Raises StoreError when it has more than this
    version knows.
    """
    found = []
    for file in files(__name__).joinpath(engine).iterdir():
        number, _, name = file.name.removesuffix(".sql").partition("_")
        found.append((int(number), name, file.read_text(encoding="utf-8")))
    newest = max(number for number, _, _ in found)
    if known > newest:
        raise StoreError(
            f"the store {where} was written by a newer version (tables {known}, this one knows {newest}): "
            "update this collector, or give it another store"
        )
    return sorted(script for script in found if script[0] > known)
