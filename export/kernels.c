/* TFLite's reference int8 arithmetic on tensors of height 1, (width, channels) row by row. Put into every leadwire_net.c
 * by `python -m export c`.
 *
 * At height 1 the columns that a convolution sees lie side by side in memory, so each of its outputs is one dot product.
 * Two columns and two channels are made at once, four values deep: eight dual multiply-accumulates for four loads.
 * Zero points are no part of the sums: sum((x - zero) * w) = sum(x * w) - zero * sum(w), and the latter is in the bias. */

typedef struct {
    int32_t bias, multiplier;
    int32_t shift;
} channel_t;

typedef struct {
    const int8_t *weights; /* a dot product's `row` weights by channel; of a depthwise one (kernel, channels) */
    const channel_t *channels;
    uint16_t in_width, in_channels, out_width, out_channels;
    uint16_t row; /* kernel * in_channels up to a multiple of 4, filled with weights of 0 */
    uint8_t kernel, stride, pad;
    int8_t in_zero, out_zero, low;
} conv_t;

typedef struct {
    int32_t a_zero, a_multiplier, a_shift, b_zero, b_multiplier, b_shift, y_multiplier, y_shift;
    uint16_t width, channels;
    uint8_t repeat; /* columns of the sum for each of b's */
    int8_t out_zero, low;
} add_t;

typedef struct {
    uint16_t in_width, out_width, channels, kernel, stride, pad;
    int8_t low;
} pool_t;

/* x * multiplier / 2^31, half upwards, / 2^shift, half away from zero: gemmlowp's two roundings. */
static inline int32_t rescaled(int32_t x, int32_t multiplier, int32_t shift) {
    int32_t y = (int32_t)(((int64_t)x * multiplier + (1 << 30)) >> 31);
    return shift > 0 ? (y + (1 << (shift - 1)) - (y < 0)) >> shift : y;
}

static inline int8_t clamped(int32_t y, int8_t low) {
    return (int8_t)(y < low ? low : y > 127 ? 127 : y);
}

#ifdef __ARM_FEATURE_DSP

/* Values 0 and 2 of four, or 1 and 3, as two halves of a word. */
static inline int16x2_t even(uint32_t v) {
    return __sxtb16((int8x4_t)v);
}

static inline int16x2_t odd(uint32_t v) {
    int16x2_t halves; /* one instruction, of which GCC makes two */
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(halves) : "r"(v));
    return halves;
}

static inline uint32_t four(const int8_t *p) {
    uint32_t v;
    __builtin_memcpy(&v, p, 4);
    return v;
}

static inline void two_by_two(const int8_t *x0, const int8_t *x1, const int8_t *w0, const int8_t *w1, int n, int32_t sum[4]) {
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    const int8_t *end = w0 + n;
    while (w0 != end) {
        const uint32_t a = four(x0), b = four(x1), v = four(w0), w = four(w1);
        s0 = __smlad(odd(a), odd(v), __smlad(even(a), even(v), s0));
        s1 = __smlad(odd(a), odd(w), __smlad(even(a), even(w), s1));
        s2 = __smlad(odd(b), odd(v), __smlad(even(b), even(v), s2));
        s3 = __smlad(odd(b), odd(w), __smlad(even(b), even(w), s3));
        x0 += 4, x1 += 4, w0 += 4, w1 += 4;
    }
    sum[0] = s0, sum[1] = s1, sum[2] = s2, sum[3] = s3;
}

#else

static inline void two_by_two(const int8_t *x0, const int8_t *x1, const int8_t *w0, const int8_t *w1, int n, int32_t sum[4]) {
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (int i = 0; i < n; i++) {
        s0 += x0[i] * w0[i];
        s1 += x0[i] * w1[i];
        s2 += x1[i] * w0[i];
        s3 += x1[i] * w1[i];
    }
    sum[0] = s0, sum[1] = s1, sum[2] = s2, sum[3] = s3;
}

#endif

