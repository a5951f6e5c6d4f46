/* The native frame for a device: C99, freestanding, no heap, one header.
 *
 * Layout: docs/native-frame.md. A frame is built and COBS-encoded in the caller's buffer of LEADWIRE_FRAME_MAX bytes;
 * each function gives the bytes to send, delimiter included, or 0 for arguments that no frame can carry.
 */
#ifndef LEADWIRE_H
#define LEADWIRE_H

#include <stddef.h>
#include <stdint.h>

enum { LEADWIRE_SAMPLES = 1, LEADWIRE_INFO = 2, LEADWIRE_HELLO = 3, LEADWIRE_START = 4, LEADWIRE_STOP = 5 };
enum { LEADWIRE_LEAD_OFF = 1, LEADWIRE_CLIPPED = 2, LEADWIRE_OVERRUN = 4, LEADWIRE_LOW_BATTERY = 8, LEADWIRE_WIDE = 16 };

/* Header 8, flags and count 2, 255 samples of 3 bytes, crc 2, COBS 1 in 254, delimiter 1; an INFO is at most as long. */
#define LEADWIRE_FRAME_MAX 1024

typedef struct {
    uint32_t boot_id, rate_num, rate_den, picovolts_per_count;
    int32_t zero_count;
    uint8_t bits, samples_per_frame;
    uint16_t high_pass_mhz, low_pass_dhz;
    const char *board, *firmware, *lead; /* UTF-8, at most 255 bytes each */
} leadwire_info;

/* Appends to a frame while it runs: COBS and CRC in one pass, no second buffer. */
typedef struct {
    uint8_t *out;
    size_t length, code_at;
    uint16_t crc;
} leadwire_writer;

static inline void leadwire_raw_(leadwire_writer *w, uint8_t byte) {
    if (byte != 0) {
        w->out[w->length++] = byte;
        if (w->length - w->code_at < 255) return;
    }
    w->out[w->code_at] = (uint8_t)(w->length - w->code_at); /* 255: a full block, no zero behind it */
    w->code_at = w->length++;
}

static inline void leadwire_byte_(leadwire_writer *w, uint8_t byte) {
    int bit;
    w->crc ^= (uint16_t)((uint16_t)byte << 8);
    for (bit = 0; bit < 8; bit++) w->crc = (uint16_t)(w->crc & 0x8000 ? (w->crc << 1) ^ 0x1021 : w->crc << 1);
    leadwire_raw_(w, byte);
}

static inline void leadwire_little_(leadwire_writer *w, uint32_t value, int bytes) {
    for (; bytes > 0; bytes--, value >>= 8) leadwire_byte_(w, (uint8_t)value);
}

static inline void leadwire_begin_(leadwire_writer *w, uint8_t *out, uint8_t type, uint16_t sequence, uint32_t time_us) {
    w->out = out;
    w->code_at = 0;
    w->length = 1;
    w->crc = 0xFFFF;
    leadwire_byte_(w, 1); /* version */
    leadwire_byte_(w, type);
    leadwire_little_(w, sequence, 2);
    leadwire_little_(w, time_us, 4);
}

static inline size_t leadwire_end_(leadwire_writer *w) {
    uint16_t crc = w->crc;
    leadwire_raw_(w, (uint8_t)crc);
    leadwire_raw_(w, (uint8_t)(crc >> 8));
    if (w->length - w->code_at == 1 && crc >> 8 != 0) {
        w->length--; /* the last byte filled a block: no empty one behind it */
    } else {
        w->out[w->code_at] = (uint8_t)(w->length - w->code_at);
    }
    w->out[w->length++] = 0;
    return w->length;
}

/* ADC counts of 24 bits at most, 1 to 255 of them; `time_us` is the first one's, on the device's own clock. */
static inline size_t leadwire_samples(uint8_t out[LEADWIRE_FRAME_MAX], uint16_t sequence, uint32_t time_us, uint8_t flags,
                                      const int32_t *counts, size_t count) {
    leadwire_writer w;
    size_t i;
    int wide = 0;
    if (count < 1 || count > 255) return 0;
    for (i = 0; i < count; i++) {
        if (counts[i] < -8388608 || counts[i] > 8388607) return 0;
        wide |= counts[i] < -32768 || counts[i] > 32767;
    }
    flags = (uint8_t)(wide ? flags | LEADWIRE_WIDE : flags & ~LEADWIRE_WIDE);
    leadwire_begin_(&w, out, LEADWIRE_SAMPLES, sequence, time_us);
    leadwire_byte_(&w, flags);
    leadwire_byte_(&w, (uint8_t)count);
    for (i = 0; i < count; i++) leadwire_little_(&w, (uint32_t)counts[i], wide ? 3 : 2);
    return leadwire_end_(&w);
}

static inline void leadwire_text_(leadwire_writer *w, const char *text) {
    size_t length = 0, i;
    while (length < 255 && text[length] != 0) length++;
    leadwire_byte_(w, (uint8_t)length);
    for (i = 0; i < length; i++) leadwire_byte_(w, (uint8_t)text[i]);
}

/* What the stream is: on HELLO, at the start, every 5 s. */
static inline size_t leadwire_describe(uint8_t out[LEADWIRE_FRAME_MAX], uint16_t sequence, uint32_t time_us,
                                       const leadwire_info *info) {
    leadwire_writer w;
    leadwire_begin_(&w, out, LEADWIRE_INFO, sequence, time_us);
    leadwire_little_(&w, info->boot_id, 4);
    leadwire_little_(&w, info->rate_num, 4);
    leadwire_little_(&w, info->rate_den, 4);
    leadwire_little_(&w, info->picovolts_per_count, 4);
    leadwire_little_(&w, (uint32_t)info->zero_count, 4);
    leadwire_byte_(&w, info->bits);
    leadwire_byte_(&w, info->samples_per_frame);
    leadwire_little_(&w, info->high_pass_mhz, 2);
    leadwire_little_(&w, info->low_pass_dhz, 2);
    leadwire_text_(&w, info->board);
    leadwire_text_(&w, info->firmware);
    leadwire_text_(&w, info->lead);
    return leadwire_end_(&w);
}

#endif
