"""Fetches the viewer of the service's page (NiiVue, BSD-2-Clause) from npm, so that a wheel built then contains it.

`make page` runs it. The version and the hash of the package are pinned here; another content is refused.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PACKAGE, VERSION = "@niivue/niivue", "0.69.0"
SHA512 = "YMjQvJgD1W2b7DuoxkwlC4VxbrgIePRJ5qyQzXKxi2v2MBVg285P/CIQyg46oDDGDIcaNlbd+MhtO/edMbXJkA=="
MEMBER = "package/dist/index.js"  # one ES module with everything in it
PAGE = Path(__file__).resolve().parents[1] / "service" / "page"
TARGET = PAGE / "viewer" / "niivue.js"


def check(package: bytes, sha512: str = SHA512) -> None:
    """Ends with an error where a package's content is not the pinned one."""
    found = base64.b64encode(hashlib.sha512(package).digest()).decode()
    if not hmac.compare_digest(found, sha512):
        sys.exit(
            f"fetch_viewer: {PACKAGE} {VERSION}: expected sha512-{sha512}, got sha512-{found}; nothing was installed"
        )


def packed(folder: Path) -> bytes:
    """Returns the package as npm has it."""
    npm = shutil.which("npm")
    if npm is None:
        sys.exit("fetch_viewer: npm is not installed (Debian, Ubuntu: apt install npm); the page works without viewer")
    asked = [npm, "pack", "--silent", "--ignore-scripts", f"{PACKAGE}@{VERSION}"]
    done = subprocess.run(asked, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"fetch_viewer: npm could not fetch {PACKAGE} {VERSION}: {done.stderr.strip()[-300:]}")
    return next(folder.glob("*.tgz")).read_bytes()


def main() -> None:
    """Fetches, checks and installs the viewer, unless it is there."""
    with tempfile.TemporaryDirectory(prefix="bedside-viewer-") as name:
        package = packed(folder := Path(name))
        check(package)
        (folder / "checked.tgz").write_bytes(package)
        with tarfile.open(folder / "checked.tgz") as archive:
            member = archive.extractfile(MEMBER)
            if member is None:
                sys.exit(f"fetch_viewer: {MEMBER} is not in the package")
            code = member.read()
    TARGET.parent.mkdir(exist_ok=True)
    lines = [line for line in code.splitlines() if not line.startswith(b"//# sourceMappingURL=")]
    TARGET.write_bytes(b"\n".join(lines) + b"\n")
    (TARGET.parent / "LICENSE.txt").write_bytes((PAGE / "niivue-licence.txt").read_bytes())
    print(f"{PACKAGE} {VERSION} is in {TARGET.parent.relative_to(PAGE.parents[1])}")


if __name__ == "__main__":
    main()
