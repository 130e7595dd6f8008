"""Opening a file in the user's browser, if there is one with a window."""

import os
import webbrowser
from pathlib import Path

__all__ = ["open_in_browser"]


def open_in_browser(path: Path) -> bool:
    """
    Open a file in the browser that Python finds, or that the variable BROWSER names.

    A browser that runs inside the terminal, such as lynx, is left alone unless BROWSER asks for it:
    it would take the terminal over, and draw no chart.

    Returns:
        Whether a browser took it.
    """
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return False
    # Exactly this class is what Python uses for programs that do not return before they end.
    if type(browser) is webbrowser.GenericBrowser and not os.environ.get("BROWSER"):
        return False
    try:
        return browser.open(path.resolve().as_uri())
    except (OSError, webbrowser.Error):
        return False
