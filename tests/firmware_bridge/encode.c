/* The header on demand: a line in, out comes its frame in hex, or the commands that were heard in its bytes. */
#include <inttypes.h>
#include <stdio.h>

#include "leadwire.h"

int main(void) {
    char kind;
    uint32_t sequence, time_us;
    while (scanf(" %c %" SCNu32 " %" SCNu32, &kind, &sequence, &time_us) == 3) {
        uint8_t out[LEADWIRE_FRAME_MAX]; /* not a byte more: the address sanitizer sees one */
        size_t size = 0, i;
        if (kind == 'S') {
            int32_t counts[256];
            uint32_t flags, count;
            if (scanf("%" SCNu32 " %" SCNu32, &flags, &count) != 2 || count > 256) return 1;
            for (i = 0; i < count; i++)
                if (scanf("%" SCNd32, &counts[i]) != 1) return 1;
            size = leadwire_samples(out, (uint16_t)sequence, time_us, (uint8_t)flags, counts, count);
        } else if (kind == 'H') { /* so many bytes */
            static leadwire_listener listener;
            leadwire_listener silent = {0, 0, 0, 0, 0, 0, 0, 0};
            listener = silent;
            for (i = 0; i < sequence; i++) {
                unsigned byte;
                uint8_t command;
                if (scanf("%2x", &byte) != 1) return 1;
                command = leadwire_hear(&listener, (uint8_t)byte);
                if (command) printf("%u", (unsigned)command);
            }
        } else {
            leadwire_info about;
            char board[256], firmware[256], lead[256];
            if (scanf("%" SCNu32 " %" SCNu32 " %" SCNu32 " %" SCNu32 " %" SCNd32 " %" SCNu8 " %" SCNu8 " %" SCNu16 " %" SCNu16
                      " %255s %255s %255s",
                      &about.boot_id, &about.rate_num, &about.rate_den, &about.picovolts_per_count, &about.zero_count,
                      &about.bits, &about.samples_per_frame, &about.high_pass_mhz, &about.low_pass_dhz, board, firmware,
                      lead) != 12)
                return 1;
            about.board = board;
            about.firmware = firmware;
            about.lead = lead;
            size = leadwire_describe(out, (uint16_t)sequence, time_us, &about);
        }
        for (i = 0; i < size; i++) printf("%02x", out[i]);
        printf("\n");
    }
    return 0;
}
