/* A disk whose flush takes SLOW_FLUSH_US more than that of this machine. Loaded by LD_PRELOAD. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static unsigned more_us;

__attribute__((constructor)) static void begin(void) {
    const char *said = getenv("SLOW_FLUSH_US");
    if (said) more_us = (unsigned)atoi(said);
}

int fdatasync(int file) {
    usleep(more_us);
    return (int)syscall(SYS_fdatasync, file);
}
