/* Conditioned windows through leadwire_net.c: on a microcontroller that a debugger is attached to (or QEMU with
 * semihosting), or on the host.
 *
 * windows.bin: float millivolts, a window after the other. heads.bin, for each: the ticks of a 25 MHz clock that the net
 * took and the bytes of stack below its caller (both 0 on the host), the quantized window, the heads. */
#include "leadwire_net.h"

static struct {
    uint32_t ticks, stack_bytes;
    int8_t window[LEADWIRE_NET_SAMPLES];
    leadwire_net_heads heads;
} out;
static float millivolts[LEADWIRE_NET_SAMPLES];

#ifdef __arm__

enum { OPEN = 0x01, WRITE = 0x05, READ = 0x06, EXIT = 0x18 }; /* Arm's semihosting */
enum { READ_BINARY = 1, WRITE_BINARY = 5, EXIT_WELL = 0x20026, EXIT_BADLY = 0x20023 };
#define SYSTICK ((volatile uint32_t *)0xE000E010)
#define CPACR (*(volatile uint32_t *)0xE000ED88)
#define PAINT 0xA5A5A5A5u
extern uint32_t stack_limit, stack_top;

static uint32_t host(uint32_t operation, uintptr_t argument) {
    register uint32_t r0 __asm__("r0") = operation;
    register uintptr_t r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static uint32_t file(uint32_t operation, uint32_t handle, void *bytes, uint32_t size) {
    uint32_t block[3] = {handle, (uint32_t)bytes, size};
    return host(operation, (uintptr_t)block); /* how many bytes were left out */
}

static uint32_t open(const char *name, uint32_t length, uint32_t mode) {
    uint32_t block[3] = {(uint32_t)name, mode, length};
    return host(OPEN, (uintptr_t)block);
}

static void __attribute__((noinline)) measured(void) {
    uint32_t *at, *here = (uint32_t *)__builtin_frame_address(0) - 16; /* below this function's own frame */
    for (at = &stack_limit; at < here; at++) *at = PAINT;
    SYSTICK[1] = 0xFFFFFF;
    SYSTICK[2] = 0;
    SYSTICK[0] = 5; /* from the core's clock, no interrupt */
    leadwire_net_run(out.window, &out.heads);
    out.ticks = 0xFFFFFF - SYSTICK[2];
    for (at = &stack_limit; at < here && *at == PAINT;) at++;
    out.stack_bytes = (uint32_t)((char *)here - (char *)at);
}

void reset(void);
void fault(void);

void reset(void) {
    uint32_t in, to;
    CPACR |= 0xFu << 20; /* the FPU */
    __asm__ volatile("dsb\n isb");
    in = open("windows.bin", 11, READ_BINARY);
    to = open("heads.bin", 9, WRITE_BINARY);
    while (file(READ, in, millivolts, sizeof millivolts) == 0) {
        for (int i = 0; i < LEADWIRE_NET_SAMPLES; i++) out.window[i] = leadwire_net_quantize(millivolts[i]);
        measured();
        if (file(WRITE, to, &out, sizeof out) != 0) fault();
    }
    host(EXIT, EXIT_WELL);
}

void fault(void) {
    for (;;) host(EXIT, EXIT_BADLY);
}

__attribute__((section(".vectors"), used)) static const uintptr_t vectors[] = {
    (uintptr_t)&stack_top, (uintptr_t)reset, (uintptr_t)fault, (uintptr_t)fault,
    (uintptr_t)fault,      (uintptr_t)fault, (uintptr_t)fault,
};

#else

#include <stdio.h>

int main(void) {
    FILE *in = fopen("windows.bin", "rb"), *to = fopen("heads.bin", "wb");
    if (in == NULL || to == NULL) return 1;
    while (fread(millivolts, sizeof millivolts, 1, in) == 1) {
        for (int i = 0; i < LEADWIRE_NET_SAMPLES; i++) out.window[i] = leadwire_net_quantize(millivolts[i]);
        leadwire_net_run(out.window, &out.heads);
        if (fwrite(&out, sizeof out, 1, to) != 1) return 1;
    }
    return fclose(to) != 0;
}

#endif
