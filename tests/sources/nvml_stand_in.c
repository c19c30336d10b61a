/* A stand-in for libnvidia-ml.so.1: no GPU, no driver, only the calls the NVIDIA sampler makes, with the types, return
 * codes and habits that nvml.h documents. Tests compile it and have the real pynvml module load it by its own search.
 *
 * GPU 0 is like an H200: ECC, row remapping, MIG, no fan. GPU 1 is like a desktop card: a fan, no ECC, no remapping,
 * no memory sensor, no energy counter, no events. Further GPUs (FAKE_NVML_GPUS) are like GPU 0.
 *
 * FAKE_NVML_CONTROL names a file read anew in each call, one instruction a line; `*` stands for any GPU:
 *     fail FUNCTION GPU CODE      that call answers CODE (for a numbered field, FUNCTION is field82)
 *     value FUNCTION GPU NUMBER   that call's first number is NUMBER
 *     lost GPU                    every call for that GPU answers NVML_ERROR_GPU_IS_LOST
 *     gpus N                      so many GPUs are listed
 *     absent GPU                  it is not listed: those behind it move up
 *     xid ID GPU CODE             an XID error, delivered once for each ID (from 1 to 255)
 *     process GPU PID BYTES       a process; BYTES 18446744073709551615 is "not available"
 *     mig GPU INDEX               an instance of a divided GPU
 * OLD_DRIVER leaves out the calls that came after driver 470. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long long u64;
typedef unsigned int u32;
typedef struct gpu { u32 physical; u32 mig; } *handle;

enum { OK = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7,
       TIMEOUT = 10, GPU_IS_LOST = 15, VERSION_MISMATCH = 25 };
enum { MAX_GPUS = 16, MAX_MIGS = 7 };

static struct gpu gpus[MAX_GPUS], migs[MAX_GPUS][MAX_MIGS];
static int open_count;
static int registered[MAX_GPUS];
static unsigned char delivered[256];

/* Calls seen(line) for each line of the control file until it answers non-zero, and gives that answer. */
static int each_line(int (*seen)(const char *line, void *with), void *with) {
    const char *path = getenv("FAKE_NVML_CONTROL");
    FILE *file = path ? fopen(path, "r") : NULL;
    char line[256];
    int answer = 0;
    if (!file) return 0;
    while (!answer && fgets(line, sizeof line, file)) answer = seen(line, with);
    fclose(file);
    return answer;
}

struct call { const char *name; int gpu; int code; u64 *value; };

static int is_gpu(const char *text, int gpu) { return !strcmp(text, "*") || atoi(text) == gpu; }

static int see_call(const char *line, void *with) {
    struct call *call = with;
    char verb[16], name[64], gpu[16];
    u64 number;
    if (sscanf(line, "lost %15s", gpu) == 1 && call->gpu >= 0 && is_gpu(gpu, call->gpu)) {
        call->code = GPU_IS_LOST;
        return 1;
    }
    if (sscanf(line, "%15s %63s %15s %llu", verb, name, gpu, &number) != 4) return 0;
    if (strcmp(name, call->name) || !is_gpu(gpu, call->gpu)) return 0;
    if (!strcmp(verb, "fail")) { call->code = (int)number; return 1; }
    if (!strcmp(verb, "value") && call->value) *call->value = number;
    return 0;
}

/* What the control file says of a call: its return code, and its first number in *value. */
static int control(const char *name, handle gpu, u64 *value) {
    struct call call = { name, gpu ? (int)gpu->physical : -1, OK, value };
    if (!open_count && strcmp(name, "nvmlInitWithFlags")) return UNINITIALIZED;
    each_line(see_call, &call);
    return call.code;
}

static int desktop(handle gpu) { return gpu->physical == 1; }

static int number(const char *name, handle gpu, u64 value, u32 *out) {
    int code = control(name, gpu, &value);
    if (code == OK) *out = (u32)value;
    return code;
}

