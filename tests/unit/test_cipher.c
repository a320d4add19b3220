#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cdc/base/cipher.h"
#include "cdc/base/mem.h"

typedef unsigned char key_bytes[CIPHER_KEY_BYTES];

static const enum cipher_encoding encodings[] = {CIPHER_BASE64, CIPHER_HEX};

static void fill_key(key_bytes key, unsigned char first)
{
    for (size_t i = 0; i < CIPHER_KEY_BYTES; i++)
        key[i] = (unsigned char)(first + i * 7);
}

static struct keyring *ring_of(unsigned char first)
{
    key_bytes key[1];
    fill_key(key[0], first);
    return keyring_new((const key_bytes *)key, 1);
}

/* --- keys ----------------------------------------------------------------- */

#define RAW "0123456789abcdefghijklmnopqrst-_"
#define HEX "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F"
#define BASE64 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

static void keys_in_all_forms(void **state)
{
    static const char counting[] = "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"
                                   "\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f";
    static const char ends_in_line_end[] = "\x80\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"
                                           "\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\r\n";
    static const char only_hex_digits[] = "00112233445566778899aabbccddeeff";
    static const struct {
        const char *text;
        size_t len;
        const char *key;
    } cases[] = {
        {RAW, 32, RAW},
        {RAW "\n", 33, RAW},
        {RAW "\r\n", 34, RAW},
        {counting, 32, counting},
        {ends_in_line_end, 32, ends_in_line_end},
        {only_hex_digits, 32, only_hex_digits}, /* 16 bytes as hex would be no key: these are 32 raw ones */
        {HEX, 64, counting},
        {HEX "\n", 65, counting},
        {BASE64, 44, counting},
        {BASE64 "\r\n", 46, counting},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct err err = ERR_INIT;
        key_bytes key = {0};
        assert_true(cipher_parse_key(cases[i].text, cases[i].len, key, &err));
        assert_memory_equal(key, cases[i].key, CIPHER_KEY_BYTES);
    }
}

#define RIGHT "; it must be 32 raw bytes, 64 hex digits, or the base64 of 32 bytes (44 characters)"

static void wrong_keys_say_what_is_right(void **state)
{
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"", "the key is empty (0 bytes)" RIGHT},
        {"\n", "the key is empty (0 bytes)" RIGHT},
        {"0123456789abcdefghijklmnopqrst-", "the key has a wrong length (31 bytes)" RIGHT},
        {"0123456789abcdefghijklmnopqrst-\n", "the key has a wrong length (31 bytes)" RIGHT},
        {"0123456789abcdefghijklmnopqrst\r\n", "the key has a wrong length (30 bytes)" RIGHT},
        {RAW "x", "the key has a wrong length (33 bytes)" RIGHT},
        {RAW "\n\n", "the key has a wrong length (33 bytes)" RIGHT},
        {"00102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F",
         "the key has a wrong length (63 bytes)" RIGHT},
        {HEX "0", "the key has a wrong length (65 bytes)" RIGHT},
        {"g00102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F",
         "the key has characters that are no hex digits (64 bytes)" RIGHT},
        {"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==",
         "the key is base64 of another length (31 bytes)" RIGHT},
        {"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8A",
         "the key is base64 of another length (33 bytes)" RIGHT},
        {"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh-=",
         "the key is neither raw bytes nor hex nor base64 (44 bytes)" RIGHT},
        {"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=", /* bits behind the last byte */
         "the key is neither raw bytes nor hex nor base64 (44 bytes)" RIGHT},
        {"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", "the key has a wrong length (43 bytes)" RIGHT},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct err err = ERR_INIT;
        key_bytes key, untouched;
        memset(key, 0x5a, sizeof key);
        memset(untouched, 0x5a, sizeof untouched);
        assert_false(cipher_parse_key(cases[i].text, strlen(cases[i].text), key, &err));
        assert_int_equal(err.kind, ERR_CONFIG);
        assert_string_equal(err.text, cases[i].error);
        assert_memory_equal(key, untouched, sizeof key);
        if (strlen(cases[i].text) > 8) /* the text tells nothing of the key */
            for (size_t k = 0; k + 8 <= strlen(cases[i].text); k++) {
                char piece[9] = "";
                memcpy(piece, cases[i].text + k, 8);
                assert_null(strstr(err.text, piece));
            }
    }
}

/* --- values --------------------------------------------------------------- */

static void unhex(const char *hex, unsigned char *out)
{
    for (; *hex != '\0'; hex += 2, out++) {
        char byte[3] = {hex[0], hex[1], '\0'};
        char *end;
        *out = (unsigned char)strtoul(byte, &end, 16);
        assert_true(end == byte + 2);
    }
}

