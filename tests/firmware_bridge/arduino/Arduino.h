// What the sketch uses of Arduino, on the host. board.cpp drives it; nothing here knows the sketch.
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { LOW, HIGH };
enum { INPUT, OUTPUT };
enum { A0 = 14, A1, A2, A3 };

uint32_t micros();
void delay(uint32_t ms);
void pinMode(uint8_t pin, uint8_t mode);
void digitalWrite(uint8_t pin, uint8_t level);
int digitalRead(uint8_t pin);
int analogRead(uint8_t pin);

struct SerialPort {
    void begin(uint32_t baud);
    int available();
    int read();
    int availableForWrite();
    size_t write(const uint8_t *bytes, size_t count);
};
extern SerialPort Serial;

void setup();
void loop();
