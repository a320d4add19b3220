/*
 * cipher.c - AES-256-GCM of single values.
 *
 * Sealed values go through the daemon by the million, and most have some twenty
 * bytes: what costs is setting up the key, not the encryption. So each key has a
 * context whose key schedule is ready, and a value sets the nonce only, a few
 * hundred nanoseconds. The contexts belong to the ring and are used under its
 * mutex: a thread's own would be faster where threads meet, but nobody could
 * wipe them when the key is replaced.
 *
 * Random bytes cost as much as all the rest when they are asked for twelve at a time, so
 * the ring draws those of many nonces at once. Each is overwritten as it is taken, and
 * what a process has drawn is no good in a child of it: both would use the same.
 *
 * What must stay true:
 * - a nonce is never used twice with one key. 96 random bits for each value are
 *   good for 2^32 values a key (SP 800-38D, 8.3);
 * - no byte of plain text leaves before the tag has been verified;
 * - key bytes and plain text are overwritten before their memory is given back.
 *
 * Decoding is strict: no white space, no missing or superfluous padding, no bits
 * set behind the last byte. So one sealed value has one text, and any change to
 * that text is found (hex digits may be of either case).
 */
#include "cdc/base/cipher.h"

#include <assert.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/mem.h"

enum {
    NONCE_BYTES = 12,
    TAG_BYTES = 16,
    OVERHEAD = NONCE_BYTES + TAG_BYTES,
    NONCES_AT_ONCE = 64,
    SMALL_BYTES = 512, /* a sealed value that needs no memory of its own */
};

/* --- text <-> bytes ------------------------------------------------------- */

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char hex_digits[] = "0123456789abcdef";

static size_t encoded_len(enum cipher_encoding encoding, size_t len)
{
    return encoding == CIPHER_HEX ? len * 2 : (len + 2) / 3 * 4;
}

static void encode_base64(const unsigned char *in, size_t len, char *out)
{
    for (; len >= 3; in += 3, len -= 3) {
        uint32_t n = (uint32_t)in[0] << 16 | (uint32_t)in[1] << 8 | in[2];
        *out++ = base64_digits[n >> 18];
        *out++ = base64_digits[n >> 12 & 63];
        *out++ = base64_digits[n >> 6 & 63];
        *out++ = base64_digits[n & 63];
    }
    if (len > 0) {
        uint32_t n = (uint32_t)in[0] << 16 | (len == 2 ? (uint32_t)in[1] << 8 : 0);
        *out++ = base64_digits[n >> 18];
        *out++ = base64_digits[n >> 12 & 63];
        *out++ = len == 2 ? base64_digits[n >> 6 & 63] : '=';
        *out++ = '=';
    }
}

static void encode_hex(const unsigned char *in, size_t len, char *out)
{
    for (size_t i = 0; i < len; i++) {
        *out++ = hex_digits[in[i] >> 4];
        *out++ = hex_digits[in[i] & 15];
    }
}

/* One more than what a digit stands for; 0: it is none. Comparisons would be guessed wrong by the processor half of the
 * time, and cost more than the decryption. */
static const unsigned char base64_values[256] = {
    0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,
    0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  63, 0,  0,  0,  64, 53, 54, 55, 56,
    57, 58, 59, 60, 61, 62, 0,  0,  0,  0,  0,  0,  0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13,
    14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 0,  0,  0,  0,  0,  0,  27, 28, 29, 30, 31, 32, 33,
    34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 0,  0,  0,  0,  0,
};

static int base64_value(unsigned char c) { return base64_values[c] - 1; }

/* out has room for len / 4 * 3 bytes. */
static bool decode_base64(const unsigned char *in, size_t len, unsigned char *out, size_t *ret_len)
{
    size_t n = 0;

    if (len % 4 != 0)
        return false;
    for (size_t i = 0; i < len; i += 4) {
        /* Only the last group may be padded. */
        size_t pad = i + 4 < len || in[i + 3] != '=' ? 0 : in[i + 2] != '=' ? 1 : 2;
        uint32_t bits = 0;
        for (size_t k = 0; k < 4 - pad; k++) {
            int v = base64_value(in[i + k]);
            if (v < 0)
                return false;
            bits |= (uint32_t)v << (18 - 6 * k);
        }
        if ((pad == 1 && (bits & 0xff) != 0) || (pad == 2 && (bits & 0xffff) != 0))
            return false;
        for (size_t k = 0; k < 3 - pad; k++)
            out[n++] = (unsigned char)(bits >> (16 - 8 * k));
    }
    *ret_len = n;
    return true;
}

