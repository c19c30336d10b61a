"""How a variable is read: the first of several that is set, a yes or no, one of some words. Pure; what cannot be used
is told in a list, and the default holds.
"""

from typing import List, Mapping, Optional, Sequence, Tuple

SHOWN = 80  #: characters of a refused value that a message repeats
YES = ("1", "true", "yes", "on", "y", "t")
NO = ("0", "false", "no", "off", "n", "f")


def first(environ: Mapping[str, str], names: Sequence[str]) -> Tuple[str, str]:
    """The first of these variables that is set to something, with its value; the last one's name when none is."""
    name = value = ""
    for name in names:
        value = environ.get(name, "").strip()
        if value:
            break
    return name, value


def switch(
    environ: Mapping[str, str], names: Sequence[str], unclear: bool, problems: List[str], unset: bool = False
) -> bool:
    """A yes or no. `unclear` is what an unreadable value means: for a wish for privacy, yes."""
    name, value = first(environ, names)
    if not value:
        return unset
    if value.lower() in YES:
        return True
    if value.lower() in NO:
        return False
    answer = "yes" if unclear else "no"
    problems.append(f"{name} is {value[:SHOWN]!r} and must be true or false; it was taken as {answer}")
    return unclear


def choose(name: str, value: str, choices: Sequence[str]) -> Tuple[str, Optional[str]]:
    """`value` where it is one of the choices, else the first of them and what to tell the user.

    name: what the user set, for the message: a variable, or an argument of `init`. An empty value asks for nothing.
    """
    if not value:
        return choices[0], None
    if value.lower() in choices:
        return value.lower(), None
    known = ", ".join(choices[:-1]) + " or " + choices[-1]
    return choices[0], f"{name} is {value[:SHOWN]!r} and must be {known}; {choices[0]} is used"
