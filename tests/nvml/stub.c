/* A libnvidia-ml.so.1 that answers from a text file, read anew at every call (STUB_NVML names it).
 *
 *   driver 550.54.15
 *   gpu   <index> <uuid> <minor> <memory bytes> <name, _ for space> <serial>
 *   mig   <gpu> <place> <uuid> <gpu instance> <compute instance> <memory MiB>
 *   set   <gpu> <utilisation|power|temperature|ecc0|ecc1|rows0..rows3|recovery|used|reserved> <value>
 *   gpm   <gpu> <gpu instance> <elapsed> <graphics> <sm>  counters; `set <gpu> gpm 1` where it has them
 *   run   <gpu> <compute|graphics> <pid> <bytes>
 *   xid   <gpu> <code>                                  each line is one event, in order
 *   error <function> <gpu or *> <nvmlReturn_t>          instead of an answer
 *
 * Layouts and names follow the public NVML API reference. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OK = 0, ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, TOO_SMALL = 7, TIMEOUT = 10 };
enum { GPUS = 16, PLACES = 7, RUNS = 64, XIDS = 512, ERRORS = 64, KEYS = 16 };

typedef struct { int gpu, place; } handle;             /* place -1: the whole GPU */
typedef struct { unsigned pid; unsigned long long used; unsigned gi, ci; } process;
typedef struct { handle *device; unsigned long long type, data; unsigned gi, ci; } event;
typedef struct {
  unsigned field, scope;
  long long at, latency;
  unsigned type, status;
  unsigned long long value;
} field_value;

static handle whole[GPUS], part[GPUS][PLACES];
static unsigned seen_xids, listening[GPUS], sets;

static struct {
  char driver[80];
  int count;
  struct { int there; char uuid[96], name[96], serial[30]; unsigned minor; unsigned long long memory; } gpu[GPUS];
  struct { int there; char uuid[96]; unsigned gi, ci; unsigned long long mib; } mig[GPUS][PLACES];
  struct { int gpu; char key[16]; unsigned long long value; } set[GPUS * KEYS];
  struct { int gpu; char kind[16]; process of; } run[RUNS];
  struct { int gpu; unsigned gi; double count[3]; } gpm[GPUS];
  struct { int gpu; unsigned long long code; } xid[XIDS];
  struct { char function[64], gpu[8]; int code; } error[ERRORS];
  int sets, runs, gpms, xids, errors;
} now;

static void read_file(void) {
  memset(&now, 0, sizeof now);
  const char *path = getenv("STUB_NVML");
  FILE *file = path ? fopen(path, "r") : NULL;
  char line[512], word[16];
  while (file && fgets(line, sizeof line, file)) {
    int g = 0, p = 0;
    if (sscanf(line, "%15s", word) != 1) continue;
    if (!strcmp(word, "driver")) sscanf(line, "%*s %79s", now.driver);
    if (!strcmp(word, "gpu") && sscanf(line, "%*s %d", &g) == 1 && g < GPUS) {
      now.gpu[g].there = 1;
      sscanf(line, "%*s %*d %95s %u %llu %95s %29s", now.gpu[g].uuid, &now.gpu[g].minor,
             &now.gpu[g].memory, now.gpu[g].name, now.gpu[g].serial);
      for (char *c = now.gpu[g].name; *c; c++) if (*c == '_') *c = ' ';
      if (g >= now.count) now.count = g + 1;
    }
    if (!strcmp(word, "mig") && sscanf(line, "%*s %d %d", &g, &p) == 2 && g < GPUS && p < PLACES) {
      now.mig[g][p].there = 1;
      sscanf(line, "%*s %*d %*d %95s %u %u %llu", now.mig[g][p].uuid, &now.mig[g][p].gi,
             &now.mig[g][p].ci, &now.mig[g][p].mib);
    }
    if (!strcmp(word, "set") && now.sets < GPUS * KEYS)
      now.sets += sscanf(line, "%*s %d %15s %llu", &now.set[now.sets].gpu, now.set[now.sets].key,
                         &now.set[now.sets].value) == 3;
    if (!strcmp(word, "run") && now.runs < RUNS)
      now.runs += sscanf(line, "%*s %d %15s %u %llu", &now.run[now.runs].gpu, now.run[now.runs].kind,
                         &now.run[now.runs].of.pid, &now.run[now.runs].of.used) == 4;
    if (!strcmp(word, "gpm") && now.gpms < GPUS)
      now.gpms += sscanf(line, "%*s %d %u %lf %lf %lf", &now.gpm[now.gpms].gpu, &now.gpm[now.gpms].gi,
                         &now.gpm[now.gpms].count[0], &now.gpm[now.gpms].count[1],
                         &now.gpm[now.gpms].count[2]) == 5;
    if (!strcmp(word, "xid") && now.xids < XIDS)
      now.xids += sscanf(line, "%*s %d %llu", &now.xid[now.xids].gpu, &now.xid[now.xids].code) == 2;
    if (!strcmp(word, "error") && now.errors < ERRORS)
      now.errors += sscanf(line, "%*s %63s %7s %d", now.error[now.errors].function,
                           now.error[now.errors].gpu, &now.error[now.errors].code) == 3;
  }
  if (file) fclose(file);
}

