/* tests/bench/slow_sync.c: LD_PRELOAD: each sync takes SLOW_SYNC_US more, as on a disk that has no cache. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static void wait_more(void) {
    const char* us = getenv("SLOW_SYNC_US");
    if (us) usleep((useconds_t)atoi(us));
}

int fdatasync(int file) {
    static int (*real)(int);
    if (!real) *(void**)&real = dlsym(RTLD_NEXT, "fdatasync");
    wait_more();
    return real(file);
}

int fsync(int file) {
    static int (*real)(int);
    if (!real) *(void**)&real = dlsym(RTLD_NEXT, "fsync");
    wait_more();
    return real(file);
}
