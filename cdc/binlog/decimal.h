/*
 * decimal.h - the servers' packed DECIMAL -> canonical text; columns and JSON
 * values hold it alike.
 */
#ifndef BINLOG_DECIMAL_H
#define BINLOG_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DECIMAL_MAX_PRECISION 65
#define DECIMAL_MAX_SCALE 38 /* MariaDB; MySQL has 30 */
#define DECIMAL_TEXT_BYTES (DECIMAL_MAX_PRECISION + 8)

/* Bytes of a value; 0 if there is no such DECIMAL. */
size_t decimal_bytes(unsigned precision, unsigned scale);
/* data holds decimal_bytes(). Returns the text's length, 0 if it is malformed. */
size_t decimal_to_text(const uint8_t *data, unsigned precision, unsigned scale, char out[DECIMAL_TEXT_BYTES]);

#endif