/* The injected error of this call, or OK. */
static int begin(const char *function, int gpu) {
  char name[8];
  read_file();
  snprintf(name, sizeof name, "%d", gpu);
  for (int i = 0; i < now.errors; i++)
    if ((!strcmp(now.error[i].function, function) || !strcmp(now.error[i].function, "*")) &&
        (!strcmp(now.error[i].gpu, "*") || (gpu >= 0 && !strcmp(now.error[i].gpu, name))))
      return now.error[i].code;
  return OK;
}

static int value_of(int gpu, const char *key, unsigned long long *out) {
  for (int i = 0; i < now.sets; i++)
    if (now.set[i].gpu == gpu && !strcmp(now.set[i].key, key)) { *out = now.set[i].value; return OK; }
  return NOT_SUPPORTED;
}

#define BEGIN(gpu) do { int code_ = begin(__func__, gpu); if (code_) return code_; } while (0)
#define TEXT(out, size, text) (snprintf(out, size, "%s", text), OK)

int nvmlInitWithFlags(unsigned flags) { (void)flags; BEGIN(-1); return OK; }
static int samples; /* that were allocated and not freed */
int nvmlShutdown(void) { BEGIN(-1); if (samples) abort(); return OK; }
const char *nvmlErrorString(int code) { static char text[32]; snprintf(text, 32, "stub error %d", code); return text; }
int nvmlSystemGetDriverVersion(char *out, unsigned size) { BEGIN(-1); return TEXT(out, size, now.driver); }
int nvmlSystemGetCudaDriverVersion_v2(int *out) { BEGIN(-1); *out = 12040; return OK; }
int nvmlDeviceGetCount_v2(unsigned *out) { BEGIN(-1); *out = now.count; return OK; }

int nvmlDeviceGetHandleByIndex_v2(unsigned index, handle **out) {
  BEGIN((int)index);
  if (index >= GPUS || !now.gpu[index].there) return ARGUMENT;
  whole[index] = (handle){(int)index, -1};
  *out = &whole[index];
  return OK;
}

int nvmlDeviceGetUUID(handle *d, char *out, unsigned size) {
  BEGIN(d->gpu);
  return TEXT(out, size, d->place < 0 ? now.gpu[d->gpu].uuid : now.mig[d->gpu][d->place].uuid);
}
int nvmlDeviceGetName(handle *d, char *out, unsigned size) {
  BEGIN(d->gpu);
  snprintf(out, size, "%s%s", now.gpu[d->gpu].name, d->place < 0 ? "" : " MIG 1g.10gb");
  return OK;
}
int nvmlDeviceGetSerial(handle *d, char *out, unsigned size) {
  BEGIN(d->gpu);
  if (!*now.gpu[d->gpu].serial) return NOT_SUPPORTED;
  return TEXT(out, size, now.gpu[d->gpu].serial);
}
int nvmlDeviceGetMinorNumber(handle *d, unsigned *out) { BEGIN(d->gpu); *out = now.gpu[d->gpu].minor; return OK; }
int nvmlDeviceGetPciInfo_v3(handle *d, char *out) {
  BEGIN(d->gpu);
  memset(out, 0, 68);
  snprintf(out + 36, 32, "00000000:%02X:00.0", 16 + d->gpu);
  return OK;
}
int nvmlDeviceGetMemoryInfo(handle *d, unsigned long long *out) {
  BEGIN(d->gpu);
  unsigned long long used = 0;
  value_of(d->gpu, "used", &used);
  out[0] = now.gpu[d->gpu].memory; out[2] = used; out[1] = out[0] - used;
  return OK;
}

