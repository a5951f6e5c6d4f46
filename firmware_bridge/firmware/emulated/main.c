/* A wearable without hardware: an Arm MPS2 board (AN385, Cortex-M3), as QEMU has it, plays a heart over its UART.
 *
 * What a real device does, it does: a UART with interrupts, a timer, sleep in between, and leadwire_device.h. Only the
 * front end is a table. Registers: Arm DAI 0385D (AN385), DDI 0479 (the CMSDK's UART), DDI 0403 (SysTick, NVIC).
 */
#include "heart.h"
#include "leadwire_device.h"

#define REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))
#define UART_DATA REGISTER(0x40004000)
#define UART_STATE REGISTER(0x40004004)
#define UART_CTRL REGISTER(0x40004008)
#define UART_INTCLEAR REGISTER(0x4000400C)
#define UART_BAUDDIV REGISTER(0x40004010)
#define MICROSECONDS REGISTER(0x40028018) /* FPGAIO's counter */
#define MICROSECONDS_PRESCALE REGISTER(0x4002801C)
#define SYSTICK_CTRL REGISTER(0xE000E010)
#define SYSTICK_LOAD REGISTER(0xE000E014)
#define NVIC_ENABLE REGISTER(0xE000E100)

enum { CLOCK_HZ = 25000000, BAUD = 115200 };
enum { TX_FULL = 1, RX_FULL = 2 };                    /* UART_STATE */
enum { TX_ON = 1, RX_ON = 2, TX_WAKES = 4, RX_WAKES = 8 }; /* UART_CTRL */
enum { TX_IRQ = 1, RX_IRQ = 2 };                      /* UART_INTCLEAR */
enum { HEARD_MAX = 64 };                              /* a power of two */

static volatile uint8_t heard[HEARD_MAX];
static volatile uint32_t heard_in, heard_out;

void uart_received(void) {
    UART_INTCLEAR = RX_IRQ;
    while (UART_STATE & RX_FULL) {
        uint8_t byte = (uint8_t)UART_DATA;
        if (heard_in - heard_out < HEARD_MAX) heard[heard_in++ % HEARD_MAX] = byte;
    }
}

void uart_sent(void) { UART_INTCLEAR = TX_IRQ; } /* it woke us, which is all */

void tick(void) {} /* likewise */

/* Counts the times that this memory saw the program start: power-up leaves anything here, a reset leaves the count. */
static uint32_t starts __attribute__((section(".kept")));

static leadwire_info info = {0, HEART_RATE_HZ, 1, HEART_PICOVOLTS_PER_COUNT, 0, HEART_BITS, 4, 0, 0,
                             "mps2-an385", "leadwire-emulated 1", "II"};
static leadwire_device device;

static void clocks(void) {
    MICROSECONDS_PRESCALE = CLOCK_HZ / 1000000 - 1;
    UART_BAUDDIV = CLOCK_HZ / BAUD;
    UART_CTRL = TX_ON | RX_ON | TX_WAKES | RX_WAKES;
    NVIC_ENABLE = 3; /* UART 0: received, sent */
    SYSTICK_LOAD = CLOCK_HZ / HEART_RATE_HZ - 1;
    SYSTICK_CTRL = 7; /* on, wakes, from the processor's clock */
}

int main(void) {
    uint32_t next = 0;
    clocks();
    info.boot_id = ++starts;
    leadwire_device_begin(&device, &info);
    for (;;) {
        const uint8_t *bytes;
        size_t left, i;
        while (heard_out != heard_in)
            if (leadwire_device_hear(&device, heard[heard_out++ % HEARD_MAX], MICROSECONDS)) next = 0;
        /* Ticks may merge when the host is busy; the counter does not, so what is due is sent. A table can wait. */
        while (leadwire_device_has_room(&device) && leadwire_device_due(&device, MICROSECONDS)) {
            leadwire_device_sample(&device, heart[next], 0);
            next = next + 1 < HEART_SAMPLES ? next + 1 : 0;
        }
        left = leadwire_device_pending(&device, &bytes);
        for (i = 0; i < left && !(UART_STATE & TX_FULL); i++) UART_DATA = bytes[i];
        leadwire_device_sent(&device, i);
        __asm volatile("wfi"); /* a byte that comes just before it is heard at the next tick */
    }
}

/* ---- before main ------------------------------------------------------------------------------------------------ */

extern uint32_t data_from[], data_begin[], data_end[], bss_begin[], bss_end[], stack_top[];

void reset(void) {
    const uint32_t *from = data_from;
    uint32_t *to;
    for (to = data_begin; to < data_end; to++) *to = *from++;
    for (to = bss_begin; to < bss_end; to++) *to = 0;
    main();
}

void stuck(void) {
    for (;;) __asm volatile("wfi");
}

typedef union {
    void (*call)(void);
    void *stack;
} vector;

__attribute__((section(".vectors"), used)) static const vector vectors[] = {
    {.stack = stack_top}, {reset}, {stuck}, {stuck}, {stuck}, {stuck}, {stuck}, {0},      {0},
    {0},                  {0},     {stuck}, {stuck}, {0},     {stuck}, {tick},  {uart_received}, {uart_sent},
};
