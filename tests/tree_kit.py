"""A file tree that is changed in every way files can be.

Each change is a name and three numbers, so that a run can be recorded, replayed and made smaller. Leaves what of the
tree belongs into the index to `tree_oracle.py`, and who makes which changes to `tree_machine.py`.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import time
from pathlib import Path

FILES = (b"x.py", b"y.md", b"X.py", b"z.rs", b"caf\xe9.py", b"line\nbreak.py", b"both", b"keep.md", b"a b.py")
FOLDERS = (b"d", b"D", b"both", b"e\xe9", b"new\nline", b"x.d")
DEEPEST = 4
RULE_FILES = (b".gitignore", b".ctx42dignore")
RULES = (
    *(b"*.rs\n", b"d/\n", b"/x.py\n", b"*.md\n!keep.md\n", b"both\n", b"D/**/x.py\n", b"x.*\n", b"e*/\n"),
    b"# nothing\n",
)
MARK = b"pyvenv.cfg"  # leaves out the folder that it lies in
REFUSES = (1, 128)  # git: nothing to commit, no such branch, a file in the way
KEPT = b"always.txt"  # so that the root is never empty, which would be reported and not believed
# Into itself, not empty, a loop of links, from one disk to another, too deep, and what a user who isn't root may not.
IMPOSSIBLE = (errno.EINVAL, errno.ENOTEMPTY, errno.ELOOP, errno.EXDEV, errno.ENAMETOOLONG, errno.EACCES, errno.EPERM)


class Tree:
    """A git repository that is a root, and a folder beside it that is not."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self.root, self.outside, self.shadow = (os.fsencode(folder / name) for name in ("root", "outside", "shadow"))
        self._environ = environ
        self._serial = 0
        for path in (self.root, self.outside, self.shadow):
            os.makedirs(path)
        for top in (self.root, self.shadow):
            self.git("init", "-q", "-b", "main", top=top)
        self._put(os.path.join(self.root, KEPT))
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "first")

    def change(self, name: str, a: int, b: int, c: int) -> bool:
        """Make one change; return whether it was possible: no such file yet, or a folder in the way, is no change."""
        self._serial += 1
        try:
            getattr(self, f"do_{name}")(a, b, c)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError, FileExistsError, shutil.SameFileError):
            return False
        except OSError as error:
            if error.errno not in IMPOSSIBLE:
                raise
            return False
        return True

    def git(
        self, *arguments: str, top: bytes | None = None, given: bytes = b"", may_end: tuple[int, ...] = ()
    ) -> bytes:
        """Run git in the root. Raises RuntimeError for an end that is neither 0 nor in `may_end`."""
        done = subprocess.run(
            ["git", "-C", top or self.root, *arguments], input=given, capture_output=True, env=self._environ
        )
        if done.returncode not in (0, *may_end):
            raise RuntimeError(f"git {' '.join(arguments)}: {os.fsdecode(done.stderr)}")
        return done.stdout

    # Each change: a picks what is changed, b where to or how, c a detail.

    def do_create(self, a: int, b: int, c: int) -> None:
        self._put(self._place(a, b), c)

    def do_overwrite(self, a: int, b: int, c: int) -> None:
        self._put(self._file(a), c)

    def do_append(self, a: int, b: int, c: int) -> None:
        with open(self._file(a), "ab") as file:
            file.write(self._text(c))

    def do_truncate(self, a: int, b: int, c: int) -> None:
        path = self._file(a)
        os.truncate(path, os.path.getsize(path) // 2 if b % 2 else 0)

    def do_same_size_and_time(self, a: int, b: int, c: int) -> None:
        path = self._file(a)
        before = os.stat(path)
        data = self._text(c)
        with open(path, "r+b") as file:
            file.write((data * (before.st_size // len(data) + 1))[: before.st_size])
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    def do_twice_at_once(self, a: int, b: int, c: int) -> None:
        path = self._file(a)
        for word in (b"former", b"latter"):
            with open(path, "wb") as file:
                file.write(b"%s = %07d\n" % (word, self._serial))

    def do_older_time(self, a: int, b: int, c: int) -> None:
        then = time.time() - 86400 * (1 + b % 3)
        os.utime(self._file(a), (then, then))

    def do_time_of_another(self, a: int, b: int, c: int) -> None:
        found = os.stat(self._file(b))
        os.utime(self._file(a), ns=(found.st_atime_ns, found.st_mtime_ns))

    def do_save_beside_and_rename(self, a: int, b: int, c: int) -> None:
        path = self._file(a)
        part = path + (b".tmp", b"~", b".py", b"4913")[b % 4]
        self._put(part, c)
        os.replace(part, path)

    def do_save_with_backup(self, a: int, b: int, c: int) -> None:
        path = self._file(a)
        os.rename(path, path + b"~")
        self._put(path, c)
        if b % 2:
            os.unlink(path + b"~")

    def do_copy_with_times(self, a: int, b: int, c: int) -> None:
        shutil.copy2(self._file(a), self._place(b, c), follow_symlinks=False)

    def do_copy_over(self, a: int, b: int, c: int) -> None:
        shutil.copy2(self._file(a), self._file(b))

    def do_link_hard(self, a: int, b: int, c: int) -> None:
        os.link(self._file(a), self._place(b, c), follow_symlinks=False)

    def do_delete(self, a: int, b: int, c: int) -> None:
        os.unlink(self._file(a))

    def do_make_folder(self, a: int, b: int, c: int) -> None:
        self._make_folder(a, b)

    def do_make_folder_with_file(self, a: int, b: int, c: int) -> None:
        self._put(os.path.join(self._make_folder(a, b), FILES[c % len(FILES)]), c)

    def do_delete_folder(self, a: int, b: int, c: int) -> None:
        shutil.rmtree(self._folder(a))

    def do_rename(self, a: int, b: int, c: int) -> None:
        os.rename(self._any(a), self._place(b, c))

    def do_rename_over(self, a: int, b: int, c: int) -> None:
        source, target = self._any(a), self._any(b)
        if not _nested(source, target):
            remove(target)
            os.rename(source, target)

    def do_rename_file_over(self, a: int, b: int, c: int) -> None:
        os.rename(self._file(a), self._file(b))

    def do_rename_case(self, a: int, b: int, c: int) -> None:
        path = self._any(a)
        head, tail = os.path.split(path)
        os.rename(path, os.path.join(head, tail.swapcase()))

    def do_rename_folder_and_make_anew(self, a: int, b: int, c: int) -> None:
        folder = self._folder(a)
        os.rename(folder, self._place(b, c, FOLDERS))
        os.mkdir(folder)
        self._put(os.path.join(folder, FILES[c % len(FILES)]), c)

    def do_swap(self, a: int, b: int, c: int) -> None:
        one, other, aside = self._any(a), self._any(b), os.path.join(self.outside, b"aside")
        if not _nested(one, other):
            os.rename(one, aside)
            os.rename(other, one)
            os.rename(aside, other)

    def do_file_to_folder(self, a: int, b: int, c: int) -> None:
        path = self._file(a)
        os.unlink(path)
        os.mkdir(path)
        self._put(os.path.join(path, FILES[b % len(FILES)]), c)

    def do_folder_to_file(self, a: int, b: int, c: int) -> None:
        path = self._folder(a)
        shutil.rmtree(path)
        self._put(path, c)

    def do_move_out(self, a: int, b: int, c: int) -> None:
        os.rename(self._any(a), os.path.join(self.outside, b"%d" % (b % 5)))

    def do_move_in(self, a: int, b: int, c: int) -> None:
        source = self._out(a)
        os.rename(source, self._place(b, c, FOLDERS if os.path.isdir(source) else FILES))

    def do_change_outside(self, a: int, b: int, c: int) -> None:
        source = self._out(a)
        if os.path.isdir(source) and not os.path.islink(source):
            source = os.path.join(source, FILES[b % len(FILES)])
        if os.path.lexists(source) and os.lstat(source).st_nlink > 1:
            raise FileExistsError("a change of a file inside that nobody there sees")
        self._put(source, c)

    def do_move_out_change_and_back(self, a: int, b: int, c: int) -> None:
        folder, aside = self._folder(a), os.path.join(self.outside, b"aside")
        os.rename(folder, aside)
        self._put(os.path.join(aside, FILES[b % len(FILES)]), c)
        os.rename(aside, folder)

    def do_link(self, a: int, b: int, c: int) -> None:
        targets = (b"nowhere", self._any(a), self.outside, b".", b"..", b"x.py")
        os.symlink(targets[c % len(targets)], self._place(b, a))

    def do_link_to_itself(self, a: int, b: int, c: int) -> None:
        path = self._place(a, b)
        os.symlink(os.path.basename(path), path)

    def do_file_to_link(self, a: int, b: int, c: int) -> None:
        path, target = self._file(a), self._file(b)
        os.unlink(path)
        os.symlink(target, path)

    def do_folder_to_link(self, a: int, b: int, c: int) -> None:
        folder = self._folder(a)
        aside = os.path.join(self.outside, b"linked%d" % (b % 3))
        os.rename(folder, aside)
        os.symlink(aside, folder)

    def do_link_to_folder(self, a: int, b: int, c: int) -> None:
        link = self._pick(a, [path for path, mode in self._entries() if stat.S_ISLNK(mode)])
        os.unlink(link)
        os.mkdir(link)
        self._put(os.path.join(link, FILES[b % len(FILES)]), c)

    def do_delete_link(self, a: int, b: int, c: int) -> None:
        os.unlink(self._pick(a, [path for path, mode in self._entries() if stat.S_ISLNK(mode)]))

    def do_lock_file(self, a: int, b: int, c: int) -> None:
        os.chmod(self._file(a), (0o000, 0o644, 0o600)[b % 3])

    def do_lock_folder(self, a: int, b: int, c: int) -> None:
        os.chmod(self._folder(a), (0o000, 0o755, 0o700)[b % 3])

    def do_unlock_all(self, a: int, b: int, c: int) -> None:
        for path, mode in self._entries():
            if not stat.S_ISLNK(mode) and not mode & 0o400:
                os.chmod(path, 0o755 if stat.S_ISDIR(mode) else 0o644)

    def do_rule(self, a: int, b: int, c: int) -> None:
        folder = self._pick(a, [self.root, *self._folders()])
        self._write(os.path.join(folder, RULE_FILES[b % len(RULE_FILES)]), RULES[c % len(RULES)])

    def do_delete_rule(self, a: int, b: int, c: int) -> None:
        os.unlink(os.path.join(self._pick(a, [self.root, *self._folders()]), RULE_FILES[b % len(RULE_FILES)]))

    def do_mark_or_unmark(self, a: int, b: int, c: int) -> None:
        mark = os.path.join(self._folder(a), MARK)
        if os.path.lexists(mark):
            os.unlink(mark)
        else:
            self._put(mark)

    def do_rule_of_the_repository(self, a: int, b: int, c: int) -> None:
        self._write(os.path.join(self.root, b".git", b"info", b"exclude"), RULES[c % len(RULES)] if b % 3 else b"")

    def do_branch(self, a: int, b: int, c: int) -> None:
        self._commit()
        self.git("checkout", "-q", "-f", "-B", f"branch{a % 3}", may_end=REFUSES)

    def do_checkout(self, a: int, b: int, c: int) -> None:
        self._commit()
        self.git("checkout", "-q", "-f", ("main", "branch0", "branch1", "branch2")[a % 4], may_end=REFUSES)

    def do_reset(self, a: int, b: int, c: int) -> None:
        self.git("reset", "-q", "--hard", may_end=REFUSES)

    def do_nothing_for_a_moment(self, a: int, b: int, c: int) -> None:
        time.sleep((0.0, 0.003, 0.02, 0.08)[a % 4])

    def _commit(self) -> None:
        self.do_unlock_all(0, 0, 0)
        self.git("add", "-A", may_end=REFUSES)
        self.git("commit", "-q", "-m", f"at {self._serial}", may_end=REFUSES)

    def _entries(self) -> list[tuple[bytes, int]]:
        """Everything in the tree but the repository, rule files and what is always kept: path and mode, sorted."""
        found, folders = [], [self.root]
        while folders:
            with os.scandir(folders.pop()) as listing:
                for entry in listing:
                    if entry.name in (b".git", KEPT, *RULE_FILES):
                        continue
                    mode = entry.stat(follow_symlinks=False).st_mode
                    found.append((entry.path, mode))
                    if stat.S_ISDIR(mode):
                        folders.append(entry.path)
        return sorted(found)

    def _file(self, number: int) -> bytes:
        return self._pick(number, [path for path, mode in self._entries() if stat.S_ISREG(mode)])

    def _folders(self) -> list[bytes]:
        return [path for path, mode in self._entries() if stat.S_ISDIR(mode)]

    def _folder(self, number: int) -> bytes:
        return self._pick(number, self._folders())

    def _any(self, number: int) -> bytes:
        return self._pick(number, [path for path, _ in self._entries()])

    def _out(self, number: int) -> bytes:
        return self._pick(number, [os.path.join(self.outside, name) for name in sorted(os.listdir(self.outside))])

    def _place(self, folder: int, name: int, names: tuple[bytes, ...] = FILES) -> bytes:
        places = [self.root, *[path for path in self._folders() if path.count(b"/") < self.root.count(b"/") + DEEPEST]]
        return os.path.join(self._pick(folder, places), names[name % len(names)])

    def _make_folder(self, a: int, b: int) -> bytes:
        path = self._place(a, b, FOLDERS)
        os.mkdir(path)
        return path

    @staticmethod
    def _pick(number: int, choices: list[bytes]) -> bytes:
        if not choices:
            raise FileNotFoundError("nothing to choose from")
        return choices[number % len(choices)]

    def _text(self, lines: int) -> bytes:
        return b"".join(b"word%d = %d\n" % (self._serial, line) for line in range(1 + lines % 5))

    def _put(self, path: bytes, lines: int = 0) -> None:
        self._write(path, self._text(lines))

    @staticmethod
    def _write(path: bytes, data: bytes) -> None:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644), "wb") as file:
            file.write(data)


# Those that make something stand here more than once, so that the tree doesn't wither.
CHANGES = sorted(name.removeprefix("do_") for name in dir(Tree) if name.startswith("do_"))
CHANGES += [name for name in CHANGES if "create" in name or "make_folder" in name] * 4


def _nested(one: bytes, other: bytes) -> bool:
    return (one + b"/").startswith(other + b"/") or (other + b"/").startswith(one + b"/")


def remove(path: bytes) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        os.unlink(path)
