"""How is launchd asked for an agent of this user's?

Runs `launchctl`. Covers loading, unloading and looking at one agent; leaves its file to `unit_file.py`, when what is
done to `service_manager.py`.
"""

import os
import re
import subprocess
import time
from pathlib import Path

PATIENCE_SECONDS = 100.0  # the agent's ExitTimeOut is 90
STILL_THERE = (5, 37)  # launchctl's exit codes while an agent of that name is being unloaded: EIO, EALREADY
AGAIN_SECONDS = 0.5
# Of `launchctl print`: the service's own lines are indented by one tab, those of its parts by more.
_FIELD = re.compile(r"^\t(state|pid|runs|last exit code) = (.+)$", re.MULTILINE)


def bootstrap(agent: Path, again_seconds: float = AGAIN_SECONDS) -> str | None:
    """Load an agent from its file, which starts it; return why it isn't, if so.

    `bootout` comes back before the old agent is gone: until then launchd refuses the new one.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (done := _launchctl("bootstrap", _domain(), str(agent))).returncode in STILL_THERE:
        if time.monotonic() > deadline:
            break
        time.sleep(again_seconds)
    return f"`launchctl bootstrap` failed: {_said(done)}" if done.returncode else None


def bootout(agent_name: str) -> None:
    """Unload an agent, which ends it; nothing if it isn't loaded."""
    _launchctl("bootout", f"{_domain()}/{agent_name.removesuffix('.plist')}")


def show(agent_name: str) -> dict[str, str]:
    """Return what launchd knows of an agent, by systemd's names for the same; nothing if it isn't loaded."""
    done = _launchctl("print", f"{_domain()}/{agent_name.removesuffix('.plist')}")
    fields = dict(_FIELD.findall(done.stdout.decode("utf-8", "replace")))
    if done.returncode or "state" not in fields:
        return {}
    exit_code = fields.get("last exit code", "")
    return {
        "UnitFileState": "enabled",
        "ActiveState": "active" if fields["state"] == "running" else "inactive",
        "SubState": fields["state"],
        "MainPID": fields.get("pid", "0"),
        "NRestarts": str(max(0, int(fields.get("runs", "1")) - 1)),
        "Result": "success" if exit_code in ("", "0", "(never exited)") else f"exit code {exit_code}",
    }


def _launchctl(*arguments: str) -> "subprocess.CompletedProcess[bytes]":
    command = ["launchctl", *arguments]
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, b"", f"it said nothing for {PATIENCE_SECONDS:g} s".encode())


def _said(done: "subprocess.CompletedProcess[bytes]") -> str:
    lines = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()
    return lines[-1].rstrip(".") if lines else f"exit code {done.returncode}"


def _domain() -> str:
    return f"gui/{os.getuid()}"