static int hex_value(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool decode_hex(const unsigned char *in, size_t len, unsigned char *out, size_t *ret_len)
{
    if (len % 2 != 0)
        return false;
    for (size_t i = 0; i < len; i += 2) {
        int high = hex_value(in[i]), low = hex_value(in[i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i / 2] = (unsigned char)(high << 4 | low);
    }
    *ret_len = len / 2;
    return true;
}

/* --- keys ----------------------------------------------------------------- */

static bool is_printable(const unsigned char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] < 0x20 || text[i] > 0x7e)
            return false;
    return true;
}

static size_t without_line_end(const unsigned char *text, size_t len)
{
    if (len > 0 && text[len - 1] == '\n')
        len--;
    else
        return len;
    return len > 0 && text[len - 1] == '\r' ? len - 1 : len;
}

static bool wrong_key(struct err *err, const char *what, size_t len)
{
    return err_set(
        err, ERR_CONFIG, 0,
        "%s (%zu bytes); it must be 32 raw bytes, 64 hex digits, or the base64 of 32 bytes (44 characters)",
        what, len);
}

static bool parse_base64_key(const unsigned char *text, size_t len, unsigned char ret_key[CIPHER_KEY_BYTES],
                             struct err *err)
{
    unsigned char bytes[CIPHER_KEY_BYTES + 1];
    size_t n = 0;
    bool well_formed = decode_base64(text, len, bytes, &n);

    if (well_formed && n == CIPHER_KEY_BYTES)
        memcpy(ret_key, bytes, CIPHER_KEY_BYTES);
    mem_wipe(bytes, sizeof bytes);
    if (!well_formed)
        return wrong_key(err, "the key is neither raw bytes nor hex nor base64", len);
    return n == CIPHER_KEY_BYTES || wrong_key(err, "the key is base64 of another length", n);
}

bool cipher_parse_key(const char *text, size_t len, unsigned char ret_key[CIPHER_KEY_BYTES], struct err *err)
{
    const unsigned char *bytes = (const unsigned char *)text;
    size_t stripped = without_line_end(bytes, len);

    /* 32 bytes are a key whatever they look like, and its last byte may well be
     * a line end. Unless the rest is text: then it is a key that is too short. */
    if (len == CIPHER_KEY_BYTES && (stripped == len || !is_printable(bytes, stripped)))
        stripped = len;

    if (stripped == CIPHER_KEY_BYTES) {
        memcpy(ret_key, bytes, CIPHER_KEY_BYTES);
        return true;
    }
    if (stripped == 0)
        return wrong_key(err, "the key is empty", 0);
    if (stripped == CIPHER_KEY_BYTES * 2) {
        unsigned char key[CIPHER_KEY_BYTES];
        size_t n;
        bool hex = decode_hex(bytes, stripped, key, &n);
        if (hex)
            memcpy(ret_key, key, sizeof key);
        mem_wipe(key, sizeof key);
        return hex || wrong_key(err, "the key has characters that are no hex digits", stripped);
    }
    if (stripped == encoded_len(CIPHER_BASE64, CIPHER_KEY_BYTES))
        return parse_base64_key(bytes, stripped, ret_key, err);
    return wrong_key(err, "the key has a wrong length", stripped);
}

struct ring_key {
    unsigned char bytes[CIPHER_KEY_BYTES];
    EVP_CIPHER_CTX *seal, *open; /* made on first use */
};

