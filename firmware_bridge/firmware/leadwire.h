/* The native frame for a device: C99 (or C++), freestanding, no heap, one header.
 *
 * Layout: docs/native-frame.md. A frame is built and COBS-encoded in the caller's buffer of LEADWIRE_FRAME_MAX bytes;
 * each function gives the bytes to send, delimiter included, or 0 for arguments that no frame can carry, or none of
 * that length. What a host says is heard byte by byte, without a buffer.
 */
#ifndef LEADWIRE_H
#define LEADWIRE_H

#include <stddef.h>
#include <stdint.h>

enum { LEADWIRE_SAMPLES = 1, LEADWIRE_INFO = 2, LEADWIRE_HELLO = 3, LEADWIRE_START = 4, LEADWIRE_STOP = 5 };
enum { LEADWIRE_LEAD_OFF = 1, LEADWIRE_CLIPPED = 2, LEADWIRE_OVERRUN = 4, LEADWIRE_LOW_BATTERY = 8, LEADWIRE_WIDE = 16 };

/* Room for any frame: an INFO with three strings of 255 bytes has 804 with its crc, and COBS adds one in 254. A device
 * with little memory defines less before it includes this. */
#ifndef LEADWIRE_FRAME_MAX
#define LEADWIRE_FRAME_MAX 1024
#endif
#define LEADWIRE_HEARD_MAX 1100 /* between two delimiters; what is longer is no frame */

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

/* CRC-16/CCITT-FALSE, from 0xFFFF on. */
static inline uint16_t leadwire_crc_(uint16_t crc, uint8_t byte) {
    int bit;
    crc ^= (uint16_t)((uint16_t)byte << 8);
    for (bit = 0; bit < 8; bit++) crc = (uint16_t)(crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1);
    return crc;
}

static inline void leadwire_byte_(leadwire_writer *w, uint8_t byte) {
    w->crc = leadwire_crc_(w->crc, byte);
    leadwire_raw_(w, byte);
}

/* Whether there is room for so many bytes, crc included: COBS adds one, and less than one in 128; the delimiter is one. */
static inline int leadwire_fits_(size_t body) { return body + (body >> 7) + 2 <= LEADWIRE_FRAME_MAX; }

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
    if (!leadwire_fits_(12 + count * (wide ? 3u : 2u))) return 0;
    flags = (uint8_t)(wide ? flags | LEADWIRE_WIDE : flags & ~LEADWIRE_WIDE);
    leadwire_begin_(&w, out, LEADWIRE_SAMPLES, sequence, time_us);
    leadwire_byte_(&w, flags);
    leadwire_byte_(&w, (uint8_t)count);
    for (i = 0; i < count; i++) leadwire_little_(&w, (uint32_t)counts[i], wide ? 3 : 2);
    return leadwire_end_(&w);
}

static inline size_t leadwire_length_(const char *text) {
    size_t length = 0;
    while (length < 255 && text[length] != 0) length++;
    return length;
}

static inline void leadwire_text_(leadwire_writer *w, const char *text) {
    size_t length = leadwire_length_(text), i;
    leadwire_byte_(w, (uint8_t)length);
    for (i = 0; i < length; i++) leadwire_byte_(w, (uint8_t)text[i]);
}

/* What the stream is: on HELLO, at the start, every 5 s. */
static inline size_t leadwire_describe(uint8_t out[LEADWIRE_FRAME_MAX], uint16_t sequence, uint32_t time_us,
                                       const leadwire_info *info) {
    leadwire_writer w;
    size_t text = leadwire_length_(info->board) + leadwire_length_(info->firmware) + leadwire_length_(info->lead);
    if (!leadwire_fits_(39 + text)) return 0;
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

/* What a host says. All zero at first; it forgets a frame at the next delimiter, whatever came before. */
typedef struct {
    uint16_t heard, decoded; /* bytes since the delimiter, and of the frame that they make */
    uint16_t crc, tail;      /* the last two bytes are the frame's own crc, if it ends here */
    uint8_t code, left;      /* of the COBS block that is being read */
    uint8_t version, type;
} leadwire_listener;

static inline void leadwire_decoded_(leadwire_listener *l, uint8_t byte) {
    if (l->decoded == 0) l->version = byte;
    if (l->decoded == 1) l->type = byte;
    if (l->decoded >= 2) l->crc = leadwire_crc_(l->crc, (uint8_t)l->tail);
    l->tail = (uint16_t)(l->tail >> 8 | (uint16_t)byte << 8);
    l->decoded++;
}

/* One byte from the host: LEADWIRE_HELLO, LEADWIRE_START or LEADWIRE_STOP where it ends such a frame, else 0. */
static inline uint8_t leadwire_hear(leadwire_listener *l, uint8_t byte) {
    if (byte == 0) {
        int whole = l->heard > 0 && l->heard <= LEADWIRE_HEARD_MAX && l->left == 0 && l->decoded >= 10;
        l->heard = 0;
        if (!whole || l->crc != l->tail || l->version != 1) return 0;
        return l->type >= LEADWIRE_HELLO && l->type <= LEADWIRE_STOP ? l->type : 0;
    }
    if (l->heard == 0) {
        l->decoded = 0;
        l->crc = 0xFFFF;
        l->code = 255; /* no zero before the first block */
        l->left = 0;
    }
    if (l->heard <= LEADWIRE_HEARD_MAX) l->heard++;
    if (l->left > 0) {
        l->left--;
        leadwire_decoded_(l, byte);
    } else {
        if (l->code < 255) leadwire_decoded_(l, 0);
        l->code = byte;
        l->left = (uint8_t)(byte - 1);
    }
    return 0;
}

#endif
