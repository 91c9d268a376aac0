/* Fails chosen system calls, for files below one folder: preloaded, so that no library can write past it.

   The N-th call of a kind fails with an error, once or from then on, or ends the process. A write that fails for a full
   disk first takes half of the bytes, as a disk does that fills up. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { WRITE, RENAME, SYNC, MKDIR, OPEN, KINDS };

static char root[PATH_MAX];
static atomic_long counts[KINDS];
static atomic_long total, struck;
static int chosen = -1, error, lasting;
static long at;

/* Kind -1 counts alone, KINDS means any; error -1 ends the process. */
void fault_arm(const char *folder, int kind, long number, int code, int stays)
{
    snprintf(root, sizeof root, "%s", folder);
    chosen = kind, at = number, error = code, lasting = stays;
}

long fault_count(int kind) { return kind == KINDS ? total : counts[kind]; }
long fault_struck(void) { return struck; }

static int is_below(const char *path) { return root[0] && strncmp(path, root, strlen(root)) == 0; }

static int is_below_at(int folder, const char *path)
{
    char link[64], base[PATH_MAX];
    ssize_t size;
    if (!root[0])
        return 0;
    if (path && path[0] == '/')
        return is_below(path);
    if (folder == AT_FDCWD)
        return path && getcwd(base, sizeof base) && is_below(base);
    snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    size = readlink(link, base, sizeof base - 1);
    if (size < 0)
        return 0;
    base[size] = 0;
    return is_below(base);
}

/* The error that this call has to fail with; 0 if it may go on. */
static int strike(enum kind kind)
{
    long all = ++total, own = ++counts[kind];
    long number = chosen == KINDS ? all : own;
    if ((chosen != KINDS && chosen != (int)kind) || (lasting ? number < at : number != at))
        return 0;
    struck++;
    if (error == -1)
        kill(getpid(), SIGKILL);
    errno = error;
    return error;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int is_first(enum kind kind) { return error == ENOSPC && lasting && counts[kind] == at && chosen == (int)kind; }

ssize_t write(int file, const void *bytes, size_t size)
{
    if (is_below_at(file, NULL) && strike(WRITE))
        return is_first(WRITE) && size > 1 ? REAL(write)(file, bytes, size / 2) : -1;
    return REAL(write)(file, bytes, size);
}

ssize_t writev(int file, const struct iovec *parts, int count)
{
    return is_below_at(file, NULL) && strike(WRITE) ? -1 : REAL(writev)(file, parts, count);
}

ssize_t pwrite(int file, const void *bytes, size_t size, off_t place)
{
    return is_below_at(file, NULL) && strike(WRITE) ? -1 : REAL(pwrite)(file, bytes, size, place);
}

ssize_t pwrite64(int file, const void *bytes, size_t size, off64_t place)
{
    return is_below_at(file, NULL) && strike(WRITE) ? -1 : REAL(pwrite64)(file, bytes, size, place);
}

int rename(const char *from, const char *to)
{
    return is_below_at(AT_FDCWD, to) && strike(RENAME) ? -1 : REAL(rename)(from, to);
}

int renameat(int one, const char *from, int other, const char *to)
{
    return is_below_at(other, to) && strike(RENAME) ? -1 : REAL(renameat)(one, from, other, to);
}

int fsync(int file) { return is_below_at(file, NULL) && strike(SYNC) ? -1 : REAL(fsync)(file); }

int fdatasync(int file) { return is_below_at(file, NULL) && strike(SYNC) ? -1 : REAL(fdatasync)(file); }

int mkdir(const char *path, mode_t mode)
{
    return is_below_at(AT_FDCWD, path) && strike(MKDIR) ? -1 : REAL(mkdir)(path, mode);
}

int mkdirat(int folder, const char *path, mode_t mode)
{
    return is_below_at(folder, path) && strike(MKDIR) ? -1 : REAL(mkdirat)(folder, path, mode);
}

#define OPENS(flags) ((flags) & (O_WRONLY | O_RDWR | O_CREAT))
#define OPENED(name, folder, path, ...)                                                       \
    va_list rest;                                                                              \
    va_start(rest, flags);                                                                     \
    mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0;                  \
    va_end(rest);                                                                              \
    if (OPENS(flags) && is_below_at(folder, path) && strike(OPEN))                             \
        return -1;                                                                             \
    return REAL(name)(__VA_ARGS__, flags, mode);

int open(const char *path, int flags, ...) { OPENED(open, AT_FDCWD, path, path) }
int open64(const char *path, int flags, ...) { OPENED(open64, AT_FDCWD, path, path) }
int openat(int folder, const char *path, int flags, ...) { OPENED(openat, folder, path, folder, path) }
int openat64(int folder, const char *path, int flags, ...) { OPENED(openat64, folder, path, folder, path) }