struct keyring {
    pthread_mutex_t lock; /* for all that follows */
    struct ring_key *keys;
    size_t count;
    unsigned char nonces[NONCES_AT_ONCE][NONCE_BYTES];
    size_t nnonces;       /* of them that have not been used: the first ones */
    unsigned drawn_after; /* so many forks */
};

static atomic_uint forks; /* in the line of this process since the first ring was made */

static void note_fork(void) { atomic_fetch_add(&forks, 1); }

static void watch_forks(void)
{
    if (pthread_atfork(NULL, NULL, note_fork) != 0)
        abort();
}

static struct ring_key *make_keys(const unsigned char (*keys)[CIPHER_KEY_BYTES], size_t count)
{
    assert(count > 0);
    struct ring_key *made = mem_zalloc(count, sizeof *made);
    for (size_t i = 0; i < count; i++)
        memcpy(made[i].bytes, keys[i], CIPHER_KEY_BYTES);
    return made;
}

static void free_keys(struct ring_key *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        EVP_CIPHER_CTX_free(keys[i].seal); /* overwrites its key schedule */
        EVP_CIPHER_CTX_free(keys[i].open);
    }
    mem_wipe_free(keys, count * sizeof *keys);
}

struct keyring *keyring_new(const unsigned char (*keys)[CIPHER_KEY_BYTES], size_t count)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct keyring *ring = mem_zalloc(1, sizeof *ring);

    pthread_once(&once, watch_forks);
    pthread_mutex_init(&ring->lock, NULL);
    ring->keys = make_keys(keys, count);
    ring->count = count;
    return ring;
}

void keyring_replace(struct keyring *ring, const unsigned char (*keys)[CIPHER_KEY_BYTES], size_t count)
{
    struct ring_key *made = make_keys(keys, count);

    pthread_mutex_lock(&ring->lock);
    struct ring_key *old = ring->keys;
    size_t old_count = ring->count;
    ring->keys = made;
    ring->count = count;
    pthread_mutex_unlock(&ring->lock);

    free_keys(old, old_count);
}

void keyring_free(struct keyring *ring)
{
    if (ring == NULL)
        return;
    free_keys(ring->keys, ring->count);
    pthread_mutex_destroy(&ring->lock);
    mem_wipe_free(ring, sizeof *ring);
}

/* --- one value ------------------------------------------------------------ */

/* The default length of a GCM nonce is the 12 bytes that we want. */
static bool prepare(EVP_CIPHER_CTX **ctx, const struct ring_key *key, int encrypt)
{
    if (*ctx != NULL)
        return true;
    EVP_CIPHER_CTX *made = EVP_CIPHER_CTX_new();
    if (made == NULL || EVP_CipherInit_ex(made, EVP_aes_256_gcm(), NULL, key->bytes, NULL, encrypt) != 1) {
        EVP_CIPHER_CTX_free(made);
        return false;
    }
    *ctx = made;
    return true;
}

/* OpenSSL takes lengths as int; a LONGTEXT can be longer. */
static bool update(EVP_CIPHER_CTX *ctx, const unsigned char *in, size_t len, unsigned char *out)
{
    while (len > 0) {
        int piece = len > INT_MAX / 2 ? INT_MAX / 2 : (int)len;
        int n;
        if (EVP_CipherUpdate(ctx, out, &n, in, piece) != 1 || n != piece)
            return false;
        in += piece;
        out += piece;
        len -= (size_t)piece;
    }
    return true;
}

/* sealed: nonce (already there) | ciphertext | tag */
static bool encrypt(struct ring_key *key, const unsigned char *plain, size_t len, unsigned char *sealed)
{
    unsigned char *body = sealed + NONCE_BYTES, none[TAG_BYTES];
    int n;

    return prepare(&key->seal, key, 1) && EVP_CipherInit_ex(key->seal, NULL, NULL, NULL, sealed, 1) == 1 &&
           update(key->seal, plain, len, body) && EVP_CipherFinal_ex(key->seal, none, &n) == 1 &&
           EVP_CIPHER_CTX_ctrl(key->seal, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, body + len) == 1;
}

