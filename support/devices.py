"""Choice of a process's device, with a reason if the requested one is not available."""

import torch

AUTO = "auto"


def choose_device(name: str = AUTO, local_rank: int | None = None) -> torch.device:
    """The device with this name; "auto" is the accelerator if there is one, else the CPU.

    Args:
        name: "auto", or a device as torch writes it ("cpu", "cuda", "cuda:1", "mps").
        local_rank: index of this process among those of the host, which have one GPU each; None: a single process.

    Raises:
        ValueError: there is no such device here, or not one for each process.
    """
    device = accelerator() if name == AUTO else _of_name(name)
    if device.type == "cuda" and local_rank is not None:
        if local_rank >= torch.cuda.device_count():
            raise ValueError(
                f"process {local_rank} of this host has no GPU of its own: {torch.cuda.device_count()} here; lower "
                "--nproc-per-node"
            )
        device = torch.device("cuda", local_rank)
        torch.cuda.set_device(device)
    return device


def accelerator() -> torch.device:
    """The accelerator of this machine, else the CPU."""
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


def multiplies_bf16(device: torch.device) -> bool:
    """Whether the device has instructions for products of bf16, so that half the bytes are twice the speed."""
    if device.type == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def usable() -> list[str]:
    """The devices that `choose_device` would give here."""
    found = accelerator()
    others = [str(torch.device(found.type, index)) for index in range(torch.accelerator.device_count())]
    return ["cpu", *([] if found.type == "cpu" else others)]


def _of_name(name: str) -> torch.device:
    reason = "it holds no numbers, only shapes" if name.startswith("meta") else None
    try:
        device = torch.device(name)
        if reason is None and device.type == "cuda" and not torch.cuda.is_available():
            built = "" if torch.version.cuda or torch.version.hip else " (this PyTorch is a build without CUDA)"
            reason = f"no CUDA device is available{built}"
        if device.type == "mps" and not torch.backends.mps.is_available():
            reason = "no Apple GPU is available"
        if reason is None:
            torch.empty(1, device=device)
    except (RuntimeError, AssertionError, ImportError) as error:  # torch raises many kinds of errors
        reason = str(error).splitlines()[0]
    if reason is not None:
        raise ValueError(f"no device {name!r} here: {reason}. Usable here: {', '.join(usable())}, or auto for the best")
    return device
