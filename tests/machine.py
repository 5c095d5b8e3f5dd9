"""What a test needs of the machine beside Python: absent is a named skip, under CI=true a failure."""

import os
import shutil

import pytest

PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def need(*programs: str, root: bool = False) -> None:
    """Returns when every program is there (`make machine` installs them), and root where asked."""
    missing = [name for name in programs if shutil.which(name, path=PATH) is None]
    if root and os.geteuid() != 0:
        missing.append("root")
    if not missing:
        return
    message = f"this machine has no {', '.join(missing)} (see `make machine`)"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)
