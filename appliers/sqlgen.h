/*
 * sqlgen.h - the statements of store_mysql as text.
 *
 * Pure but for the nonce of a sealed value: from links, keys, rows and
 * checkpoints to text and from a result's text to values. Every statement is
 * appended to out without a semicolon. The text holds row values: never log it.
 */
#ifndef APPLIERS_SQLGEN_H
#define APPLIERS_SQLGEN_H

#include "appliers/store.h"
#include "cdc/db/dbconn.h"

/* One value as it stands in a statement for this side, sealed where it has to be.
 * ERR_ROW (no index) where it cannot be written: missing, sealed by a key we do not
 * have, NULL in a NOT NULL column, a number that is none, what the column would round or cut, a character that
 * its character set lacks. */
bool sqlgen_literal(const struct field *f, enum side side, const struct value *v, struct buf *out,
                    struct err *err);
/* What a SELECT of sqlgen_lock() returned for the field, NULL for SQL NULL, to its
 * value: copied into the arena, opened where it stands sealed. */
void sqlgen_value(const struct field *f, enum side side, const char *text, size_t len, struct arena *arena,
                  struct value *ret_value);

/* Every field of the rows of these keys, locked, in any order. */
bool sqlgen_lock(const struct link *link, enum side side, const struct key *keys, size_t nkeys,
                 struct buf *out, struct err *err);
/* The same without a lock. */
bool sqlgen_read(const struct link *link, enum side side, const struct key *keys, size_t nkeys,
                 struct buf *out, struct err *err);
/* The first `limit` rows of a range, in the order of the key index, locked only if that is to be exact. */
bool sqlgen_range(const struct link *link, enum side side, const struct key_range *range, size_t limit,
                  struct buf *out, struct err *err);
/* Several rows in one statement. ERR_ROW has the index in rows. */
bool sqlgen_insert(const struct link *link, enum side side, const struct row_write *rows, size_t nrows,
                   struct buf *out, struct err *err);
/* The same with values that go beside the text, where all columns are of kinds that this means no other value for. */
bool sqlgen_can_bind(const struct link *link, enum side side);
void sqlgen_insert_bound(const struct link *link, enum side side, struct buf *out);
bool sqlgen_is_bytes(const struct field *f, enum side side); /* or text */
/* The values of these rows, nfields each; in the arena or where they stand. ERR_ROW has the index in rows. */
bool sqlgen_bind(const struct link *link, enum side side, const struct row_write *rows, size_t nrows,
                 struct db_param *ret_params, struct arena *arena, struct err *err);
bool sqlgen_delete(const struct link *link, enum side side, const struct row_write *row, struct buf *out,
                   struct err *err);
/* Writes what differs, and always version, updated_at and synced_at. */
bool sqlgen_update(const struct link *link, enum side side, const struct row_write *row, struct buf *out,
                   struct err *err);

/* Which columns an update writes, a bit each: those of one shape may be told in one statement. 0: it goes alone. */
uint64_t sqlgen_update_shape(const struct link *link, enum side side, const struct row_write *row);
/* Rows of different keys and this shape, as sqlgen_update() does each of them. ERR_ROW has the index in rows. Matches
 * fewer rows where one stands under a key of other bytes; the others are written then. */
bool sqlgen_updates(const struct link *link, enum side side, const struct row_write *rows, size_t nrows,
                    uint64_t shape, struct buf *out, struct err *err);
/* May this row be deleted together with others, by a server of this kind? */
bool sqlgen_may_join(const struct link *link, enum side side, enum db_kind kind, const struct row_write *row);
bool sqlgen_deletes(const struct link *link, enum side side, enum db_kind kind, const struct row_write *rows,
                    size_t nrows, struct buf *out, struct err *err);

/* The control tables; side is the store's own. */
void sqlgen_load_checkpoint(const char *state_db, const struct link *link, enum side side, struct buf *out);
/* lane, lanes, batch, and the place, of all lanes that there ever were. */
void sqlgen_load_lanes(const char *state_db, const struct link *link, enum side side, struct buf *out);
/* Holds that row, or the lane's if that is not 0, until the transaction ends. */
void sqlgen_lock_checkpoint(const char *state_db, const struct link *link, enum side side, size_t lane,
                            struct buf *out);
void sqlgen_load_markers(const char *state_db, const struct link *link, enum side side, struct buf *out);
/* In the order of age. */
void sqlgen_load_quarantine(const char *state_db, const struct link *link, enum side side, struct buf *out);
void sqlgen_checkpoint(const char *state_db, const struct link *link, enum side side,
                       const struct checkpoint *c, struct buf *out);
/* The lane's row, so that it is there to be locked; one that is there already stays. */
void sqlgen_init_lane(const char *state_db, const struct link *link, enum side side, size_t lane,
                      struct buf *out);
/* Its place, of as many lanes. */
void sqlgen_lane(const char *state_db, const struct link *link, enum side side, size_t lane, size_t nlanes,
                 const struct checkpoint *c, struct buf *out);
/* The checkpoint stays as it is and is logged all the same; matches one row. */
void sqlgen_touch(const char *state_db, const struct link *link, enum side side, struct buf *out);
void sqlgen_markers(const char *state_db, const struct link *link, enum side side,
                    const struct marker *markers, size_t count, struct buf *out);
void sqlgen_drop_markers(const char *state_db, const struct link *link, enum side side, const uint64_t *ids,
                         size_t count, struct buf *out);
void sqlgen_purge_markers(const char *state_db, const struct link *link, enum side side, uint64_t up_to,
                          struct buf *out);
void sqlgen_quarantine(const char *state_db, const struct link *link, enum side side,
                       const struct quarantine_entry *e, struct buf *out);
/* job, state, cause, from_side, forced, delete_missing, done_to, rows_scanned, rows_written, conflicts, quarantined,
 * rows_expected, reason, error, again, and the two times as microseconds since 1970. */
void sqlgen_load_resync(const char *state_db, const struct link *link, struct buf *out);
void sqlgen_resync(const char *state_db, const struct link *link, const struct resync_state *r,
                   struct buf *out);
/* The highest id; 0 if there is none. */
void sqlgen_last_conflict(const char *state_db, const struct link *link, enum side side, struct buf *out);
/* The newest, in descending order: id, time in microseconds since 1970, row_key, met, decided_by, winner, then present,
 * version and updated of each side, differing. */
void sqlgen_load_conflicts(const char *state_db, const struct link *link, enum side side, size_t max,
                           struct buf *out);
void sqlgen_conflicts(const char *state_db, const struct link *link, enum side side,
                      const struct conflict_record *records, size_t count, struct buf *out);
/* Deletes those with ids up to here, and those that are older than the link keeps them. */
void sqlgen_purge_conflicts(const char *state_db, const struct link *link, enum side side, uint64_t up_to,
                            struct buf *out);
/* Two numbers: about how many rows the table has, and how many bytes one has on average. */
void sqlgen_estimate(const struct link *link, enum side side, struct buf *out);
void sqlgen_release(const char *state_db, const struct link *link, enum side side, const struct key *keys,
                    size_t count, struct buf *out);

#endif
