/* The sketch as an Uno's own binary, on simavr's ATmega328P: `uno ELF HEX SECONDS`. What a host says (HEX) goes in after
 * 200 ms, a known voltage stands at A0 at each conversion (its mV on standard error), what is sent comes out as hex. */
#include <simavr/avr_adc.h>
#include <simavr/avr_ioport.h>
#include <simavr/avr_uart.h>
#include <simavr/sim_avr.h>
#include <simavr/sim_elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLOCK_HZ = 16000000, SUPPLY_MV = 5000, BYTES_A_SECOND = 11520 };

static avr_irq_t *analogue_0;

static void sent(avr_irq_t *irq, uint32_t byte, void *unused) {
    (void)irq, (void)unused;
    printf("%02x", (unsigned)byte);
}

static void converting(avr_irq_t *irq, uint32_t value, void *unused) {
    static unsigned conversions;
    union {
        avr_adc_mux_t mux;
        uint32_t value;
    } asked = {.value = value};
    (void)irq, (void)unused;
    if (asked.mux.src != 0) return;
    unsigned mv = 100 + conversions++ * 37 % 4800;
    avr_raise_irq(analogue_0, mv);
    fprintf(stderr, "%u\n", mv);
}

int main(int count, char **words) {
    elf_firmware_t program;
    memset(&program, 0, sizeof program);
    if (count != 4 || elf_read_firmware(words[1], &program)) return 2;
    program.frequency = CLOCK_HZ;
    avr_t *chip = avr_make_mcu_by_name("atmega328p");
    avr_init(chip);
    avr_load_firmware(chip, &program);
    chip->vcc = chip->avcc = chip->aref = SUPPLY_MV;
    uint32_t flags = 0;
    avr_ioctl(chip, AVR_IOCTL_UART_GET_FLAGS('0'), &flags);
    flags &= ~(uint32_t)AVR_UART_FLAG_STDIO;
    avr_ioctl(chip, AVR_IOCTL_UART_SET_FLAGS('0'), &flags);
    avr_irq_register_notify(avr_io_getirq(chip, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUTPUT), sent, NULL);
    avr_irq_t *serial = avr_io_getirq(chip, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_INPUT);
    analogue_0 = avr_io_getirq(chip, AVR_IOCTL_ADC_GETIRQ, ADC_IRQ_ADC0);
    avr_irq_register_notify(avr_io_getirq(chip, AVR_IOCTL_ADC_GETIRQ, ADC_IRQ_OUT_TRIGGER), converting, NULL);
    for (int pin = 2; pin <= 3; pin++) /* 10 and 11: both electrodes are on */
        avr_raise_irq(avr_io_getirq(chip, AVR_IOCTL_IOPORT_GETIRQ('B'), pin), 0);

    const char *say = words[2];
    avr_cycle_count_t next = CLOCK_HZ / 5, end = (avr_cycle_count_t)(atof(words[3]) * CLOCK_HZ);
    while (chip->cycle < end) {
        int state = avr_run(chip);
        if (state == cpu_Done || state == cpu_Crashed) return 1;
        if (*say && chip->cycle >= next) {
            unsigned byte;
            sscanf(say, "%2x", &byte);
            avr_raise_irq(serial, byte);
            say += 2;
            next += 2 * CLOCK_HZ / BYTES_A_SECOND;
        }
    }
    printf("\n");
    return 0;
}
