/* A libcuda.so.1 whose device memory is a file (STUB_CUDA), so that a test can look into it.
 *
 * The file's size is the memory; STUB_CUDA_STUCK names an offset whose byte cannot be changed, and
 * STUB_CUDA_FAIL a function that answers 999. Names and codes follow the CUDA Driver API. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

static unsigned char *memory;
static size_t size, used;
static long stuck = -1;
static unsigned char stuck_byte;

static int failing(const char *function) {
  const char *name = getenv("STUB_CUDA_FAIL");
  return name && !strcmp(name, function) ? 999 : 0;
}
#define BEGIN() do { if (failing(__func__)) return 999; } while (0)

int cuInit(unsigned flags) {
  (void)flags;
  BEGIN();
  struct stat found;
  int file = open(getenv("STUB_CUDA"), O_RDWR);
  if (file < 0 || fstat(file, &found)) return 100;
  size = (size_t)found.st_size;
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
  memset(memory + (at - 1000000), byte, bytes);
  if (stuck >= 0) memory[stuck] = stuck_byte;
  return 0;
}
int cuMemcpyDtoH_v2(void *out, unsigned long long at, size_t bytes) {
  BEGIN();
  memcpy(out, memory + (at - 1000000), bytes);
  return 0;
}