/* What output column `at` sees: in place, or where that reaches over an end, a copy with the zero point around it. */
static const int8_t *seen(const conv_t *op, const int8_t *x, int at, int8_t *patch) {
    const int first = (at * op->stride - op->pad) * op->in_channels, size = op->in_width * op->in_channels;
    if (first >= 0 && first + op->row <= size) return x + first;
    for (int i = 0; i < op->row; i++) {
        const int from = first + i;
        patch[i] = from >= 0 && from < size ? x[from] : op->in_zero;
    }
    return patch;
}

static void convolve(const conv_t *op, const int8_t *x, int8_t *y) {
    const int channels = op->out_channels;
    for (int at = 0; at < op->out_width; at += 2) {
        const int next = at + 1 < op->out_width ? at + 1 : at;
        const int8_t *x0 = seen(op, x, at, patches[0]), *x1 = seen(op, x, next, patches[1]);
        for (int c = 0; c < channels; c += 2) {
            const int d = c + 1 < channels ? c + 1 : c;
            const channel_t *p = &op->channels[c], *q = &op->channels[d];
            int32_t sum[4];
            two_by_two(x0, x1, op->weights + c * op->row, op->weights + d * op->row, op->row, sum);
            y[at * channels + c] = clamped(rescaled(sum[0] + p->bias, p->multiplier, p->shift) + op->out_zero, op->low);
            y[at * channels + d] = clamped(rescaled(sum[1] + q->bias, q->multiplier, q->shift) + op->out_zero, op->low);
            y[next * channels + c] = clamped(rescaled(sum[2] + p->bias, p->multiplier, p->shift) + op->out_zero, op->low);
            y[next * channels + d] = clamped(rescaled(sum[3] + q->bias, q->multiplier, q->shift) + op->out_zero, op->low);
        }
    }
}

static void convolve_depthwise(const conv_t *op, const int8_t *x, int8_t *y) {
    const int channels = op->out_channels;
    for (int at = 0; at < op->out_width; at++) {
        const int8_t *columns = seen(op, x, at, patches[0]);
        for (int c = 0; c < channels; c++) {
            const channel_t *p = &op->channels[c];
            const int8_t *v = columns + c, *w = op->weights + c;
            int32_t sum = p->bias;
            for (int k = op->kernel; k > 0; k--, v += channels, w += channels) sum += *v * *w;
            *y++ = clamped(rescaled(sum, p->multiplier, p->shift) + op->out_zero, op->low);
        }
    }
}

/* `y` may be `a`. */
static void add(const add_t *op, const int8_t *a, const int8_t *b, int8_t *y) {
    for (int at = 0; at < op->width; at++) {
        const int8_t *column = b + at / op->repeat * op->channels;
        for (int c = 0; c < op->channels; c++) {
            const int32_t p = rescaled((*a++ - op->a_zero) * (1 << ADD_BITS), op->a_multiplier, op->a_shift);
            const int32_t q = rescaled((column[c] - op->b_zero) * (1 << ADD_BITS), op->b_multiplier, op->b_shift);
            *y++ = clamped(rescaled(p + q, op->y_multiplier, op->y_shift) + op->out_zero, op->low);
        }
    }
}

static void pool(const pool_t *op, const int8_t *x, int8_t *y, int largest) {
    for (int at = 0; at < op->out_width; at++) {
        const int first = at * op->stride - op->pad, end = first + op->kernel;
        const int from = first > 0 ? first : 0, to = end < op->in_width ? end : op->in_width, count = to - from;
        for (int c = 0; c < op->channels; c++) {
            int32_t most = -128, sum = 0;
            for (int i = from; i < to; i++) {
                const int8_t v = x[i * op->channels + c];
                most = v > most ? v : most;
                sum += v;
            }
            *y++ = clamped(largest ? most : (sum + (sum > 0 ? count / 2 : -(count / 2))) / count, op->low);
        }
    }
}

/* One of the parts of a concatenation: `channels` of the `all` in each column of y, from y on. */
static void put(const int8_t *x, int8_t *y, int width, int channels, int all) {
    for (int at = 0; at < width; at++, y += all)
        for (int c = 0; c < channels; c++) y[c] = *x++;
}
