/* Preloaded into the daemon: what would happen if the disk failed at its n-th write, or the power at any moment?
 *
 * Counts every call that changes something below CTX42D_SHIM_FOLDER (a new file, write, truncate, rename, sync), makes
 * those in a range fail with an error or end the process, and, where CTX42D_SHIM_LOG is set, notes every change with
 * its bytes, so that disk_kit.py can build the disk as it would be after a power cut. The range is in a file mapped by
 * both sides (CTX42D_SHIM_CONTROL), and may be changed while the daemon runs. Changes made through a shared mapping are
 * not seen: only SQLite's -shm is written so, and that is made again after any crash.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

struct control { /* disk_kit.py has the same layout */
    uint64_t count, first, last;
    int32_t error; /* 0: end the process */
    int32_t unused;
};

#define MOST_FDS 4096
static struct control *control;
static const char *folder;
static size_t folder_length;
static int log_fd = -1;
static uint64_t handles[MOST_FDS]; /* of descriptors below the folder; 0: not ours */
static uint64_t next_handle;
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) ((__typeof__(&name))real(#name))
static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("CTX42D_SHIM_CONTROL"), *log = getenv("CTX42D_SHIM_LOG");
    folder = getenv("CTX42D_SHIM_FOLDER");
    if (!path || !folder) return;
    folder_length = strlen(folder);
    int fd = REAL(open)(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) abort();
    control = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    REAL(close)(fd);
    if (control == MAP_FAILED) abort();
    if (log) log_fd = REAL(open)(log, O_WRONLY | O_APPEND | O_CLOEXEC);
    next_handle = (uint64_t)getpid() << 24;
}

static int below(const char *path) {
    return control && path && !strncmp(path, folder, folder_length) && path[folder_length] == '/';
}

static uint64_t handle_of(int fd) { return control && fd >= 0 && fd < MOST_FDS ? handles[fd] : 0; }

/* One change is about to be made: 0, or the error it has to fail with. */
static int due(void) {
    uint64_t number = __atomic_add_fetch(&control->count, 1, __ATOMIC_SEQ_CST);
    uint64_t first = __atomic_load_n(&control->first, __ATOMIC_SEQ_CST);
    if (!first || number < first || number > __atomic_load_n(&control->last, __ATOMIC_SEQ_CST)) return 0;
    if (!control->error) {
        kill(getpid(), SIGKILL);
        pause();
    }
    return control->error;
}

static void note(char what, uint64_t handle, uint64_t offset, const void *data, uint64_t length) {
    if (log_fd < 0) return;
    struct __attribute__((packed)) { char what; uint64_t handle, offset, length; } head = {what, handle, offset, length};
    struct iovec parts[2] = {{&head, sizeof head}, {(void *)data, data ? length : 0}};
    (void)!REAL(writev)(log_fd, parts, 2);
}

#define LOCKED(statement) do { pthread_mutex_lock(&log_lock); statement; pthread_mutex_unlock(&log_lock); } while (0)
#define FAIL_IF_DUE(mine) do { int error; if ((mine) && (error = due())) { errno = error; return -1; } } while (0)

static int opened(int dir, const char *path, int flags, mode_t mode) {
    int mine = below(path), writes = (flags & O_ACCMODE) != O_RDONLY;
    struct stat found;
    int is_new = mine && (flags & O_CREAT) && stat(path, &found);
    FAIL_IF_DUE(is_new);
    int fd;
    pthread_mutex_lock(&log_lock);
    fd = REAL(openat)(dir, path, flags, mode);
    if (mine && fd >= 0 && fd < MOST_FDS && (writes || (flags & O_DIRECTORY))) {
        handles[fd] = ++next_handle;
        note(flags & O_DIRECTORY ? 'D' : flags & O_TRUNC ? 'T' : 'O', next_handle, 0, path, strlen(path));
    }
    pthread_mutex_unlock(&log_lock);
    return fd;
}

#define MODE(flags) mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); }
int open(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags | O_LARGEFILE, mode); }
int openat(int dir, const char *path, int flags, ...) { MODE(flags)
    return control ? opened(dir, path, flags, mode) : REAL(openat)(dir, path, flags, mode); }

int close(int fd) {
    if (handle_of(fd)) handles[fd] = 0;
    return REAL(close)(fd);
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) {
    uint64_t handle = handle_of(fd);
    FAIL_IF_DUE(handle);
    if (!handle) return REAL(pwrite64)(fd, data, length, offset);
    ssize_t done;
    LOCKED(done = REAL(pwrite64)(fd, data, length, offset); if (done > 0) note('W', handle, offset, data, done));
    return done;
}
ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) { return pwrite64(fd, data, length, offset); }

ssize_t write(int fd, const void *data, size_t length) {
    uint64_t handle = handle_of(fd);
    FAIL_IF_DUE(handle);
    if (!handle) return REAL(write)(fd, data, length);
    ssize_t done;
    LOCKED(done = REAL(write)(fd, data, length);
           if (done > 0) note('W', handle, lseek(fd, 0, SEEK_CUR) - done, data, done));
    return done;
}

int ftruncate64(int fd, off64_t length) {
    uint64_t handle = handle_of(fd);
    FAIL_IF_DUE(handle);
    int done;
    LOCKED(done = REAL(ftruncate64)(fd, length); if (handle && !done) note('L', handle, length, NULL, 0));
    return done;
}
int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

int fdatasync(int fd) {
    uint64_t handle = handle_of(fd);
    FAIL_IF_DUE(handle);
    int done = REAL(fdatasync)(fd);
    if (handle && !done) LOCKED(note('S', handle, 0, NULL, 0));
    return done;
}
int fsync(int fd) {
    uint64_t handle = handle_of(fd);
    FAIL_IF_DUE(handle);
    int done = REAL(fsync)(fd);
    if (handle && !done) LOCKED(note('S', handle, 0, NULL, 0));
    return done;
}

int rename(const char *from, const char *to) {
    int mine = below(to);
    FAIL_IF_DUE(mine);
    int done;
    LOCKED(done = REAL(rename)(from, to);
           if (mine && !done) { note('R', 0, 0, from, strlen(from)); note('R', 1, 0, to, strlen(to)); });
    return done;
}

int unlink(const char *path) {
    int mine = below(path), done;
    LOCKED(done = REAL(unlink)(path); if (mine && !done) note('U', 0, 0, path, strlen(path)));
    return done;
}
