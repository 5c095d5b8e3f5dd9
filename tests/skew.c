/* A wall clock that is off: CLOCK_REALTIME and time() by SKEW_US, or by what skew() was told last.
 * CLOCK_BOOTTIME and CLOCK_MONOTONIC are the machine's. Loaded by LD_PRELOAD. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long long off_us;

__attribute__((constructor)) static void begin(void) {
    const char *said = getenv("SKEW_US");
    if (said) off_us = atoll(said);
}

void skew(long long us) { off_us = us; }

int clock_gettime(clockid_t clock, struct timespec *at) {
    int done = (int)syscall(SYS_clock_gettime, clock, at);
    if (!done && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        long long us = at->tv_sec * 1000000LL + at->tv_nsec / 1000 + off_us;
        at->tv_sec = us / 1000000;
        at->tv_nsec = us % 1000000 * 1000 + at->tv_nsec % 1000;
    }
    return done;
}

time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *at, void *zone) {
    (void)zone;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}
