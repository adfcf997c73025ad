"""A page of HTML: made from its parts, and saved where a double click opens it."""

from html import escape
from pathlib import Path

from mha_lab import _whole

NOTHING = "default-src 'none'; style-src 'unsafe-inline'"
"""The policy of a page that fetches nothing and runs nothing."""


def whole(title: str, body: str, style: str, policy: str = NOTHING) -> str:
    """The page, with `style` as CSS. The browser itself holds it to the policy, and sends no form anywhere."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}; form-action 'none'; base-uri 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>
{style}</style>
</head>
<body>
{body}
</body>
</html>
"""


def write(path: str | Path, page: str) -> Path:
    """Write the page, and return its path.

    Raises ValueError for a path that does not end in .html, OSError where the file cannot be written."""
    path = Path(path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"{str(path)!r} must end in .html, so that a double click opens it in the browser.")
    try:
        _whole.write(path, page)
    except OSError as problem:
        raise type(problem)(f"{str(path)!r} cannot be written: {problem.strerror}.") from None
    return path
