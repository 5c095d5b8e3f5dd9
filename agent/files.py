"""Files that are replaced whole: for folders that several programs share."""

import os
from pathlib import Path


def replace_file(path: Path, content: bytes) -> None:
    """Whole or not at all for whoever reads, also after a crash of the machine."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}~")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(handle, content)
        os.fsync(handle)
    finally:
        os.close(handle)
    fresh.rename(path)
