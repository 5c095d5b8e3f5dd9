/* A libcuda.so.1 whose device memory is a file (STUB_CUDA), so that a test can look into it.
 *
 * The file's size is the memory; STUB_CUDA_STUCK names an offset whose byte cannot be changed, and
 * STUB_CUDA_FAIL a function that answers 999, STUB_CUDA_HANG one that never answers. STUB_CUDA_MEMSET: `nothing` (it does nothing) or
 * `private` (only the process that did it sees it). A copy within the device takes no time but that
 * of its events, by 3,000 GB/s, or by 100 on the device that STUB_CUDA_SLOW names. Names and codes
 * follow the CUDA Driver API. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static unsigned char *memory;
static size_t size, used;
static int backing;
static unsigned long long moved;
static long stuck = -1;
static unsigned char stuck_byte;

static int is(const char *variable, const char *value) {
  const char *found = getenv(variable);
  return found && value && !strcmp(found, value);
}
static int failing(const char *function) {
  const char *name = getenv("STUB_CUDA_FAIL");
  return name && !strcmp(name, function) ? 999 : 0;
}
#define BEGIN() do { while (is("STUB_CUDA_HANG", __func__)) pause(); if (failing(__func__)) return 999; } while (0)

int cuInit(unsigned flags) {
  (void)flags;
  BEGIN();
  struct stat found;
  int file = open(getenv("STUB_CUDA"), O_RDWR);
  if (file < 0 || fstat(file, &found)) return 100;
  size = (size_t)found.st_size;
  backing = file;
  memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (getenv("STUB_CUDA_STUCK")) {
    stuck = atol(getenv("STUB_CUDA_STUCK"));
    stuck_byte = memory[stuck];
  }
  return memory == MAP_FAILED ? 100 : 0;
}
int cuDeviceGet(int *out, int ordinal) { BEGIN(); *out = ordinal; return ordinal ? 101 : 0; }
int cuCtxCreate_v2(void **out, unsigned flags, int device) { (void)flags; (void)device; BEGIN(); *out = &memory; return 0; }
int cuMemGetInfo_v2(size_t *unused, size_t *total) { BEGIN(); *unused = size - used; *total = size; return 0; }
int cuMemAlloc_v2(unsigned long long *out, size_t bytes) {
  BEGIN();
  if (used + bytes > size) return 2;
  *out = 1000000 + used;
  used += bytes;
  return 0;
}
int cuMemsetD8_v2(unsigned long long at, unsigned char byte, size_t bytes) {
  BEGIN();
  if (is("STUB_CUDA_MEMSET", "nothing")) return 0;
  if (is("STUB_CUDA_MEMSET", "private") && backing >= 0) {
    if (mmap(memory, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, backing, 0) == MAP_FAILED) return 999;
    backing = -1;
  }
  memset(memory + (at - 1000000), byte, bytes);
  if (stuck >= 0) memory[stuck] = stuck_byte;
  return 0;
}
int cuMemcpyDtoH_v2(void *out, unsigned long long at, size_t bytes) {
  BEGIN();
  memcpy(out, memory + (at - 1000000), bytes);
  return 0;
}
int cuMemcpyHtoD_v2(unsigned long long at, const void *in, size_t bytes) {
  BEGIN();
  memcpy(memory + (at - 1000000), in, bytes);
  return 0;
}
int cuMemHostRegister_v2(void *at, size_t bytes, unsigned flags) { (void)at; (void)bytes; (void)flags; BEGIN(); return 0; }
int cuMemFree_v2(unsigned long long at) { BEGIN(); used = at - 1000000; return 0; }
int cuMemcpyDtoD_v2(unsigned long long to, unsigned long long from, size_t bytes) {
  (void)to; (void)from;
  BEGIN();
  moved += 2 * bytes;
  return 0;
}
int cuCtxSynchronize(void) { BEGIN(); return 0; }
int cuEventCreate(void **out, unsigned flags) { (void)flags; BEGIN(); *out = calloc(1, sizeof moved); return 0; }
int cuEventRecord(void *event, void *stream) { (void)stream; BEGIN(); *(unsigned long long *)event = moved; return 0; }
int cuEventSynchronize(void *event) { (void)event; BEGIN(); return 0; }
int cuEventElapsedTime(float *out, void *began, void *ended) {
  BEGIN();
  double speed = is("STUB_CUDA_SLOW", getenv("CUDA_VISIBLE_DEVICES")) ? 100e6 : 3000e6; /* bytes per ms */
  *out = (float)((double)(*(unsigned long long *)ended - *(unsigned long long *)began) / speed);
  return 0;
}