typedef struct { unsigned version; unsigned long long total, reserved, free, used; } memory_v2;
int nvmlDeviceGetMemoryInfo_v2(handle *d, memory_v2 *out) {
  BEGIN(d->gpu);
  if (value_of(d->gpu, "reserved", &out->reserved)) return NOT_SUPPORTED; /* as an old driver */
  out->used = 0;
  value_of(d->gpu, "used", &out->used);
  out->total = now.gpu[d->gpu].memory;
  out->free = out->total - out->used - out->reserved;
  return OK;
}

static int one(const char *function, handle *d, const char *key, unsigned *out) {
  unsigned long long found = 0;
  int code = begin(function, d->gpu);
  if (!code) code = value_of(d->gpu, key, &found);
  *out = (unsigned)found;
  return code;
}
int nvmlDeviceGetUtilizationRates(handle *d, unsigned *out) { out[1] = 0; return one(__func__, d, "utilisation", out); }
int nvmlDeviceGetPowerUsage(handle *d, unsigned *out) { return one(__func__, d, "power", out); }
int nvmlDeviceGetTemperature(handle *d, unsigned sensor, unsigned *out) { (void)sensor; return one(__func__, d, "temperature", out); }
int nvmlDeviceGetTotalEccErrors(handle *d, unsigned kind, unsigned counter, unsigned long long *out) {
  BEGIN(d->gpu);
  return counter ? ARGUMENT : value_of(d->gpu, kind ? "ecc1" : "ecc0", out);
}
int nvmlDeviceGetRemappedRows(handle *d, unsigned *a, unsigned *b, unsigned *c, unsigned *e) {
  unsigned *out[] = {a, b, c, e};
  char key[] = "rows0";
  BEGIN(d->gpu);
  for (int i = 0; i < 4; i++) {
    unsigned long long found = 0;
    key[4] = (char)('0' + i);
    if (value_of(d->gpu, key, &found)) return NOT_SUPPORTED;
    *out[i] = (unsigned)found;
  }
  return OK;
}
int nvmlDeviceGetFieldValues(handle *d, int count, field_value *out) {
  BEGIN(d->gpu);
  for (int i = 0; i < count; i++) {
    unsigned long long found = 0;
    out[i].status = out[i].field == 230 ? value_of(d->gpu, "recovery", &found) : NOT_SUPPORTED;
    out[i].type = 1;
    out[i].value = found;
  }
  return OK;
}

static int running(const char *function, handle *d, const char *kind, unsigned *count, process *out) {
  unsigned found = 0, room = *count;
  int code = begin(function, d->gpu);
  if (code) return code;
  for (int i = 0; i < now.runs; i++)
    if (now.run[i].gpu == d->gpu && !strcmp(now.run[i].kind, kind)) {
      if (out && found < room) out[found] = now.run[i].of;
      found++;
    }
  *count = found;
  return found > room ? TOO_SMALL : OK;
}
int nvmlDeviceGetComputeRunningProcesses_v3(handle *d, unsigned *n, process *out) { return running(__func__, d, "compute", n, out); }
int nvmlDeviceGetComputeRunningProcesses_v2(handle *d, unsigned *n, process *out) { return running(__func__, d, "compute", n, out); }
int nvmlDeviceGetGraphicsRunningProcesses_v3(handle *d, unsigned *n, process *out) { return running(__func__, d, "graphics", n, out); }

