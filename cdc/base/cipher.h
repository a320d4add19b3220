/*
 * cipher.h - AES-256-GCM of single values (OpenSSL stays in cipher.c).
 *
 * A sealed value is encode(nonce[12] | ciphertext | tag[16]) with no associated
 * data, encode being standard base64 with padding or lower-case hex: what a Go
 * service gets from gcm.Seal(nonce, nonce, plain, nil) (NIST SP 800-38D).
 */
#ifndef BASE_CIPHER_H
#define BASE_CIPHER_H

#include <stdbool.h>
#include <stddef.h>

#include "cdc/base/buf.h"
#include "cdc/base/err.h"

enum cipher_encoding { CIPHER_BASE64, CIPHER_HEX };

/* The first key seals; each is tried to open. Keys can be replaced while other
 * threads use the ring (SIGHUP). Wiped when freed or replaced. */
struct keyring;

#define CIPHER_KEY_BYTES 32

/* A key from its text or bytes: 32 raw bytes, 64 hex digits or base64 of 32
 * bytes, with at most one line end behind. ERR_CONFIG names what is wrong and
 * what would be right, never the key. */
bool cipher_parse_key(const char *text, size_t len, unsigned char ret_key[CIPHER_KEY_BYTES], struct err *err);

struct keyring *keyring_new(const unsigned char (*keys)[CIPHER_KEY_BYTES], size_t count);
void keyring_replace(struct keyring *ring, const unsigned char (*keys)[CIPHER_KEY_BYTES], size_t count);
void keyring_free(struct keyring *ring);

/* Appends the sealed form of plain to out. Fails only if OpenSSL does (ERR_RETRY):
 * what is over the limit of out shows in out->overrun, as with any addition. */
bool cipher_seal(struct keyring *ring, enum cipher_encoding encoding, const void *plain, size_t len,
                 struct buf *out, struct err *err);
/* Appends the plain text to out; false if no key opens it, or if it is not
 * well-formed: nothing is appended then. */
bool cipher_open(struct keyring *ring, enum cipher_encoding encoding, const void *text, size_t len,
                 struct buf *out);

#endif