/* McGrew and Viega, "The Galois/Counter Mode of Operation", test cases 13, 14 and 15. */
static void known_vectors(void **state)
{
#define ZERO_KEY "0000000000000000000000000000000000000000000000000000000000000000"
#define ZERO_NONCE "000000000000000000000000"
    static const struct {
        const char *key, *sealed, *plain;
    } cases[] = {
        {ZERO_KEY, ZERO_NONCE "530f8afbc74536b9a963b4f1c4cb738b", ""},
        {ZERO_KEY, ZERO_NONCE "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919",
         "00000000000000000000000000000000"},
        {"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
         "cafebabefacedbaddecaf888"
         "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
         "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad"
         "b094dac5d93471bdec1a502270e3cc6c",
         "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
         "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255"},
    };
    (void)state;

    for (size_t i = 0; i < 3; i++) {
        key_bytes key[1];
        unsigned char plain[64];
        struct buf out = BUF_INIT;
        unhex(cases[i].key, key[0]);
        unhex(cases[i].plain, plain);
        struct keyring *ring = keyring_new((const key_bytes *)key, 1);
        assert_true(cipher_open(ring, CIPHER_HEX, cases[i].sealed, strlen(cases[i].sealed), &out));
        assert_int_equal(out.len, strlen(cases[i].plain) / 2);
        assert_memory_equal(out.data, plain, out.len);
        buf_wipe_done(&out);
        keyring_free(ring);
    }
}

static void every_length_comes_back(void **state)
{
    struct keyring *ring = ring_of(3);
    struct buf sealed = BUF_INIT, plain = BUF_INIT;
    unsigned char text[700];
    (void)state;

    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (unsigned char)(i * 31);
    for (size_t e = 0; e < 2; e++) {
        for (size_t len = 0; len <= sizeof text; len += len < 70 ? 1 : 90) {
            size_t bytes = len + 28;
            buf_clear(&sealed);
            buf_clear(&plain);
            buf_adds(&plain, "in front");
            assert_true(cipher_seal(ring, encodings[e], text, len, &sealed, NULL));
            assert_int_equal(sealed.len, e == 0 ? (bytes + 2) / 3 * 4 : bytes * 2);
            assert_true(cipher_open(ring, encodings[e], sealed.data, sealed.len, &plain));
            assert_int_equal(plain.len, 8 + len);
            assert_memory_equal(plain.data, "in front", 8);
            assert_memory_equal(plain.data + 8, text, len);
        }
    }
    buf_done(&sealed);
    buf_wipe_done(&plain);
    keyring_free(ring);
}