int nvmlDeviceGetMigMode(handle *d, unsigned *current, unsigned *pending) {
  unsigned long long on = 0;
  BEGIN(d->gpu);
  if (value_of(d->gpu, "mig", &on)) return NOT_SUPPORTED;
  *current = *pending = (unsigned)on;
  return OK;
}
int nvmlDeviceGetMaxMigDeviceCount(handle *d, unsigned *out) { BEGIN(d->gpu); *out = PLACES; return OK; }
int nvmlDeviceGetMigDeviceHandleByIndex(handle *d, unsigned place, handle **out) {
  BEGIN(d->gpu);
  if (place >= PLACES || !now.mig[d->gpu][place].there) return NOT_FOUND;
  part[d->gpu][place] = (handle){d->gpu, (int)place};
  *out = &part[d->gpu][place];
  return OK;
}
int nvmlDeviceGetGpuInstanceId(handle *d, unsigned *out) { BEGIN(d->gpu); *out = now.mig[d->gpu][d->place].gi; return OK; }
int nvmlDeviceGetComputeInstanceId(handle *d, unsigned *out) { BEGIN(d->gpu); *out = now.mig[d->gpu][d->place].ci; return OK; }
int nvmlDeviceGetAttributes_v2(handle *d, unsigned *out) {
  BEGIN(d->gpu);
  memset(out, 0, 40);
  *(unsigned long long *)(out + 8) = now.mig[d->gpu][d->place].mib;
  return OK;
}

typedef struct { int taken; double count[3]; } sample;
typedef struct {
  unsigned version, count;
  sample *first, *second;
  struct { unsigned id, status; double value; char *names[3]; } metric[];
} metrics;
int nvmlGpmQueryDeviceSupport(handle *d, unsigned *out) {
  unsigned long long has = 0;
  BEGIN(d->gpu);
  if (out[0] != 1 || d->place >= 0) return ARGUMENT;
  value_of(d->gpu, "gpm", &has); /* as an Ampere: asked, and it has none */
  out[1] = (unsigned)has;
  return OK;
}
int nvmlGpmSampleAlloc(sample **out) { BEGIN(-1); *out = calloc(1, sizeof **out); samples++; return OK; }
int nvmlGpmSampleFree(sample *s) { BEGIN(-1); free(s); samples--; return OK; }
int nvmlGpmMigSampleGet(handle *d, unsigned gi, sample *out) {
  BEGIN(d->gpu);
  for (int i = 0; i < now.gpms; i++)
    if (now.gpm[i].gpu == d->gpu && now.gpm[i].gi == gi) {
      memcpy(out->count, now.gpm[i].count, sizeof out->count);
      out->taken = 1;
      return OK;
    }
  return NOT_FOUND;
}
int nvmlGpmMetricsGet(metrics *m) {
  BEGIN(-1);
  double passed = m->second->count[0] - m->first->count[0];
  if (m->version != 1 || !m->first->taken || !m->second->taken || passed <= 0) return ARGUMENT;
  for (unsigned i = 0; i < m->count; i++) {
    unsigned id = m->metric[i].id;
    m->metric[i].status = id == 1 || id == 2 ? OK : NOT_SUPPORTED;
    if (m->metric[i].status == OK) m->metric[i].value = 100 * (m->second->count[id] - m->first->count[id]) / passed;
  }
  return OK;
}

int nvmlEventSetCreate(void **out) { BEGIN(-1); memset(listening, 0, sizeof listening); *out = &sets; sets++; return OK; }
int nvmlEventSetFree(void *set) { (void)set; BEGIN(-1); return OK; }
int nvmlDeviceGetSupportedEventTypes(handle *d, unsigned long long *out) { BEGIN(d->gpu); *out = 0x19; return OK; }
int nvmlDeviceRegisterEvents(handle *d, unsigned long long kinds, void *set) {
  (void)set;
  BEGIN(d->gpu);
  if (kinds != 8 || listening[d->gpu]) return ARGUMENT;
  listening[d->gpu] = 1;
  return OK;
}
int nvmlEventSetWait_v2(void *set, event *out, unsigned timeout) {
  (void)set; (void)timeout;
  BEGIN(-1);
  for (int g = 0; g < GPUS; g++) /* as the driver does: one lost GPU of the set speaks for all */
    if (listening[g] && begin("nvmlEventSetWait_v2", g) == 15) return 15;
  while (seen_xids < (unsigned)now.xids) {
    int g = now.xid[seen_xids].gpu;
    unsigned long long code = now.xid[seen_xids++].code;
    if (!listening[g]) continue;
    *out = (event){&whole[g], 8, code, ~0u, ~0u};
    return OK;
  }
  return TIMEOUT;
}
