"""Make the pictures of the documentation: a page as a browser shows it, as a PNG. `make pictures` makes them all.

    python docs/make_images.py plg-report/flash-sale.html docs/img/report.png --width 1280 --height 2190
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def picture(page: Path, image: Path, width: int, height: int, dark: bool) -> None:
    """Open ``page`` without a screen and write what it shows. Raises `RuntimeError` where that fails."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise RuntimeError(f"none of these is on PATH: {', '.join(BROWSERS)}")
    image.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as profile:
        command = [
            browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
            "--no-first-run", "--hide-scrollbars", f"--user-data-dir={profile}", f"--window-size={width},{height}",
            "--virtual-time-budget=20000", f"--blink-settings=preferredColorScheme={0 if dark else 1}",
            f"--screenshot={image.resolve()}", page.resolve().as_uri(),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode or not image.exists():
        raise RuntimeError(done.stderr.strip() or "the browser wrote no picture")


def main() -> int:
    """Parse arguments and make one picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page", type=Path)
    parser.add_argument("image", type=Path)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=2000)
    parser.add_argument("--dark", action="store_true")
    options = parser.parse_args()
    try:
        picture(options.page, options.image, options.width, options.height, options.dark)
    except RuntimeError as error:
        print(f"no picture: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
