"""The background service and its faces: watching, queueing, answering, and the commands that talk to it."""
