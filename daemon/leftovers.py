"""Which files are ours, once nobody wants them any more?

Covers removing what the daemon and the commands have made in their folders, and the folders once nothing is left in
them. A folder may be somebody's own (`CTX42D_HOME` can be any), so only what has a name of ours is removed.
"""

import fnmatch
import shutil
from pathlib import Path

from ctx42d.daemon.paths import Paths

OURS = (
    ".config.toml.*", "config.toml", "cookies", "ctx42d.lock", "ctx42d.log*", "ctx42d.sock", "ctx42d.starting",
    "ctx42d.stderr", "index.db*", "mcp-token", "models", "report.html", "roots.json*", "signs.*", "vectors.*",
)  # fmt: skip


def remove_ours(paths: Paths) -> list[Path]:
    """Remove our files and folders; return what is left in those folders, which isn't ours. Raises OSError."""
    left: list[Path] = []
    for folder in dict.fromkeys((*paths.folders, paths.config_file.parent)):
        if not folder.is_dir():
            continue
        for entry in sorted(folder.iterdir()):
            if not any(fnmatch.fnmatchcase(entry.name, name) for name in OURS):
                left.append(entry)
            elif entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        if not any(folder.iterdir()):
            folder.rmdir()
    return left
