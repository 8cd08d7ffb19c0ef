"""From a path to rows, from a question to hits."""

import os

# ONNX Runtime 1.32 brings telemetry of its maker: importing it leaves a session id in the folder for temporary files.
# Nothing leaves this machine, so it is off before anybody here can import it (it reads this once, when it is loaded).
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