/* --- the library and its list --------------------------------------------------------------------------------- */

int nvmlInitWithFlags(u32 flags) {
    int code = control("nvmlInitWithFlags", NULL, NULL);
    (void)flags;
    if (code == OK) open_count++;
    return code;
}

int nvmlShutdown(void) {
    int code = control("nvmlShutdown", NULL, NULL);
    if (code == OK && --open_count == 0) memset(registered, 0, sizeof registered);
    return code;
}

const char *nvmlErrorString(int code) {
    switch (code) {
        case OK: return "Success";
        case UNINITIALIZED: return "Uninitialized";
        case INVALID_ARGUMENT: return "Invalid Argument";
        case NOT_SUPPORTED: return "Not Supported";
        case 4: return "Insufficient Permissions";
        case 9: return "Driver Not Loaded";
        case TIMEOUT: return "Timeout";
        case GPU_IS_LOST: return "GPU is lost";
        case 16: return "GPU requires restart";
        case 18: return "Driver/library version mismatch";
        default: return "Unknown Error";
    }
}

static int see_gpus(const char *line, void *with) {
    u32 count;
    if (sscanf(line, "gpus %u", &count) == 1) *(u32 *)with = count;
    return 0;
}

static int see_absent(const char *line, void *with) {
    u32 gpu;
    return sscanf(line, "absent %u", &gpu) == 1 && gpu == *(u32 *)with;
}

static int listed(u32 physical) { return !each_line(see_absent, &physical); }

static u32 how_many(void) {
    const char *given = getenv("FAKE_NVML_GPUS");
    u32 count = given ? (u32)atoi(given) : 2;
    each_line(see_gpus, &count);
    return count > MAX_GPUS ? MAX_GPUS : count;
}

int nvmlDeviceGetCount_v2(u32 *count) {
    int code = control("nvmlDeviceGetCount", NULL, NULL);
    u32 all = how_many();
    if (code != OK) return code;
    *count = 0;
    for (u32 gpu = 0; gpu < all; gpu++) *count += (u32)listed(gpu);
    return OK;
}

int nvmlDeviceGetHandleByIndex_v2(u32 index, handle *device) {
    u32 all = how_many();
    for (u32 gpu = 0; gpu < all; gpu++) {
        if (!listed(gpu) || index--) continue;
        gpus[gpu].physical = gpu;
        gpus[gpu].mig = 0;
        *device = &gpus[gpu];
        return control("nvmlDeviceGetHandleByIndex", *device, NULL);
    }
    return INVALID_ARGUMENT;
}

int nvmlSystemGetDriverVersion(char *text, u32 size) {
    snprintf(text, size, "570.86.15");
    return control("nvmlSystemGetDriverVersion", NULL, NULL);
}

int nvmlDeviceGetUUID(handle gpu, char *text, u32 size) {
    const char *kind = gpu->mig ? "MIG" : "GPU";
    snprintf(text, size, "%s-%08x-1111-2222-3333-%012x", kind, gpu->physical + 0xa0, gpu->mig);
    return control("nvmlDeviceGetUUID", gpu, NULL);
}

int nvmlDeviceGetName(handle gpu, char *text, u32 size) {
    snprintf(text, size, gpu->mig ? "NVIDIA H200 MIG 1g.18gb" : desktop(gpu) ? "NVIDIA GeForce RTX 4090" : "NVIDIA H200");
    return control("nvmlDeviceGetName", gpu, NULL);
}

struct pci { char legacy[16]; u32 domain, bus, device, id, subsystem; char bus_id[32]; };

int nvmlDeviceGetPciInfo_v3(handle gpu, struct pci *pci) {
    memset(pci, 0, sizeof *pci);
    snprintf(pci->bus_id, sizeof pci->bus_id, "00000000:%02X:00.0", gpu->physical + 0x1b);
    return gpu->mig ? INVALID_ARGUMENT : control("nvmlDeviceGetPciInfo", gpu, NULL);
}

