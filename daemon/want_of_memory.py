"""Did a process of ours end for want of memory, and what is to be done about it?

A process that may have too little ends in the middle of an import or a library, each of which has words of its own for
it. Leaves starting processes to `launch.py` and `doctor.py`; the ceiling is `ctx42d.memory`'s, in the daemon.
"""

import resource

MB = 2**20
# Python's, the dynamic loader's, OpenBLAS's, the kernel's, C++'s.
WORDS = ("MemoryError", "failed to map", "Memory allocation", "Cannot allocate memory", "std::bad_alloc")
LIMITS = {"RLIMIT_AS": "ulimit -v", "RLIMIT_DATA": "ulimit -d"}


def is_want_of_memory(said: str) -> bool:
    """Whether what a process said before it ended is about memory."""
    return any(word in said for word in WORDS)


def lack_in_words() -> tuple[str, str]:
    """Return what there is too little of, and what to do: a limit on our processes, or the machine's memory."""
    soft = {name: resource.getrlimit(getattr(resource, name))[0] for name in LIMITS if hasattr(resource, name)}
    limited = {name: most for name, most in soft.items() if most != resource.RLIM_INFINITY}
    if not limited:
        return "no memory was left for it", "end programs that aren't needed"
    name, most = min(limited.items(), key=lambda pair: pair[1])
    return f"it needs more memory than the {most // MB} MB that `{LIMITS[name]}` allows", "raise that limit"
