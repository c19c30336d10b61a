/* Makes system calls fail on demand: LD_PRELOAD it, and name in FAULT_FILE a file that says which.
 *
 * The file holds words: "fdatasync", "fsync", "fallocate", "pwrite", each with the errno to fail with, as in
 * "fdatasync=5 fallocate=28". While the file is missing or empty, everything is as ever. Only calls on paths below
 * FAULT_BELOW fail, so that a process can still log and lock elsewhere.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int fails(int fd, const char *call) {
    const char *file = getenv("FAULT_FILE"), *below = getenv("FAULT_BELOW");
    char link[64], path[4096], text[256], word[64];
    if (!file) return 0;
    int control = open(file, O_RDONLY | O_CLOEXEC);
    if (control < 0) return 0;
    ssize_t size = read(control, text, sizeof text - 1);
    close(control);
    if (size <= 0) return 0;
    text[size] = 0;
    snprintf(word, sizeof word, "%s=", call);
    char *found = strstr(text, word);
    if (!found || (found != text && found[-1] != ' ')) return 0;
    if (below) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(link, path, sizeof path - 1);
        if (length < 0) return 0;
        path[length] = 0;
        if (strncmp(path, below, strlen(below)) != 0) return 0;
    }
    return atoi(found + strlen(word));
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