/* --- what is measured ------------------------------------------------------------------------------------------ */

struct utilization { u32 gpu, memory; };

int nvmlDeviceGetUtilizationRates(handle gpu, struct utilization *found) {
    found->memory = 40;
    return number("nvmlDeviceGetUtilizationRates", gpu, 97, &found->gpu);
}

struct memory { u64 total, free, used; };

int nvmlDeviceGetMemoryInfo(handle gpu, struct memory *memory) {
    u64 used = gpu->mig ? 3ULL << 30 : (10ULL << 30) + (1ULL << 29);
    int code = control("nvmlDeviceGetMemoryInfo", gpu, &used);
    memory->total = gpu->mig ? 18ULL << 30 : desktop(gpu) ? 24ULL << 30 : 140ULL << 30;
    memory->used = used;
    memory->free = memory->total - used;
    return code;
}

#ifndef OLD_DRIVER
struct memory_v2 { u32 version; u64 total, reserved, free, used; };

int nvmlDeviceGetMemoryInfo_v2(handle gpu, struct memory_v2 *memory) {
    u64 used = 10ULL << 30;
    int code = control("nvmlDeviceGetMemoryInfo", gpu, &used);
    if (memory->version != (sizeof *memory | 2u << 24)) return VERSION_MISMATCH;
    memory->total = desktop(gpu) ? 24ULL << 30 : 140ULL << 30;
    memory->reserved = 1ULL << 29;
    memory->used = used;
    memory->free = memory->total - memory->reserved - used;
    return code;
}
#endif

int nvmlDeviceGetTemperature(handle gpu, int sensor, u32 *found) {
    return sensor ? INVALID_ARGUMENT : number("nvmlDeviceGetTemperature", gpu, 61, found);
}

int nvmlDeviceGetPowerUsage(handle gpu, u32 *found) { return number("nvmlDeviceGetPowerUsage", gpu, 512345, found); }

int nvmlDeviceGetEnforcedPowerLimit(handle gpu, u32 *found) {
    return number("nvmlDeviceGetEnforcedPowerLimit", gpu, 700000, found);
}

int nvmlDeviceGetTotalEnergyConsumption(handle gpu, u64 *found) {
    *found = 123456789;
    return desktop(gpu) ? NOT_SUPPORTED : control("nvmlDeviceGetTotalEnergyConsumption", gpu, found);
}

int nvmlDeviceGetClockInfo(handle gpu, int type, u32 *found) {
    static const u32 clocks[] = { 1755, 1980, 3201 };
    return type > 2 ? INVALID_ARGUMENT : number("nvmlDeviceGetClockInfo", gpu, clocks[type], found);
}

int nvmlDeviceGetPerformanceState(handle gpu, u32 *found) {
    return number("nvmlDeviceGetPerformanceState", gpu, 0, found);
}

#ifndef OLD_DRIVER
int nvmlDeviceGetCurrentClocksEventReasons(handle gpu, u64 *found) {
    *found = 0x4;
    return control("nvmlDeviceGetCurrentClocksEventReasons", gpu, found);
}
#endif

int nvmlDeviceGetCurrentClocksThrottleReasons(handle gpu, u64 *found) {
    *found = 0x1;
    return control("nvmlDeviceGetCurrentClocksThrottleReasons", gpu, found);
}

int nvmlDeviceGetFanSpeed(handle gpu, u32 *found) {
    return desktop(gpu) ? number("nvmlDeviceGetFanSpeed", gpu, 45, found) : NOT_SUPPORTED;
}

int nvmlDeviceGetEncoderUtilization(handle gpu, u32 *found, u32 *period) {
    *period = 167000;
    return number("nvmlDeviceGetEncoderUtilization", gpu, 3, found);
}

int nvmlDeviceGetDecoderUtilization(handle gpu, u32 *found, u32 *period) {
    *period = 167000;
    return number("nvmlDeviceGetDecoderUtilization", gpu, 4, found);
}

