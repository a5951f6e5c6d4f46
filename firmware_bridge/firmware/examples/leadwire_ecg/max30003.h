/* MAX30003 (and the ECG half of a MAX30001) on SPI: the chip keeps the pace, and up to 32 samples in its FIFO.
 *
 * Registers: Maxim's data sheet 19-8559. SCK, MISO and MOSI are the board's own.
 */
#include <SPI.h>

#define SELECT_PIN 7
#define RATE_HZ 250
#define LOOK_EVERY_US 1000 /* each look is a few bytes of SPI beside a quiet input */

enum {
    REG_STATUS = 0x01,
    REG_MNGR_INT = 0x04,
    REG_SW_RST = 0x08,
    REG_SYNCH = 0x09,
    REG_FIFO_RST = 0x0A,
    REG_CNFG_GEN = 0x10,
    REG_CNFG_EMUX = 0x14,
    REG_CNFG_ECG = 0x15,
    REG_ECG_FIFO_BURST = 0x20
};
enum { FIFO_WORDS = 32 };
enum { TAG_VALID = 0, TAG_FAST = 1, TAG_LAST = 2, TAG_LAST_FAST = 3 }; /* any other: nothing there, or overflow */

static const uint32_t STATUS_FIFO_FULL_ENOUGH = 1UL << 23, STATUS_OVERFLOW = 1UL << 22, STATUS_LEADS_OFF = 0x0F;
/* 500-Hz family of rates; ECG on; lead-off by 10 nA against +-300 mV; both inputs biased through 100 MOhm. */
static const uint32_t GENERAL = 1UL << 20 | 1UL << 19 | 1UL << 12 | 2UL << 8 | 1UL << 4 | 1UL << 2 | 3UL;
/* The second of that family's rates, 250 a second; 20 V/V; 0.5 Hz; 100 Hz. */
static const uint32_t ECG_CHANNEL = 1UL << 22 | 0UL << 16 | 1UL << 14 | 2UL << 12;

/* 18 bits over +-1 V behind a gain of 20. */
static leadwire_info front_end_info = {0, RATE_HZ, 1, 381470, 0, 18, LEADWIRE_COUNTS_MAX, 500, 1000,
                                       "MAX30003", "leadwire_ecg 1", "I"};
static bool in_step; /* next_us is on the chip's clock */

static void begin_transfer(uint8_t first) {
    SPI.beginTransaction(SPISettings(4000000, MSBFIRST, SPI_MODE0));
    digitalWrite(SELECT_PIN, LOW);
    SPI.transfer(first);
}

static void end_transfer() {
    digitalWrite(SELECT_PIN, HIGH);
    SPI.endTransaction();
}

static uint32_t word_24() {
    uint32_t high = SPI.transfer(0), middle = SPI.transfer(0), low = SPI.transfer(0);
    return high << 16 | middle << 8 | low;
}

static void write_register(uint8_t name, uint32_t value) {
    begin_transfer((uint8_t)(name << 1));
    SPI.transfer((uint8_t)(value >> 16));
    SPI.transfer((uint8_t)(value >> 8));
    SPI.transfer((uint8_t)value);
    end_transfer();
}

static uint32_t read_register(uint8_t name) {
    begin_transfer((uint8_t)(name << 1 | 1));
    uint32_t value = word_24();
    end_transfer();
    return value;
}

static void front_end_begin() {
    pinMode(SELECT_PIN, OUTPUT);
    digitalWrite(SELECT_PIN, HIGH);
    SPI.begin();
    write_register(REG_SW_RST, 0);
    delay(100);
    write_register(REG_CNFG_GEN, GENERAL);
    write_register(REG_CNFG_EMUX, 0); /* both electrodes connected, not inverted */
    write_register(REG_CNFG_ECG, ECG_CHANNEL);
    write_register(REG_MNGR_INT, (uint32_t)(LEADWIRE_COUNTS_MAX - 1) << 19); /* ready when a frame's worth is there */
    delay(100);
    write_register(REG_SYNCH, 0);
}

/* Begin with an empty FIFO, whose next sample is a new one. */
static void front_end_start(uint32_t) {
    write_register(REG_FIFO_RST, 0);
    in_step = false;
}

/* The newest of `waiting` samples is at most a period old: its time is moved no further than that asks for, so that it
 * follows the chip's clock, which is not ours, without the jitter of when we happened to look. */
static void keep_step(uint32_t now, uint8_t waiting) {
    uint32_t behind = (uint32_t)(waiting - 1) * device.period_us;
    int32_t age = (int32_t)(now - (device.next_us + behind));
    if (!in_step)
        device.next_us = now - behind;
    else if (age < 0)
        device.next_us += (uint32_t)age;
    else if (age > (int32_t)device.period_us)
        device.next_us += (uint32_t)age - device.period_us;
    in_step = true;
}

static void front_end_poll() {
    static uint32_t looked_us;
    uint32_t now = micros(), status;
    if (now - looked_us < LOOK_EVERY_US) return;
    looked_us = now;
    status = read_register(REG_STATUS);
    if (!(status & (STATUS_FIFO_FULL_ENOUGH | STATUS_OVERFLOW))) return;
    int32_t counts[FIFO_WORDS];
    uint8_t flags = status & STATUS_LEADS_OFF ? LEADWIRE_LEAD_OFF : 0, waiting = 0;
    bool overflow = (status & STATUS_OVERFLOW) != 0;
    begin_transfer(REG_ECG_FIFO_BURST << 1 | 1);
    for (bool more = !overflow; more && waiting < FIFO_WORDS;) {
        uint32_t word = word_24();
        uint8_t tag = word >> 3 & 7;
        if (tag > TAG_LAST_FAST) {
            overflow = tag == 7;
            break;
        }
        counts[waiting++] = (int32_t)(word << 8) >> 14; /* 18 bits from bit 6 on, with their sign */
        if (tag & TAG_FAST) flags |= LEADWIRE_CLIPPED;  /* it was overdriven and is recovering: no measurement */
        more = tag < TAG_LAST;
    }
    end_transfer();
    if (overflow) {
        write_register(REG_FIFO_RST, 0);
        leadwire_device_resume(&device, now);
        in_step = false;
        return;
    }
    if (waiting == 0) return;
    keep_step(now, waiting);
    for (uint8_t i = 0; i < waiting; i++) leadwire_device_sample(&device, counts[i], flags);
}
