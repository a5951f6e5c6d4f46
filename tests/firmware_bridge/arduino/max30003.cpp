// A MAX30003 as its data sheet tells: registers, a FIFO of 32 samples on its own clock, lead-off status.
#include "board.h"

#include <iostream>

static uint32_t registers[128];
static uint32_t fifo[32];
static unsigned filled;
static bool overflowed, selected, leads_off_held;
static uint64_t begun_us, made;  // when the FIFO's clock was set going; samples since
static double period_us = 4000;
static unsigned position;  // bytes of the transaction
static uint8_t command;
static uint32_t shifting;

void chip_configure(double ppm) { period_us = 4000 * (1 + ppm * 1e-6); }

static bool measuring() {
    uint32_t general = registers[0x10], ecg = registers[0x15];
    return (general >> 19 & 1) && (general >> 20 & 3) == 1 && (ecg >> 22 & 3) == 1;  // on, and 250 a second
}

static void catch_up() {
    if (leads_off && (registers[0x10] >> 12 & 3) == 1 && (registers[0x10] >> 8 & 7) > 0) leads_off_held = true;
    if (!measuring() || begun_us == 0) return;
    for (; (double)(now_us - begun_us) >= (double)(made + 1) * period_us; made++) {
        int32_t value = overdrive ? overdrive : (int32_t)(noise() % 200000) - 100000;
        if (filled == 32) overflowed = true;  // the new one is lost
        else fifo[filled++] = ((uint32_t)value & 0x3FFFF) << 6 | (overdrive ? 1u : 0u) << 3;
        std::cout << "sample " << begun_us + (uint64_t)((double)(made + 1) * period_us) << " " << value << " " << leads_off << "\n";
    }
}

static uint32_t from_fifo() {
    if (overflowed) return 7u << 3;
    if (filled == 0) return 6u << 3;
    uint32_t word = fifo[0];
    for (unsigned i = 1; i < filled; i++) fifo[i - 1] = fifo[i];
    if (--filled == 0) word |= 2u << 3;  // the last one
    return word;
}

static uint32_t status() {
    uint32_t ready = filled > (registers[0x04] >> 19 & 31) ? 1u << 23 : 0;
    uint32_t off = leads_off_held ? 1u << 20 | 0x9 : 0;
    leads_off_held = false;
    return ready | (overflowed ? 1u << 22 : 0) | off;
}

static uint32_t value_of(uint8_t name) {
    if (name == 0x01) return status();
    if (name == 0x20 || name == 0x21) return from_fifo();
    return registers[name];
}

static void put(uint8_t name, uint32_t value) {
    if (name == 0x08) for (uint32_t &r : registers) r = 0;
    registers[name] = value;
    if (name == 0x09) begun_us = now_us, made = 0;
    if (name == 0x08 || name == 0x09 || name == 0x0A) filled = 0, overflowed = false;
}

void chip_select(bool on) {
    catch_up();
    require(on != selected || !on, "selected twice");
    selected = on;
    position = 0;
}

uint8_t chip_transfer(uint8_t byte) {
    require(selected, "a transfer while the chip is not selected");
    catch_up();
    if (position++ == 0) {
        command = byte;
        return 0;
    }
    unsigned at = (position - 2) % 3;
    if (command & 1) {
        require(position <= 4 || command >> 1 == 0x20, "more than a word from a register that is one");
        if (at == 0) shifting = value_of(command >> 1);
        return (uint8_t)(shifting >> (16 - 8 * at));
    }
    shifting = shifting << 8 | byte;
    if (at == 2) put(command >> 1, shifting & 0xFFFFFF);
    return 0;
}
