"""A GPU as the amdgpu driver shows it in sysfs: files in a folder, which the AMD sampler takes for `/sys`."""

import os
from pathlib import Path
from typing import Any

USED = 150 << 30
ADDRESS = "0000:c1:00.0"

_FILES = {
    "vendor": "0x1002",
    "device": "0x74a1",
    "class": "0x120000",
    "unique_id": "f3c2a1b09d8e7f60",
    "product_name": "AMD Instinct MI300X OAM",
    "gpu_busy_percent": "98",
    "mem_info_vram_used": str(USED),
    "mem_info_vram_total": str(192 << 30),
    "hwmon/hwmon4/name": "amdgpu",
    "hwmon/hwmon4/temp2_label": "junction",
    "hwmon/hwmon4/temp2_input": "67000",
    "hwmon/hwmon4/power1_label": "PPT",
    "hwmon/hwmon4/power1_input": "612000000",
}


def make_gpu(root: Path) -> dict[str, Any]:
    """One MI300X at 98 % with USED bytes in use; returns the `sources` of a configuration that samples it."""
    device = root / "devices/pci0000:00" / ADDRESS
    for name, text in _FILES.items():
        path = device / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    (device / "drm/renderD128").mkdir(parents=True)
    drm = root / "class/drm/card0"
    drm.mkdir(parents=True)
    (drm / "device").symlink_to(os.path.relpath(device, drm))
    return {"amd": {"root": str(root), "library": "off", "interval": 0.2}}
