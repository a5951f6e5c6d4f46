/* A QEMU plugin that counts the guest's instructions by the file that they were mapped from.
 *
 * Each getsid() of the guest is a mark: all counts so far are written out under it. So what is counted between two
 * marks is what ran between them, and what starting cost drops out.
 *
 * The part of the plugin interface that is used is declared here (version 1, QEMU 5 to 8): Debian ships no header.
 * Counts of several threads at once would race; one thread is what is counted.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef uint64_t qemu_plugin_id_t;
typedef struct {
    const char *target_name;
    struct {
        int min;
        int cur;
    } version;
} qemu_info_t; /* only its beginning is read */
enum { ADD_U64 = 0 };
#define PUBLIC __attribute__((visibility("default")))
PUBLIC int qemu_plugin_version = 1;
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
void *qemu_plugin_insn_haddr(const struct qemu_plugin_insn *);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int, void *, uint64_t);
void qemu_plugin_register_vcpu_syscall_cb(qemu_plugin_id_t,
                                          void (*)(qemu_plugin_id_t, unsigned, int64_t, uint64_t, uint64_t, uint64_t,
                                                   uint64_t, uint64_t, uint64_t, uint64_t, uint64_t));

enum { MOST_FILES = 1024, LONGEST_PATH = 512 };
struct mapped {
    uintptr_t low, high;
    int file;
};
static char paths[MOST_FILES][LONGEST_PATH];
static uint64_t counts[MOST_FILES];
static int files;
static struct mapped *maps;
static size_t mapped;
static int64_t getsid_number;
static uint64_t mark;
static FILE *out;

static int file_named(const char *path)
{
    for (int i = 0; i < files; i++)
        if (!strcmp(paths[i], path))
            return i;
    if (files == MOST_FILES)
        return MOST_FILES - 1;
    snprintf(paths[files], LONGEST_PATH, "%s", path);
    return files++;
}

static void read_maps(void)
{
    char line[LONGEST_PATH + 128];
    FILE *f = fopen("/proc/self/maps", "r");
    mapped = 0;
    while (f && fgets(line, sizeof line, f)) {
        uintptr_t low, high;
        char path[LONGEST_PATH] = "-";
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %*s %*s %*s %*s %511[^\n]", &low, &high, path) < 2)
            continue;
        maps = realloc(maps, (mapped + 1) * sizeof *maps);
        maps[mapped++] = (struct mapped){low, high, file_named(path)};
    }
    if (f)
        fclose(f);
}

static int file_at(uintptr_t address)
{
    for (int again = 0; again < 2; again++) {
        for (size_t i = 0; i < mapped; i++)
            if (maps[i].low <= address && address < maps[i].high)
                return maps[i].file;
        read_maps();
    }
    return file_named("-");
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    struct qemu_plugin_insn *first = qemu_plugin_tb_get_insn(tb, 0);
    int file = file_at((uintptr_t)qemu_plugin_insn_haddr(first));
    qemu_plugin_register_vcpu_tb_exec_inline(tb, ADD_U64, &counts[file], qemu_plugin_tb_n_insns(tb));
}

static void called(qemu_plugin_id_t id, unsigned cpu, int64_t number, uint64_t a1, uint64_t a2, uint64_t a3,
                   uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8)
{
    if (number != getsid_number)
        return;
    for (int i = 0; i < files; i++)
        if (counts[i])
            fprintf(out, "%" PRIu64 " %" PRIu64 " %s\n", mark, counts[i], paths[i]);
    mark++;
    fflush(out);
}

PUBLIC int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    getsid_number = strcmp(info->target_name, "x86_64") ? 156 : 124;
    for (int i = 0; i < argc; i++)
        if (!strncmp(argv[i], "out=", 4))
            out = fopen(argv[i] + 4, "w");
    if (!out) {
        fprintf(stderr, "instructions: needs out=FILE\n");
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_vcpu_syscall_cb(id, called);
    return 0;
}
