"""What NVML's return codes ask for, and its codes in words. No call is made here; `nvml_fields` has those.

The codes are those of nvml.h, written out so that reading them needs neither the library nor a driver.
"""

from typing import Final, Literal

Verdict = Literal["unsupported", "lost", "gone", "passing"]

SUCCESS: Final = 0
NOT_FOUND: Final = 6
TIMEOUT: Final = 10
FUNCTION_NOT_FOUND: Final = 13

_UNSUPPORTED: Final = (
    2,  # INVALID_ARGUMENT: a field or sensor this driver has not heard of
    3,  # NOT_SUPPORTED
    4,  # NO_PERMISSION: a right the container was not given
    FUNCTION_NOT_FOUND,  # the driver is older than the call
    22,  # VGPU_ECC_NOT_SUPPORTED
    25,  # ARGUMENT_VERSION_MISMATCH
    26,  # DEPRECATED: the driver is newer than the call
)
_LOST: Final = (15, 16, 28)  # GPU_IS_LOST, RESET_REQUIRED, GPU_NOT_FOUND
_GONE: Final = (1, 9, 12, 18)  # UNINITIALIZED, DRIVER_NOT_LOADED, LIBRARY_NOT_FOUND, LIB_RM_VERSION_MISMATCH


def verdict(code: int) -> Verdict:
    """What a return code asks for: leave the field out for an hour, give the GPU up for a while, close NVML and try
    again later, or (any other code) try again at the next sample.
    """
    if code in _UNSUPPORTED:
        return "unsupported"
    if code in _LOST:
        return "lost"
    return "gone" if code in _GONE else "passing"


#: Why there is nothing to measure, by the return code of `nvmlInit`, for the person who wonders.
_NO_DRIVER: Final = {
    4: "the NVIDIA driver denies access: give the container access to /dev/nvidiactl and to the GPUs' device files",
    9: "the NVIDIA driver is not loaded",
    12: "libnvidia-ml.so.1 was not found: there is no NVIDIA driver here, or this is a container without "
    "NVIDIA_VISIBLE_DEVICES and NVIDIA_DRIVER_CAPABILITIES=utility or without the NVIDIA container runtime",
    18: "the NVIDIA driver was changed under this process: restart the collector so that it loads the new library",
    999: "NVML does not start (unknown error): often a container that lost its device files; restart the container",
}


def why_unavailable(code: int, text: str) -> str:
    """A sentence for a person, from the code and NVML's own text for it."""
    return _NO_DRIVER.get(code, f"NVML does not start: {text} (code {code})")


#: XID codes a person wants explained; NVIDIA's list of XID errors has all of them.
_XIDS: Final = {
    13: "graphics engine exception, often a fault of the program",
    31: "memory page fault, often a fault of the program",
    43: "the GPU stopped processing, often a fault of the program",
    45: "work was cleaned up after an earlier error",
    48: "double-bit memory error",
    62: "internal micro-controller halt",
    63: "a memory row or page was marked for replacement",
    64: "a memory row or page could not be replaced",
    74: "NVLink error",
    79: "the GPU has fallen off the bus",
    92: "many single-bit memory errors",
    94: "contained memory error",
    95: "uncontained memory error",
    119: "the GPU's system processor does not answer",
    120: "error of the GPU's system processor",
    140: "unrecovered memory error",
    143: "the GPU failed to initialise",
}


def say_xid(code: int) -> str:
    return f"XID {code}: {_XIDS[code]}" if code in _XIDS else f"XID {code}"
