// An Uno-like board: 115200 baud behind 64 bytes, a clock that goes on with every call, an ADC of 10 bits.
//
// A scenario on standard input, in order of time: `AT_US VERB VALUE`, with VERB one of say (hex, from the host), off (0 or 1:
// electrodes), rail (a count to stand at, 0: none), jam (0 or 1: the host does not read), stall (us that the program loses),
// ppm (of a front end's own clock) and end.
#include <Arduino.h>
#include <SPI.h>

#include <iostream>
#include <string>
#include <vector>

#include "board.h"

uint64_t now_us;
bool leads_off;
int32_t overdrive;
SerialPort Serial;
SpiBus SPI;

static const uint64_t START_US = 0xFFFFFFFFu - 3000000u;  // the 32-bit clock wraps three seconds later
static const double BYTE_US = 10 * 1e6 / 115200;
static const size_t TX_BUFFER = 63;
static std::vector<uint8_t> to_device, from_device;
static double tx_free_us;  // when the last byte will have left
static bool jammed, bus_taken;
static uint32_t state = 1;

uint32_t noise() {
    state = state * 1664525u + 1013904223u;
    return state >> 8;
}

void advance(uint64_t us) { now_us += us; }

uint32_t micros() {
    advance(4);
    return (uint32_t)now_us;
}
void delay(uint32_t ms) { advance(ms * 1000ull); }
void pinMode(uint8_t, uint8_t) {}
void digitalWrite(uint8_t pin, uint8_t level) {
    require(pin == 7, "only the chip's select pin is written");
    chip_select(level == LOW);
}
int digitalRead(uint8_t pin) {
    require(pin == 10 || pin == 11, "a pin that nothing is connected to");
    return pin == 10 && leads_off ? HIGH : LOW;
}
int analogRead(uint8_t pin) {
    uint64_t at = now_us;
    advance(104);
    if (pin == A3) return (int)(noise() % 1024);
    require(pin == A0, "an analogue pin that nothing is connected to");
    int count = overdrive ? overdrive : 1 + (int)(noise() % 1022);
    std::cout << "sample " << at << " " << count << " " << leads_off << "\n";
    return count;
}

void SerialPort::begin(uint32_t baud) { require(baud == 115200, "the board table says 115200 baud"); }
int SerialPort::available() { return (int)to_device.size(); }
int SerialPort::read() {
    require(!to_device.empty(), "a byte was read that is not there");
    int byte = to_device.front();
    to_device.erase(to_device.begin());
    return byte;
}
int SerialPort::availableForWrite() {
    if (jammed) return 0;
    double waiting = (tx_free_us - (double)now_us) / BYTE_US;
    return (int)(TX_BUFFER - (waiting > 0 ? (size_t)waiting + 1 : 0));
}
size_t SerialPort::write(const uint8_t *bytes, size_t count) {
    require((int)count <= availableForWrite(), "a write that would have waited for the host");
    if (tx_free_us < (double)now_us) tx_free_us = (double)now_us;
    tx_free_us += (double)count * BYTE_US;
    from_device.insert(from_device.end(), bytes, bytes + count);
    return count;
}

SPISettings::SPISettings(uint32_t hz, uint8_t order, uint8_t mode) {
    require(hz <= 12000000 && order == MSBFIRST && mode == SPI_MODE0, "not the chip's way of SPI");
}
void SpiBus::begin() {}
void SpiBus::beginTransaction(SPISettings) { bus_taken = true; }
void SpiBus::endTransaction() { bus_taken = false; }
uint8_t SpiBus::transfer(uint8_t byte) {
    require(bus_taken, "a transfer outside a transaction");
    advance(2);
    return chip_transfer(byte);
}

int main() {
    uint64_t at;
    std::string verb, value;
    now_us = START_US;
    setup();
    while (std::cin >> at >> verb >> value) {
        for (at += START_US; now_us < at; advance(8)) loop();
        long number = verb == "say" ? 0 : std::stol(value);
        if (verb == "say")
            for (size_t i = 0; i + 1 < value.size(); i += 2)
                to_device.push_back((uint8_t)std::stoi(value.substr(i, 2), nullptr, 16));
        else if (verb == "off") leads_off = number != 0;
        else if (verb == "rail") overdrive = (int32_t)number;
        else if (verb == "jam") jammed = number != 0;
        else if (verb == "stall") advance((uint64_t)number);
        else if (verb == "ppm") chip_configure((double)number);
        else require(verb == "end", "no such verb");
    }
    std::cout << "sent ";
    for (size_t i = 0; i < from_device.size(); i++) printf("%02x", from_device[i]);
    std::cout << "\n";
}