/* Padding only where it belongs, all in the alphabet. */
static void base64_is_standard(void **state)
{
    struct keyring *ring = ring_of(3);
    (void)state;
    for (size_t len = 0; len < 40; len++) {
        struct buf sealed = BUF_INIT;
        assert_true(
            cipher_seal(ring, CIPHER_BASE64, "0123456789012345678901234567890123456789", len, &sealed, NULL));
        size_t body = strspn(sealed.data, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
        size_t pad = (3 - (len + 28) % 3) % 3;
        assert_int_equal(body + pad, sealed.len);
        assert_int_equal(strspn(sealed.data + body, "="), pad);
        buf_done(&sealed);
    }
    keyring_free(ring);
}

static void hex_of_either_case(void **state)
{
    struct keyring *ring = ring_of(3);
    struct buf sealed = BUF_INIT, plain = BUF_INIT;
    (void)state;

    assert_true(cipher_seal(ring, CIPHER_HEX, "x@example.com", 13, &sealed, NULL));
    assert_int_equal(strspn(sealed.data, "0123456789abcdef"), sealed.len);
    for (size_t i = 0; i < sealed.len; i++)
        if (sealed.data[i] >= 'a')
            sealed.data[i] = (char)(sealed.data[i] - 'a' + 'A');
    assert_true(cipher_open(ring, CIPHER_HEX, sealed.data, sealed.len, &plain));
    assert_string_equal(plain.data, "x@example.com");
    buf_done(&sealed);
    buf_wipe_done(&plain);
    keyring_free(ring);
}

static void a_new_nonce_each_time(void **state)
{
    enum { VALUES = 300 };
    static char seen[VALUES][25];
    struct keyring *ring = ring_of(3);
    (void)state;

    for (size_t i = 0; i < VALUES; i++) {
        struct buf sealed = BUF_INIT;
        assert_true(cipher_seal(ring, CIPHER_HEX, "same", 4, &sealed, NULL));
        memcpy(seen[i], sealed.data, 24);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(seen[i], seen[k]);
        buf_done(&sealed);
    }
    keyring_free(ring);
}

static void seal_nonce(struct keyring *ring, char ret_nonce[24])
{
    struct buf sealed = BUF_INIT;

    assert_true(cipher_seal(ring, CIPHER_HEX, "same", 4, &sealed, NULL));
    memcpy(ret_nonce, sealed.data, 24);
    buf_done(&sealed);
}

/* They are drawn many at a time. */
static void no_nonce_comes_in_two_processes(void **state)
{
    enum { VALUES = 10 };
    struct keyring *ring = ring_of(3);
    char ours[VALUES][24], theirs[VALUES][24];
    int ends[2];
    (void)state;

    seal_nonce(ring, ours[0]);
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();

    assert_true(child >= 0);
    for (size_t i = 0; i < VALUES; i++)
        seal_nonce(ring, ours[i]);
    if (child == 0)
        _exit(write(ends[1], ours, sizeof ours) == sizeof ours ? 0 : 1);
    int status;

    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(read(ends[0], theirs, sizeof theirs), sizeof theirs);
    close(ends[0]);
    close(ends[1]);
    for (size_t i = 0; i < VALUES; i++)
        for (size_t k = 0; k < VALUES; k++)
            assert_memory_not_equal(ours[i], theirs[k], 24);
    keyring_free(ring);
}

static void refuse(struct keyring *ring, enum cipher_encoding encoding, const char *text, size_t len)
{
    struct buf out = BUF_INIT;
    buf_adds(&out, "kept");
    assert_false(cipher_open(ring, encoding, text, len, &out));
    assert_string_equal(out.data, "kept");
    assert_int_equal(out.len, 4);
    buf_done(&out);
}

/* Each character replaced by many others, one taken out, one put in. */
static void every_change_is_found(void **state)
{
    struct keyring *ring = ring_of(3);
    (void)state;

    for (size_t e = 0; e < 2; e++) {
        for (size_t len = 0; len < 4; len++) {
            struct buf sealed = BUF_INIT;
            char text[200];
            assert_true(cipher_seal(ring, encodings[e], "abc", len, &sealed, NULL));
            assert_true(sealed.len + 1 < sizeof text);
            for (size_t i = 0; i < sealed.len; i++) {
                memcpy(text, sealed.data, sealed.len);
                for (int c = 0; c < 256; c += 1) {
                    text[i] = (char)c;
                    bool other_case = e == 1 && (c | 32) == (sealed.data[i] | 32);
                    if (text[i] != sealed.data[i] && !other_case)
                        refuse(ring, encodings[e], text, sealed.len);
                }
                memcpy(text, sealed.data, i);
                memcpy(text + i, sealed.data + i + 1, sealed.len - i - 1);
                refuse(ring, encodings[e], text, sealed.len - 1);
                refuse(ring, encodings[e], sealed.data, i);
            }
            for (size_t i = 0; i <= sealed.len; i++) {
                static const char extra[] = {' ', '\n', '\r', '=', 'A', '0', '\0'};
                for (size_t x = 0; x < sizeof extra; x++) {
                    memcpy(text, sealed.data, i);
                    text[i] = extra[x];
                    memcpy(text + i + 1, sealed.data + i, sealed.len - i);
                    refuse(ring, encodings[e], text, sealed.len + 1);
                }
            }
            buf_done(&sealed);
        }
    }
    keyring_free(ring);
}

static void malformed_texts(void **state)
{
    static const char *const cases[] = {
        "",
        "=",
        "==",
        "====",
        "A===",
        "AA==",
        "AAA=",
        "AAAA",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "alice@example.com",
        "0",
        "00",
        "zz",
    };
    struct keyring *ring = ring_of(3);
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (size_t e = 0; e < 2; e++)
            refuse(ring, encodings[e], cases[i], strlen(cases[i]));
    refuse(ring, CIPHER_BASE64, NULL, 0);
    keyring_free(ring);
}

/* --- key rings ------------------------------------------------------------ */

static void previous_keys_open(void **state)
{
    key_bytes keys[3];
    struct buf by_old = BUF_INIT, by_new = BUF_INIT, by_other = BUF_INIT, plain = BUF_INIT;
    (void)state;

    for (size_t i = 0; i < 3; i++)
        fill_key(keys[i], (unsigned char)(10 * i));
    struct keyring *only_old = keyring_new((const key_bytes *)&keys[1], 1);
    struct keyring *only_new = keyring_new((const key_bytes *)&keys[0], 1);
    struct keyring *both = keyring_new((const key_bytes *)keys, 2);
    struct keyring *other = keyring_new((const key_bytes *)&keys[2], 1);

    assert_true(cipher_seal(only_old, CIPHER_BASE64, "p", 1, &by_old, NULL));
    assert_true(cipher_seal(both, CIPHER_BASE64, "p", 1, &by_new, NULL));
    assert_true(cipher_seal(other, CIPHER_BASE64, "p", 1, &by_other, NULL));

    assert_true(cipher_open(both, CIPHER_BASE64, by_old.data, by_old.len, &plain));
    assert_true(cipher_open(both, CIPHER_BASE64, by_new.data, by_new.len, &plain));
    assert_true(
        cipher_open(only_new, CIPHER_BASE64, by_new.data, by_new.len, &plain)); /* the first key seals */
    assert_string_equal(plain.data, "ppp");
    refuse(only_new, CIPHER_BASE64, by_old.data, by_old.len);
    refuse(both, CIPHER_BASE64, by_other.data, by_other.len);

    /* And again after a refusal: the contexts are reused. */
    assert_true(cipher_open(both, CIPHER_BASE64, by_old.data, by_old.len, &plain));

    keyring_replace(both, (const key_bytes *)&keys[2], 1);
    assert_true(cipher_open(both, CIPHER_BASE64, by_other.data, by_other.len, &plain));
    refuse(both, CIPHER_BASE64, by_new.data, by_new.len);

    buf_done(&by_old);
    buf_done(&by_new);
    buf_done(&by_other);
    buf_wipe_done(&plain);
    keyring_free(only_old);
    keyring_free(only_new);
    keyring_free(both);
    keyring_free(other);
    keyring_free(NULL);
}

static void over_the_limit(void **state)
{
    struct keyring *ring = ring_of(3);
    struct buf sealed = BUF_INIT, small;
    (void)state;

    buf_init(&small, 20);
    assert_true(cipher_seal(ring, CIPHER_HEX, "12345678901234567890x", 21, &small, NULL));
    assert_true(small.overrun);
    assert_int_equal(small.len, 0);
    buf_clear(&small);
    assert_true(cipher_seal(ring, CIPHER_HEX, "12345678901234567890x", 21, &sealed, NULL));
    assert_false(cipher_open(ring, CIPHER_HEX, sealed.data, sealed.len, &small));
    assert_int_equal(small.len, 0);
    buf_done(&sealed);
    buf_done(&small);
    keyring_free(ring);
}

static struct keyring *shared;
static atomic_bool replaced_all;
static atomic_int failures;

static void *seal_and_open(void *arg)
{
    struct buf sealed = BUF_INIT, plain = BUF_INIT;
    (void)arg;
    for (int i = 0; i < 300 || !atomic_load(&replaced_all); i++) {
        buf_clear(&sealed);
        buf_clear(&plain);
        if (!cipher_seal(shared, CIPHER_BASE64, "some text", 9, &sealed, NULL) ||
            !cipher_open(shared, CIPHER_BASE64, sealed.data, sealed.len, &plain) ||
            strcmp(plain.data, "some text") != 0)
            atomic_fetch_add(&failures, 1);
    }
    buf_done(&sealed);
    buf_wipe_done(&plain);
    return NULL;
}

/* Each new ring still holds the key of the one before. */
static void keys_change_under_way(void **state)
{
    key_bytes keys[3];
    pthread_t threads[2];
    (void)state;

    for (size_t i = 0; i < 3; i++)
        fill_key(keys[i], (unsigned char)(50 + i));
    shared = keyring_new((const key_bytes *)keys, 3);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, seal_and_open, NULL), 0);
    for (int i = 0; i < 200; i++) {
        key_bytes first;
        memcpy(first, keys[2], sizeof first);
        memmove(keys[1], keys[0], 2 * sizeof keys[0]);
        memcpy(keys[0], first, sizeof first);
        keyring_replace(shared, (const key_bytes *)keys, 3);
    }
    atomic_store(&replaced_all, true);
    for (size_t i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    keyring_free(shared);
    assert_int_equal(atomic_load(&failures), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_in_all_forms),     cmocka_unit_test(wrong_keys_say_what_is_right),
        cmocka_unit_test(known_vectors),         cmocka_unit_test(every_length_comes_back),
        cmocka_unit_test(base64_is_standard),    cmocka_unit_test(hex_of_either_case),
        cmocka_unit_test(a_new_nonce_each_time), cmocka_unit_test(no_nonce_comes_in_two_processes),
        cmocka_unit_test(every_change_is_found), cmocka_unit_test(malformed_texts),
        cmocka_unit_test(previous_keys_open),    cmocka_unit_test(over_the_limit),
        cmocka_unit_test(keys_change_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
