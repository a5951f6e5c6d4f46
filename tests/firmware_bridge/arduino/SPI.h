// The SPI bus of the same board.
#pragma once
#include <Arduino.h>

enum { MSBFIRST = 1, SPI_MODE0 = 0 };

struct SPISettings {
    SPISettings(uint32_t hz, uint8_t order, uint8_t mode);
};

struct SpiBus {
    void begin();
    void beginTransaction(SPISettings settings);
    uint8_t transfer(uint8_t byte);
    void endTransaction();
};
extern SpiBus SPI;
