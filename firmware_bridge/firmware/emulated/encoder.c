/* leadwire.h as an object of its own, so that its size and what it asks for can be read. */
#include "leadwire.h"

size_t samples(uint8_t *, uint16_t, uint32_t, uint8_t, const int32_t *, size_t);
size_t describe(uint8_t *, uint16_t, uint32_t, const leadwire_info *);
uint8_t hear(leadwire_listener *, uint8_t);

size_t samples(uint8_t *out, uint16_t sequence, uint32_t time_us, uint8_t flags, const int32_t *counts, size_t count) {
    return leadwire_samples(out, sequence, time_us, flags, counts, count);
}

size_t describe(uint8_t *out, uint16_t sequence, uint32_t time_us, const leadwire_info *info) {
    return leadwire_describe(out, sequence, time_us, info);
}

uint8_t hear(leadwire_listener *listener, uint8_t byte) { return leadwire_hear(listener, byte); }
