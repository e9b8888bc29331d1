/* A minimal engine in C: protocol 2.0 without a JSON library.
 *
 *     cc -O2 -o engine engine.c && edgemaxx engine check ./engine
 *
 * It answers each request with its latents as colours. Replace `make_picture` by a model; for
 * TensorRT, deserialise the engine file in `on_load` and copy `latents` to the device there.
 * Headers are read by looking for the keys needed, which is enough for the harness's own JSON
 * (keys are not repeated inside strings without a backslash before the quote). */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HELLO = 1, LOAD, HEARTBEAT, READY, GENERATE, PART, ANSWER, ERROR, BYE };
enum { CHANNELS = 4, FACTOR = 8 };

static int sock;

static void read_all(void *to, size_t count) {
    for (char *at = (char *)to; count > 0;) {
        ssize_t got = read(sock, at, count);
        if (got <= 0)
            exit(got == 0 ? 0 : 1); /* the harness is gone */
        at += got, count -= (size_t)got;
    }
}

static void write_all(const void *from, size_t count) {
    for (const char *at = (const char *)from; count > 0;) {
        ssize_t put = write(sock, at, count);
        if (put <= 0)
            exit(1);
        at += put, count -= (size_t)put;
    }
}

static void put_u32(unsigned char *to, uint32_t value) {
    for (int i = 0; i < 4; i++)
        to[i] = (unsigned char)(value >> (8 * i));
}

static uint32_t get_u32(const unsigned char *from) {
    return from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}

static void send_frame(int kind, const char *header, const void *payload, size_t bytes) {
    unsigned char prefix[9];
    uint32_t length = (uint32_t)strlen(header);
    put_u32(prefix, 5 + length + (uint32_t)bytes);
    prefix[4] = (unsigned char)kind;
    put_u32(prefix + 5, length);
    write_all(prefix, sizeof prefix);
    write_all(header, length);
    write_all(payload, bytes);
}

/* The number after "key": in a header; 0 if it is not there. */
static unsigned long long number(const char *header, const char *key) {
    char quoted[40];
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    const char *at = strstr(header, quoted);
    return at ? strtoull(at + strlen(quoted), NULL, 10) : 0;
}

static void make_picture(unsigned char *rgb, const float *latents, size_t width, size_t height) {
    size_t rows = height / FACTOR, columns = width / FACTOR;
    for (size_t y = 0; y < height; y++)
        for (size_t x = 0; x < width; x++)
            for (size_t c = 0; c < 3; c++) {
                float value = 128 + 40 * latents[(c * rows + y / FACTOR) * columns + x / FACTOR];
                rgb[(y * width + x) * 3 + c] = value < 0 ? 0 : value > 255 ? 255 : (unsigned char)value;
            }
}

int main(void) {
    const char *where = getenv("EDGEMAXX_SOCKET");
    if (!where || strncmp(where, "fd:", 3) != 0)
        return fprintf(stderr, "EDGEMAXX_SOCKET is not set: the harness starts engines\n"), 2;
    sock = atoi(where + 3);
    write_all("EDGEMAXX\2\0\0\0", 12);
    send_frame(HELLO, "{\"engine\":\"c-example\",\"version\":\"1\"}", "", 0);
    unsigned char preamble[12], prefix[9];
    read_all(preamble, sizeof preamble);
    if (memcmp(preamble, "EDGEMAXX\2\0", 10) != 0)
        return fprintf(stderr, "the harness speaks another protocol\n"), 1;
    for (;;) {
        read_all(prefix, sizeof prefix);
        uint32_t length = get_u32(prefix), header_bytes = get_u32(prefix + 5);
        if (header_bytes > 262144 || length < 5 + header_bytes || length > 65u << 20)
            return fprintf(stderr, "a frame beyond its bounds\n"), 1;
        size_t payload_bytes = length - 5 - header_bytes;
        char *header = (char *)calloc(header_bytes + 1, 1);
        float *payload = (float *)malloc(payload_bytes + 4);
        if (!header || !payload)
            return 1;
        read_all(header, header_bytes);
        read_all(payload, payload_bytes); /* f32 little-endian, as on this machine */
        char answer[200];
        if (prefix[4] == LOAD) {
            snprintf(answer, sizeof answer, "{\"ready\":{\"latent_channels\":%d,\"vae_scale_factor\":%d}}", CHANNELS,
                     FACTOR);
            send_frame(READY, answer, "", 0);
        } else if (prefix[4] == GENERATE) {
            unsigned long long id = number(header, "id");
            size_t width = number(header, "width"), height = number(header, "height");
            if (payload_bytes != width / FACTOR * (height / FACTOR) * CHANNELS * 4) {
                snprintf(answer, sizeof answer, "{\"id\":%llu,\"message\":\"latents of another size\"}", id);
                send_frame(ERROR, answer, "", 0);
            } else {
                unsigned char *rgb = (unsigned char *)malloc(width * height * 3 + 1);
                if (!rgb)
                    return 1;
                make_picture(rgb, payload, width, height);
                snprintf(answer, sizeof answer,
                         "{\"id\":%llu,\"answer\":{\"width\":%zu,\"height\":%zu,\"encoding\":\"rgb8\"}}", id, width,
                         height);
                send_frame(ANSWER, answer, rgb, width * height * 3);
                free(rgb);
            }
        } else {
            return prefix[4] == BYE ? 0 : 1;
        }
        free(header);
        free(payload);
    }
}
