/*
 * Sealed values and keys as text. Bit 0 of the first byte chooses the encoding.
 * Nothing forged opens (with a random nonce a hit would be a wonder), what was
 * sealed opens, and a key that can be read is read alike from hex.
 */
#include "cdc/base/cipher.h"
#include "tests/fuzz/fuzz.h"

static const unsigned char keys[2][CIPHER_KEY_BYTES] = {"0123456789abcdef0123456789abcde", "another key"};

static void check_key(const uint8_t *text, size_t len)
{
    unsigned char key[CIPHER_KEY_BYTES], again[CIPHER_KEY_BYTES];
    char hex[CIPHER_KEY_BYTES * 2 + 1];
    struct err err = ERR_INIT;
    if (!cipher_parse_key((const char *)text, len, key, &err)) {
        fuzz_check(err.kind == ERR_CONFIG && err.text[0] != '\0');
        return;
    }
    for (size_t i = 0; i < CIPHER_KEY_BYTES; i++)
        snprintf(hex + 2 * i, 3, "%02x", key[i]);
    fuzz_check(cipher_parse_key(hex, sizeof(hex) - 1, again, &err));
    fuzz_check(memcmp(key, again, sizeof(key)) == 0);
}

static void check_round_trip(struct keyring *ring, enum cipher_encoding encoding, const uint8_t *plain,
                             size_t len)
{
    struct buf sealed = BUF_INIT, opened = BUF_INIT;
    struct err err = ERR_INIT;
    fuzz_check(cipher_seal(ring, encoding, plain, len, &sealed, &err));
    fuzz_check(cipher_open(ring, encoding, sealed.data, sealed.len, &opened));
    fuzz_check(opened.len == len && (len == 0 || memcmp(opened.data, plain, len) == 0));
    /* The other encoding's text, and one with a bit turned over, do not open. */
    sealed.data[sealed.len / 2] ^= 1;
    fuzz_check(!cipher_open(ring, encoding, sealed.data, sealed.len, &opened) && opened.len == len);
    buf_done(&sealed);
    buf_done(&opened);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    enum cipher_encoding encoding = input_byte(&in) & 1 ? CIPHER_HEX : CIPHER_BASE64;
    struct keyring *ring = keyring_new(keys, 2);
    struct buf out = BUF_INIT;
    if (cipher_open(ring, encoding, in.p, in.len, &out))
        fuzz_touch(out.data, out.len);
    else
        fuzz_check(out.len == 0);
    check_key(in.p, in.len);
    check_round_trip(ring, encoding, in.p, in.len);
    buf_done(&out);
    keyring_free(ring);
    return 0;
}