int nvmlDeviceGetTotalEccErrors(handle gpu, int type, int counter, u64 *found) {
    if (counter != 0) return INVALID_ARGUMENT;
    *found = type ? 0 : 5;
    return desktop(gpu) ? NOT_SUPPORTED : control("nvmlDeviceGetTotalEccErrors", gpu, found);
}

int nvmlDeviceGetRemappedRows(handle gpu, u32 *corrected, u32 *uncorrected, u32 *pending, u32 *failed) {
    *uncorrected = 1;
    *pending = 1;
    *failed = 0;
    return desktop(gpu) ? NOT_SUPPORTED : number("nvmlDeviceGetRemappedRows", gpu, 2, corrected);
}

int nvmlDeviceGetRetiredPages(handle gpu, int cause, u32 *count, u64 *pages) {
    u32 there = cause == 0 ? 2 : 0;
    int code = control("nvmlDeviceGetRetiredPages", gpu, NULL);
    if (desktop(gpu)) return NOT_SUPPORTED;
    if (code != OK) return code;
    if (*count < there) { *count = there; return INSUFFICIENT_SIZE; }
    for (u32 page = 0; pages && page < there; page++) pages[page] = 0x1000 * page;
    *count = there;
    return OK;
}

int nvmlDeviceGetRetiredPagesPendingStatus(handle gpu, u32 *found) {
    return desktop(gpu) ? NOT_SUPPORTED : number("nvmlDeviceGetRetiredPagesPendingStatus", gpu, 0, found);
}

int nvmlDeviceGetPcieReplayCounter(handle gpu, u32 *found) {
    return number("nvmlDeviceGetPcieReplayCounter", gpu, 7, found);
}

int nvmlDeviceGetCurrPcieLinkGeneration(handle gpu, u32 *found) {
    return number("nvmlDeviceGetCurrPcieLinkGeneration", gpu, 5, found);
}

int nvmlDeviceGetCurrPcieLinkWidth(handle gpu, u32 *found) {
    return number("nvmlDeviceGetCurrPcieLinkWidth", gpu, 16, found);
}

int nvmlDeviceGetPcieThroughput(handle gpu, int direction, u32 *found) {
    return number("nvmlDeviceGetPcieThroughput", gpu, direction ? 2500 : 1500, found);
}

struct field { u32 id, scope; long long timestamp, latency; int type, code; union { double d; u32 u; u64 ull; } value; };

int nvmlDeviceGetFieldValues(handle gpu, int count, struct field *fields) {
    int code = control("nvmlDeviceGetFieldValues", gpu, NULL);
    if (code != OK) return code;
    for (int i = 0; i < count; i++) {
        struct field *field = &fields[i];
        u64 value = field->id == 82 ? 70 : field->id == 197 ? 1111111111111 : field->id == 198 ? 2222222222222 : 0;
        char name[24];
        snprintf(name, sizeof name, "field%u", field->id);
        field->code = control(name, gpu, &value);
        if (field->code == OK && field->id != 82 && field->id != 197 && field->id != 198 && field->id != 230)
            field->code = INVALID_ARGUMENT;
        if (field->code == OK && desktop(gpu)) field->code = NOT_SUPPORTED;
        field->type = field->id == 82 || field->id == 230 ? 1 : 3;
        if (field->type == 1) field->value.u = (u32)value;
        else field->value.ull = value;
    }
    return OK;
}

/* --- processes, MIG, events ------------------------------------------------------------------------------------ */

struct process { u32 pid; u64 used; u32 gpu_instance, compute_instance; };
struct processes { u32 gpu, room, count; struct process *list; };

static int see_process(const char *line, void *with) {
    struct processes *found = with;
    u32 gpu, pid;
    u64 used;
    if (sscanf(line, "process %u %u %llu", &gpu, &pid, &used) != 3 || gpu != found->gpu) return 0;
    if (found->list && found->count < found->room)
        found->list[found->count] = (struct process){ pid, used, 0xFFFFFFFF, 0xFFFFFFFF };
    found->count++;
    return 0;
}

