// A board with a clock, a port and a front end that a scenario drives; what happens is printed, a line each.
#pragma once
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

extern uint64_t now_us;  // the board's clock, unwrapped
extern bool leads_off;   // of whatever front end there is
extern int32_t overdrive; // counts at which the front end stands, or 0

void advance(uint64_t us);
uint32_t noise();  // the same each run

uint8_t chip_transfer(uint8_t byte);  // max30003.cpp
void chip_select(bool selected);
void chip_configure(double ppm);

inline void require(bool good, const char *what) {
    if (good) return;
    fprintf(stderr, "%s\n", what);
    exit(1);
}
