/* AD8232 and its like: an amplified ECG on an analogue pin, and two pins that say which electrode is off. */
#if defined(ARDUINO_ARCH_ESP32)
#define ECG_PIN 34
#define LEADS_OFF_PLUS_PIN 32
#define LEADS_OFF_MINUS_PIN 33
#define NOISE_PIN 35 /* nothing is connected to it */
#define ADC_BITS 12
#define ADC_REFERENCE_MV 3300UL
#else
#define ECG_PIN A0
#define LEADS_OFF_PLUS_PIN 10
#define LEADS_OFF_MINUS_PIN 11
#define NOISE_PIN A3
#define ADC_BITS 10
#if defined(__AVR__) || defined(ARDUINO_ARCH_RENESAS)
#define ADC_REFERENCE_MV 5000UL /* 3300 on an AVR that runs from 3.3 V */
#else
#define ADC_REFERENCE_MV 3300UL
#endif
#endif
#define RATE_HZ 250
#define AMPLIFIER_GAIN 1100UL  /* the breakouts' */
#define AMPLIFIER_REST_MV 1650UL /* half of the 3.3 V that the AD8232 runs from */

static const int32_t ADC_TOP = (1L << ADC_BITS) - 1;

static leadwire_info front_end_info = {
    0, RATE_HZ, 1,
    (uint32_t)((ADC_REFERENCE_MV * 1000000000ULL / AMPLIFIER_GAIN + (1ULL << ADC_BITS) / 2) >> ADC_BITS),
    (int32_t)(((AMPLIFIER_REST_MV << ADC_BITS) + ADC_REFERENCE_MV / 2) / ADC_REFERENCE_MV),
    ADC_BITS, LEADWIRE_COUNTS_MAX, 500, 400, "AD8232", "leadwire_ecg 1", "I"};

static void front_end_begin() {
    pinMode(LEADS_OFF_PLUS_PIN, INPUT);
    pinMode(LEADS_OFF_MINUS_PIN, INPUT);
    for (uint8_t i = 0; i < 32; i++) /* a pin that is connected to nothing is noise: no two starts look the same */
        front_end_info.boot_id = front_end_info.boot_id * 31 + (uint32_t)analogRead(NOISE_PIN);
}

static void front_end_start(uint32_t) {}

static void front_end_poll() {
    uint32_t now = micros();
    if (!leadwire_device_due(&device, now)) return;
    if (now - device.next_us >= device.period_us) leadwire_device_resume(&device, now); /* one was missed: say so */
    bool off = digitalRead(LEADS_OFF_PLUS_PIN) == HIGH || digitalRead(LEADS_OFF_MINUS_PIN) == HIGH;
    int32_t count = analogRead(ECG_PIN);
    uint8_t flags = off ? LEADWIRE_LEAD_OFF : 0;
    if (count <= 0 || count >= ADC_TOP) flags |= LEADWIRE_CLIPPED;
    leadwire_device_sample(&device, count, flags);
}
