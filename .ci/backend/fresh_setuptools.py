"""How is the package built? By setuptools, from what lies in the tree now and nothing else.

setuptools builds in `build/` and goes on with what it finds there: after a build that was killed none succeeded any
more ("File exists: 'build/bdist.../ctx42d-0.1.0.dist-info'"), and a module that is gone from the tree was installed.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

from setuptools import build_meta
from setuptools.build_meta import *  # noqa: F403 - every hook but the one below is setuptools' own


def build_wheel(
    wheel_directory: str, config_settings: Mapping[str, object] | None = None, metadata_directory: str | None = None
) -> str:
    """Build a wheel, and return its name."""
    for left in [Path("build", "lib"), *Path("build").glob("bdist.*")]:
        shutil.rmtree(left, ignore_errors=True)
    return build_meta.build_wheel(wheel_directory, config_settings, metadata_directory)
