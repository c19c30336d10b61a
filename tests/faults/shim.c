/* Makes system calls fail on demand: LD_PRELOAD it, and name in FAULT_FILE a file that says which.
 *
 * The file holds words: "fdatasync", "fsync", "fallocate", "pwrite", "write", "ftruncate", each with the errno to fail
 * with, as in "fdatasync=5 fallocate=28"; in the place of an errno -1 kills the process before the call, as SIGKILL
 * does. "after=3" lets three of them pass first, counted from when the file last changed, and after "times=2" failures
 * all pass again. While the file is missing or empty, everything is as ever. Only calls on paths below FAULT_BELOW fail,
 * so that a process can still log and lock elsewhere.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* The number behind a word of the file's text; `otherwise` where it does not stand there. */
static int number(const char *text, const char *name, int otherwise) {
    size_t length = strlen(name);
    for (const char *at = text; (at = strstr(at, name)); at += length)
        if (at[length] == '=' && (at == text || at[-1] == ' ')) return atoi(at + length + 1);
    return otherwise;
}

static int fails(int fd, const char *call) {
    static char last[256];
    static int passed, failed;
    const char *file = getenv("FAULT_FILE"), *below = getenv("FAULT_BELOW");
    char link[64], path[4096], text[256];
    if (!file) return 0;
    int control = open(file, O_RDONLY | O_CLOEXEC);
    if (control < 0) return 0;
    ssize_t size = read(control, text, sizeof text - 1);
    close(control);
    text[size > 0 ? size : 0] = 0;
    if (strcmp(text, last) != 0) {
        strcpy(last, text);
        passed = failed = 0;
    }
    int error = number(text, call, 0);
    if (!error) return 0;
    if (below) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(link, path, sizeof path - 1);
        if (length < 0) return 0;
        path[length] = 0;
        if (strncmp(path, below, strlen(below)) != 0) return 0;
    }
    if (passed < number(text, "after", 0)) {
        passed++;
        return 0;
    }
    if (failed++ >= number(text, "times", 1 << 30)) return 0;
    if (error < 0) kill(getpid(), SIGKILL);
    return error;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int fdatasync(int fd) {
    int error = fails(fd, "fdatasync");
    if (error) { errno = error; return -1; }
    return REAL(fdatasync)(fd);
}

int fsync(int fd) {
    int error = fails(fd, "fsync");
    if (error) { errno = error; return -1; }
    return REAL(fsync)(fd);
}

int posix_fallocate(int fd, off_t offset, off_t length) {
    int error = fails(fd, "fallocate");
    if (error) return error;
    return REAL(posix_fallocate)(fd, offset, length);
}

int posix_fallocate64(int fd, off64_t offset, off64_t length) {
    int error = fails(fd, "fallocate");
    if (error) return error;
    return REAL(posix_fallocate64)(fd, offset, length);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
    int error = fails(fd, "pwrite");
    if (error) { errno = error; return -1; }
    return REAL(pwrite)(fd, data, size, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) {
    int error = fails(fd, "pwrite");
    if (error) { errno = error; return -1; }
    return REAL(pwrite64)(fd, data, size, offset);
}

ssize_t write(int fd, const void *data, size_t size) {
    int error = fails(fd, "write");
    if (error) { errno = error; return -1; }
    return REAL(write)(fd, data, size);
}

int ftruncate(int fd, off_t length) {
    int error = fails(fd, "ftruncate");
    if (error) { errno = error; return -1; }
    return REAL(ftruncate)(fd, length);
}

int ftruncate64(int fd, off64_t length) {
    int error = fails(fd, "ftruncate");
    if (error) { errno = error; return -1; }
    return REAL(ftruncate64)(fd, length);
}
