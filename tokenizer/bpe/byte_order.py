"""Byte orders: the id of each of the 256 bytes, by value or as GPT-2's table has them."""


def byte_symbols(byte_order: str) -> list[int]:
    """The id of each byte: its value ("raw"), or its place in GPT-2's table ("gpt2": printable bytes come first)."""
    if byte_order == "raw":
        return list(range(256))
    if byte_order != "gpt2":
        raise ValueError(f"unknown byte_order {byte_order!r}: known are raw, gpt2")
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    order = printable + [byte for byte in range(256) if byte not in set(printable)]
    return [order.index(byte) for byte in range(256)]
