/* One ECG lead from an analogue or an SPI front end, in Leadwire's native frame, at 115200 baud.
 *
 * Choose the front end below; its pins and what else it needs to know are at the top of its file (the tabs ad8232.h and
 * max30003.h). Then `leadwire run --port PORT`. Wiring and flashing: docs/firmware.md.
 *
 * Research use only; not a medical device. Run from a battery while electrodes are on a person.
 */
#define AD8232 1
#define MAX30003 2
#ifndef FRONT_END
#define FRONT_END AD8232 /* or MAX30003 */
#endif

#define LEADWIRE_FRAME_MAX 128 /* an INFO has some 90 bytes, SAMPLES 24: an Arduino Uno has 2 kB in all */
#define LEADWIRE_COUNTS_MAX 4  /* 16 ms at 250 Hz: the host bridges a lost frame of this length */
#define LEADWIRE_PENDING_MAX 384 /* eight frames: as much as a chip's FIFO holds, and an INFO */
#include <leadwire_device.h>

static leadwire_device device;

#if FRONT_END == AD8232
#include "ad8232.h"
#elif FRONT_END == MAX30003
#include "max30003.h"
#else
#error "FRONT_END is AD8232 or MAX30003"
#endif

void setup() {
    Serial.begin(115200);
    front_end_begin();
    leadwire_device_begin(&device, &front_end_info);
}

void loop() {
    while (Serial.available() > 0) {
        uint32_t now = micros();
        if (leadwire_device_hear(&device, (uint8_t)Serial.read(), now)) front_end_start(now);
    }
    front_end_poll();

    const uint8_t *bytes;
    size_t left = leadwire_device_pending(&device, &bytes);
    int room = Serial.availableForWrite(); /* never wait for the host: a sample is due meanwhile */
    if (room > 0 && left > 0) {
        if (left > (size_t)room) left = (size_t)room;
        leadwire_device_sent(&device, Serial.write(bytes, left));
    }
}
