"""The browser of the person at this machine."""

import webbrowser


def open_page(where: str) -> None:
    """Open an address; where there is no browser, say so, and which address it was."""
    if not webbrowser.open(where):
        print(f"no browser was found here; open {where} in one", flush=True)
