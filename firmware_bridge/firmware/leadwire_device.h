/* A device that speaks the native frame: answers the host, gathers samples into frames, keeps them until they are sent.
 *
 * C99 (or C++), freestanding, no heap, and no port and no clock either: bytes and times are handed in, bytes are taken
 * out. Times are microseconds of the device's own clock and may wrap.
 *
 *     leadwire_device_begin(&device, &info);                        once
 *     if (leadwire_device_hear(&device, byte, now)) ...             for each byte that came; 1: samples begin now
 *     if (leadwire_device_due(&device, now))                        where the device itself keeps the pace
 *         leadwire_device_sample(&device, count, flags);
 *     size = leadwire_device_pending(&device, &bytes);              send what the port takes, and say how much it was
 *     leadwire_device_sent(&device, sent);
 */
#ifndef LEADWIRE_DEVICE_H
#define LEADWIRE_DEVICE_H

#include "leadwire.h"

#ifndef LEADWIRE_COUNTS_MAX
#define LEADWIRE_COUNTS_MAX 16 /* samples a frame, at most */
#endif
#ifndef LEADWIRE_PENDING_MAX
#define LEADWIRE_PENDING_MAX (2 * LEADWIRE_FRAME_MAX) /* bytes that wait for the port */
#endif
#define LEADWIRE_DESCRIBE_EVERY_US 5000000u

typedef struct {
    leadwire_info *info;
    leadwire_listener listener;
    uint32_t next_us; /* when the next sample is taken */
    uint32_t first_us, described_us;
    uint32_t period_us, remainder, owed; /* of a period that is no whole number of microseconds */
    size_t filled, sent;
    uint16_t sequence;
    uint8_t held, flags, streaming, met;
    int32_t counts[LEADWIRE_COUNTS_MAX];
    uint8_t pending[LEADWIRE_PENDING_MAX];
} leadwire_device;

/* `info` stays the caller's and is described as it is then. Its boot_id is any noise that the device has; the time at
 * which the host first speaks is mixed in, so that a restart is seen as one. rate_den is 4294 at most.
 * Gives 0 where it cannot work: no rate, or more samples a frame than there is room for. */
static inline int leadwire_device_begin(leadwire_device *d, leadwire_info *info) {
    static const leadwire_listener silent = {0, 0, 0, 0, 0, 0, 0, 0};
    if (info->rate_num == 0 || info->rate_den == 0 || info->rate_den > 4294) return 0;
    if (info->samples_per_frame < 1 || info->samples_per_frame > LEADWIRE_COUNTS_MAX) return 0;
    d->info = info;
    d->listener = silent;
    d->period_us = 1000000u * info->rate_den / info->rate_num;
    d->remainder = 1000000u * info->rate_den % info->rate_num;
    d->next_us = d->first_us = d->described_us = d->owed = 0;
    d->filled = d->sent = 0;
    d->sequence = 0;
    d->held = d->flags = d->streaming = d->met = 0;
    return 1;
}

/* Where a frame can be built, or NULL: the port is too slow, or nobody reads it. */
static inline uint8_t *leadwire_device_room_(leadwire_device *d) {
    if (d->sent > 0 && LEADWIRE_PENDING_MAX - d->filled < LEADWIRE_FRAME_MAX) {
        size_t i;
        for (i = d->sent; i < d->filled; i++) d->pending[i - d->sent] = d->pending[i];
        d->filled -= d->sent;
        d->sent = 0;
    }
    return LEADWIRE_PENDING_MAX - d->filled < LEADWIRE_FRAME_MAX ? NULL : d->pending + d->filled;
}

/* A frame without room is lost, and its number with it: so the host knows. */
static inline void leadwire_device_close_frame_(leadwire_device *d) {
    if (d->held > 0) {
        uint8_t *room = leadwire_device_room_(d);
        if (room) d->filled += leadwire_samples(room, d->sequence, d->first_us, d->flags, d->counts, d->held);
        d->sequence++;
    }
    d->held = d->flags = 0;
}

/* An INFO without room is none: it is said later, or asked for again. */
static inline void leadwire_device_describe_(leadwire_device *d, uint32_t now_us) {
    uint8_t *room = leadwire_device_room_(d);
    if (!room) return;
    d->filled += leadwire_describe(room, d->sequence++, now_us, d->info);
    d->described_us = now_us;
}

/* One byte from the host. 1 where it ends the word upon which samples begin: the next one is that of `now_us`. */
static inline int leadwire_device_hear(leadwire_device *d, uint8_t byte, uint32_t now_us) {
    uint8_t command = leadwire_hear(&d->listener, byte);
    int begins = command == LEADWIRE_START && !d->streaming;
    if (command == 0) return 0;
    if (!d->met) d->info->boot_id ^= now_us * 2654435761u;
    d->met = 1;
    if (command == LEADWIRE_STOP) {
        d->streaming = 0;
        return 0;
    }
    leadwire_device_describe_(d, now_us);
    if (begins) {
        d->streaming = 1;
        d->held = d->flags = 0;
        d->next_us = now_us;
        d->owed = 0;
    }
    return begins;
}

/* Whether the time of the next sample has come, and somebody wants it. */
static inline int leadwire_device_due(const leadwire_device *d, uint32_t now_us) {
    return d->streaming && (int32_t)(now_us - d->next_us) >= 0;
}

/* Whether a frame that ends now will be sent: a device that can wait with its samples asks first. */
static inline int leadwire_device_has_room(leadwire_device *d) { return leadwire_device_room_(d) != NULL; }

/* The next sample, in ADC counts, with LEADWIRE_LEAD_OFF and the like as far as they are true of it. */
static inline void leadwire_device_sample(leadwire_device *d, int32_t count, uint8_t flags) {
    if (!d->streaming) return;
    if (d->held == 0) d->first_us = d->next_us;
    d->counts[d->held++] = count;
    d->flags = (uint8_t)(d->flags | flags);
    d->next_us += d->period_us;
    d->owed += d->remainder;
    if (d->owed >= d->info->rate_num) {
        d->owed -= d->info->rate_num;
        d->next_us++;
    }
    if (d->held < d->info->samples_per_frame) return;
    leadwire_device_close_frame_(d);
    if (d->next_us - d->described_us >= LEADWIRE_DESCRIBE_EVERY_US) leadwire_device_describe_(d, d->next_us);
}

/* Samples were missed: what is held goes as a short frame, and the next one is that of `time_us`, flagged as overrun. */
static inline void leadwire_device_resume(leadwire_device *d, uint32_t time_us) {
    leadwire_device_close_frame_(d);
    d->flags = LEADWIRE_OVERRUN;
    d->next_us = time_us;
}

/* Bytes to be sent, which stay there until `leadwire_device_sent` says that they were. */
static inline size_t leadwire_device_pending(const leadwire_device *d, const uint8_t **bytes) {
    *bytes = d->pending + d->sent;
    return d->filled - d->sent;
}

static inline void leadwire_device_sent(leadwire_device *d, size_t count) {
    d->sent += count;
    if (d->sent == d->filled) d->sent = d->filled = 0;
}

#endif
