"""Objects that look like the tensors and arrays of the libraries the client never imports.

Each records when it is read, since reading one on an accelerator waits for all work queued before it.
"""

from typing import Any


class Device:
    """torch's and jax's description of where a tensor lies."""

    def __init__(self, **fields: str) -> None:
        self.__dict__.update(fields)


class Tensor:
    """A tensor as torch makes them: `item()`, `numel()`, `is_cuda`, `device`, and the conversions that wait."""

    def __init__(self, value: Any, *, count: int = 1, device: str = "cpu") -> None:
        self.value = value
        self.count = count
        self.device = Device(type=device)
        self.is_cuda = device == "cuda"
        self.shape = () if count == 1 else (count,)
        self.reads = 0

    def numel(self) -> int:
        return self.count

    def item(self) -> Any:
        self.reads += 1
        if self.count != 1:
            raise RuntimeError(f"a Tensor with {self.count} elements cannot be converted to Scalar")
        return self.value

    def __float__(self) -> float:
        return float(self.item())

    def __index__(self) -> int:
        return int(self.item())

    def __bool__(self) -> bool:
        return bool(self.item())

    def __repr__(self) -> str:
        self.reads += 1
        return f"tensor({self.value})"


class JaxArray:
    """An array as jax makes them: its device has a platform, and `size` is a number."""

    def __init__(self, value: Any, platform: str) -> None:
        self.value = value
        self.size = 1
        self.shape = ()
        self.device = Device(platform=platform)
        self.reads = 0

    def item(self) -> Any:
        self.reads += 1
        return self.value


class Hostile:
    """Raises on everything it is asked."""

    def __getattribute__(self, name: str) -> Any:
        raise ZeroDivisionError(name)

    def __repr__(self) -> str:
        raise ZeroDivisionError("repr")

    __str__ = __repr__

    def __bool__(self) -> bool:
        raise ZeroDivisionError("bool")

    def __float__(self) -> float:
        raise ZeroDivisionError("float")

    def __eq__(self, other: object) -> bool:
        raise ZeroDivisionError("eq")

    def __hash__(self) -> int:
        return 0


class OddClass(type):
    """A class of classes that cannot be hashed."""

    __hash__ = None  # type: ignore[assignment]


class OfOddClass(metaclass=OddClass):
    """A value whose very type cannot be put into a set."""


class UnshowableError(Exception):
    """An error that has no text."""

    def __str__(self) -> str:
        raise ZeroDivisionError("str")


class Raising:
    """A value that raises this error when it is read."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def item(self) -> float:
        raise self.error