static int processes(const char *name, handle gpu, u32 *count, struct process *list) {
    struct processes found = { gpu->physical, list ? *count : 0, 0, list };
    int code = control(name, gpu, NULL);
    if (code != OK) return code;
    each_line(see_process, &found);
    code = found.count > found.room ? INSUFFICIENT_SIZE : OK;
    *count = found.count;
    return code;
}

#ifdef OLD_DRIVER
int nvmlDeviceGetComputeRunningProcesses_v2(handle gpu, u32 *count, struct process *list) {
    return processes("nvmlDeviceGetComputeRunningProcesses", gpu, count, list);
}
#else
int nvmlDeviceGetComputeRunningProcesses_v3(handle gpu, u32 *count, struct process *list) {
    return processes("nvmlDeviceGetComputeRunningProcesses", gpu, count, list);
}
#endif

struct mig { u32 gpu, index; };

static int see_mig(const char *line, void *with) {
    struct mig *wanted = with, seen;
    return sscanf(line, "mig %u %u", &seen.gpu, &seen.index) == 2 && seen.gpu == wanted->gpu
        && (wanted->index == ~0u || seen.index == wanted->index);
}

int nvmlDeviceGetMigMode(handle gpu, u32 *current, u32 *pending) {
    struct mig any = { gpu->physical, ~0u };
    *pending = (u32)each_line(see_mig, &any);
    return desktop(gpu) ? NOT_SUPPORTED : number("nvmlDeviceGetMigMode", gpu, *pending, current);
}

int nvmlDeviceGetMaxMigDeviceCount(handle gpu, u32 *count) {
    *count = MAX_MIGS;
    return control("nvmlDeviceGetMaxMigDeviceCount", gpu, NULL);
}

int nvmlDeviceGetMigDeviceHandleByIndex(handle gpu, u32 index, handle *found) {
    struct mig wanted = { gpu->physical, index };
    if (index >= MAX_MIGS) return INVALID_ARGUMENT;
    if (!each_line(see_mig, &wanted)) return NOT_FOUND;
    migs[gpu->physical][index] = (struct gpu){ gpu->physical, index + 1 };
    *found = &migs[gpu->physical][index];
    return OK;
}

struct event { handle device; u64 type, data; u32 gpu_instance, compute_instance; };

int nvmlEventSetCreate(void **set) {
    *set = registered;
    return control("nvmlEventSetCreate", NULL, NULL);
}

int nvmlEventSetFree(void *set) {
    (void)set;
    return control("nvmlEventSetFree", NULL, NULL);
}

int nvmlDeviceRegisterEvents(handle gpu, u64 types, void *set) {
    int code = control("nvmlDeviceRegisterEvents", gpu, NULL);
    if (set != registered || types != 8) return INVALID_ARGUMENT;
    if (desktop(gpu)) return NOT_SUPPORTED;
    registered[gpu->physical] = code == OK;
    return code;
}

static int see_event(const char *line, void *with) {
    struct event *event = with;
    u32 id, gpu;
    u64 code;
    if (sscanf(line, "xid %u %u %llu", &id, &gpu, &code) != 3 || id > 255 || delivered[id] || !registered[gpu]) return 0;
    delivered[id] = 1;
    *event = (struct event){ &gpus[gpu], 8, code, 0xFFFFFFFF, 0xFFFFFFFF };
    return 1;
}

int nvmlEventSetWait_v2(void *set, struct event *event, u32 milliseconds) {
    int code = control("nvmlEventSetWait", NULL, NULL);
    (void)milliseconds; /* the wait itself is left out: nothing can arrive during it */
    if (set != registered) return INVALID_ARGUMENT;
    if (code != OK) return code;
    return each_line(see_event, event) ? OK : TIMEOUT;
}