/* False if the tag does not fit; plain then holds bytes that must not be used. */
static bool decrypt(struct ring_key *key, unsigned char *sealed, size_t len, unsigned char *plain)
{
    unsigned char *body = sealed + NONCE_BYTES, none[TAG_BYTES];
    int n;

    return prepare(&key->open, key, 0) && EVP_CipherInit_ex(key->open, NULL, NULL, NULL, sealed, 0) == 1 &&
           update(key->open, body, len, plain) &&
           EVP_CIPHER_CTX_ctrl(key->open, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, body + len) == 1 &&
           EVP_CipherFinal_ex(key->open, none, &n) == 1;
}

/* With the ring's lock held. */
static bool take_nonce(struct keyring *ring, unsigned char *ret_nonce)
{
    const unsigned now = atomic_load(&forks);

    if (ring->nnonces == 0 || ring->drawn_after != now) {
        ring->nnonces = 0;
        if (RAND_bytes(ring->nonces[0], sizeof ring->nonces) != 1)
            return false;
        ring->nnonces = NONCES_AT_ONCE;
        ring->drawn_after = now;
    }
    unsigned char *nonce = ring->nonces[--ring->nnonces];

    memcpy(ret_nonce, nonce, NONCE_BYTES);
    mem_wipe(nonce, NONCE_BYTES);
    return true;
}

bool cipher_seal(struct keyring *ring, enum cipher_encoding encoding, const void *plain, size_t len,
                 struct buf *out, struct err *err)
{
    const size_t sealed_len = len + OVERHEAD;
    unsigned char small[SMALL_BYTES];
    unsigned char *sealed = sealed_len <= sizeof small ? small : mem_alloc(sealed_len);

    pthread_mutex_lock(&ring->lock);
    bool ok = take_nonce(ring, sealed) && encrypt(&ring->keys[0], plain, len, sealed);
    pthread_mutex_unlock(&ring->lock);

    if (!ok) {
        const char *why = ERR_reason_error_string(ERR_peek_last_error());
        err_set(err, ERR_RETRY, 0, "OpenSSL cannot encrypt: %s", why != NULL ? why : "no reason given");
        ERR_clear_error();
        mem_wipe(sealed, sealed_len);
        if (sealed != small)
            free(sealed);
        return false;
    }

    size_t text_len = encoded_len(encoding, sealed_len);
    char *text = buf_room(out, text_len);
    if (text != NULL) {
        if (encoding == CIPHER_HEX)
            encode_hex(sealed, sealed_len, text);
        else
            encode_base64(sealed, sealed_len, text);
        out->len += text_len;
    }
    if (sealed != small)
        free(sealed);
    return true;
}

/* Tries the keys of the ring in turn; plain has room for len bytes. */
static bool decrypt_any(struct keyring *ring, unsigned char *sealed, size_t len, unsigned char *plain)
{
    bool ok = false;

    pthread_mutex_lock(&ring->lock);
    for (size_t i = 0; i < ring->count && !ok; i++)
        ok = decrypt(&ring->keys[i], sealed, len, plain);
    pthread_mutex_unlock(&ring->lock);

    /* The client library shares this thread's list of errors. */
    if (!ok)
        ERR_clear_error();
    return ok;
}

bool cipher_open(struct keyring *ring, enum cipher_encoding encoding, const void *text, size_t len,
                 struct buf *out)
{
    unsigned char small[SMALL_BYTES];
    unsigned char *sealed = len <= sizeof small ? small : mem_alloc(len);
    size_t sealed_len = 0;
    bool ok = encoding == CIPHER_HEX ? decode_hex(text, len, sealed, &sealed_len)
                                     : decode_base64(text, len, sealed, &sealed_len);

    if (ok && sealed_len >= OVERHEAD) {
        size_t plain_len = sealed_len - OVERHEAD;
        char *plain = buf_room(out, plain_len);
        ok = plain != NULL && decrypt_any(ring, sealed, plain_len, (unsigned char *)plain);
        if (ok)
            out->len += plain_len;
        else if (plain != NULL)
            mem_wipe(plain, plain_len);
    } else {
        ok = false;
    }
    if (sealed != small)
        free(sealed);
    return ok;
}
